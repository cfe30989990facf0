"""Operations on codes: mixes, paths over time, stretches, loops, and grids of four sounds.

All codes are (frames, code_size). Mixing is linear, as published; it mixes timbres rather than
sounds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timbrel.errors import InputError

N_CORNERS = 4


def mix(codes: Sequence[np.ndarray], weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Mix codes of one length.

    Parameters
    ----------
    codes
        Each (frames, code_size).
    weights
        One for each, or one for each and each frame, shape (sounds, frames).

    Raises
    ------
    InputError
        If the codes differ in length.
    """
    lengths = {len(some) for some in codes}
    if len(lengths) != 1:
        raise InputError(f"codes of {sorted(lengths)} frames cannot be mixed; give equal lengths")
    factors = np.asarray(weights, np.float32)
    if factors.ndim == 1:
        factors = factors[:, None]
    return (np.stack(codes) * factors[..., None]).sum(axis=0)


def path(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A sound that moves from one to the other while it lasts."""
    share = np.linspace(0, 1, len(first), dtype=np.float32)
    return mix([first, second], np.stack([1 - share, share]))


def stretch(codes: np.ndarray, factor: float) -> np.ndarray:
    """Codes that last `factor` times as long, interpolated between frames; pitch is kept."""
    if not factor > 0:
        raise InputError(f"a stretch of {factor:g} is not more than 0")
    n_frames = max(round(len(codes) * factor), 1)
    # The middles of the new frames, in frames of the old.
    position = (np.arange(n_frames) + 0.5) / factor - 0.5
    position = np.clip(position, 0, len(codes) - 1)
    before = np.minimum(position.astype(int), max(len(codes) - 2, 0))
    share = (position - before)[:, None].astype(np.float32)
    after = np.minimum(before + 1, len(codes) - 1)
    return (1 - share) * codes[before] + share * codes[after]


def loop(codes: np.ndarray, n_frames: int, *, start: int, stop: int, fade: int) -> np.ndarray:
    """Codes of a longer sound: the part from `start` to `stop` is repeated, then the end follows.

    Parameters
    ----------
    n_frames
        Of the result; at least as many as the codes have.
    start, stop
        The part that is repeated, in frames.
    fade
        Frames over which one round fades into the next, and the last into the end.

    Raises
    ------
    InputError
        If the part does not lie within the codes, or is not longer than the fade.
    """
    if not 0 <= start < stop <= len(codes):
        raise InputError(f"frames {start} to {stop} do not lie within {len(codes)} frames")
    if not 0 <= fade < stop - start:
        raise InputError(f"a loop of {stop - start} frames is too short for a fade of {fade}")
    if n_frames < len(codes):
        raise InputError(f"a loop cannot shorten {len(codes)} frames to {n_frames}")
    n_before_end = n_frames - (len(codes) - stop)
    looped = codes[:stop]
    while len(looped) < n_before_end:
        looped = _joined(looped, codes[start:stop], fade)
    return _joined(looped[:n_before_end], codes[stop - fade :], fade)


def grid_weights(size: int) -> np.ndarray:
    """Weights of four corners at each point of a grid, shape (size, size, 4).

    Bilinear: the corners are top left, top right, bottom left, bottom right; a row goes right.
    """
    if size < 2:
        raise InputError(f"a grid of {size} × {size} has no corners; give 2 or more")
    right = np.linspace(0, 1, size)[None, :]
    down = np.linspace(0, 1, size)[:, None]
    corners = [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down]
    return np.stack(corners, axis=-1).astype(np.float32)


def faded(audio: np.ndarray, n_samples: int = 8) -> np.ndarray:
    """A sound whose first and last few samples fade, so that it does not click."""
    n_samples = min(n_samples, len(audio) // 2)
    ramp = (np.arange(n_samples, dtype=np.float32) + 0.5) / max(n_samples, 1)
    audio = audio.copy()
    audio[:n_samples] *= ramp
    audio[len(audio) - n_samples :] *= ramp[::-1]
    return audio


def _joined(first: np.ndarray, second: np.ndarray, fade: int) -> np.ndarray:
    """One after the other, overlapping by `fade` frames."""
    share = (np.arange(1, fade + 1, dtype=np.float32) / (fade + 1))[:, None]
    whole = len(first) - fade
    seam = (1 - share) * first[whole:] + share * second[:fade]
    return np.concatenate([first[:whole], seam, second[fade:]])

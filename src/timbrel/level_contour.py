"""How loud a recording is over time, and another sound that follows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

STEP_S = 0.05  # between the points of a contour
_REACH = 6  # steps on both sides that a point is smoothed over
_MOST_DB = 12.0  # that following changes
_FAINT_DB = -60.0  # below the loudest steps: what is not made louder
_TINY_POWER = 1e-12


class LevelContour:
    """The smoothed level of sound that comes in blocks, a point every 50 ms, in mono or stereo.

    Parameters
    ----------
    sample_rate
        In Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._step = round(STEP_S * sample_rate)
        self._rest = np.zeros(0)
        self._powers = np.zeros(_REACH)  # steps that points still need; silence in front

    def add(self, block: np.ndarray) -> np.ndarray:
        """Hear more samples, (samples,) or (samples, channels); gives the next points, in dB."""
        power = np.square(block, dtype=np.float64)
        power = power if power.ndim == 1 else power.mean(axis=1)
        power = np.concatenate([self._rest, power])
        n_steps = len(power) // self._step
        self._rest = power[n_steps * self._step :]
        return self._points(power[: n_steps * self._step].reshape(-1, self._step).mean(axis=1))

    def finish(self) -> np.ndarray:
        """The last points: silence follows, and an unfinished step counts as a whole one."""
        last = [self._rest.sum() / self._step] if len(self._rest) else []
        self._rest = np.zeros(0)
        return self._points(np.array([*last, *np.zeros(_REACH)]))

    def _points(self, steps: np.ndarray) -> np.ndarray:
        powers = np.concatenate([self._powers, steps])
        kernel = np.hanning(2 * _REACH + 3)[1:-1]
        n_points = max(len(powers) - 2 * _REACH, 0)
        self._powers = powers[n_points:]
        if not n_points:
            return np.zeros(0)
        smooth = np.convolve(powers, kernel / kernel.sum(), "valid")
        return 10 * np.log10(np.maximum(smooth, _TINY_POWER))


def contour_of(blocks: Iterable[np.ndarray], sample_rate: int) -> np.ndarray:
    """The whole contour of some sound, in dB, (points,)."""
    contour = LevelContour(sample_rate)
    points = [contour.add(block) for block in blocks]
    return np.concatenate([*points, contour.finish()])


def following(
    blocks: Iterable[np.ndarray], wanted_db: np.ndarray, sample_rate: int, *, gain_db: float
) -> Iterator[np.ndarray]:
    """Sound whose level is moved to that of a contour, by 12 dB at most.

    Beyond the contour's end the last correction stays. For each block another comes out, and one
    more in the end; they are as long in all as those that went in.

    Parameters
    ----------
    blocks
        Sound, each (samples, channels).
    wanted_db
        A contour.
    sample_rate
        In Hz, of the sound.
    gain_db
        What the sound's level differs from the contour's on the whole: it is not corrected.
    """
    faint_db = np.max(wanted_db, initial=-np.inf) + _FAINT_DB
    contour = LevelContour(sample_rate)
    step = round(STEP_S * sample_rate)
    corrections = [0.0]  # at the middles of steps, from the one before the first waiting sample's
    waiting = np.zeros((0, 0), np.float32)
    n_known = 0  # points that have corrections

    def correct(levels_db: np.ndarray) -> None:
        nonlocal n_known
        for level_db in levels_db + gain_db:
            change_db = corrections[-1]
            if n_known < len(wanted_db):
                most_db = _MOST_DB if level_db > faint_db else 0.0
                change_db = float(np.clip(wanted_db[n_known] - level_db, -_MOST_DB, most_db))
            corrections.append(change_db)
            n_known += 1
            if n_known == 1:
                corrections[0] = change_db

    def corrected(n_steps: int) -> np.ndarray:
        """The first steps of what is waiting; the points around each sample are known."""
        nonlocal waiting
        n_samples = min(n_steps * step, len(waiting))
        places = (np.arange(n_samples) + 0.5) / step + 0.5
        gains = 10 ** (np.interp(places, np.arange(len(corrections)), corrections) / 20)
        sound = waiting[:n_samples] * gains[:, None].astype(np.float32)
        waiting = waiting[n_samples:]
        del corrections[:n_steps]
        return sound

    for block in blocks:
        waiting = block if not waiting.size else np.concatenate([waiting, block])
        correct(contour.add(block))
        yield corrected(max(len(corrections) - 2, 0))
    correct(contour.finish())
    yield corrected(len(corrections))

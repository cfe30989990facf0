"""Rainbowgrams: pictures of a note in which brightness is loudness and colour is phase drift.

A constant-Q transform as published (Engel et al. 2017): 16 kHz, hop 256, 6 octaves from C2, 40 bins
per octave, filter scale 0.8. Colour is the change of the unwrapped phase from frame to frame, on a
fixed scale, so that pictures can be compared.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from timbrel.constants import SAMPLE_RATE
from timbrel.errors import InputError, MissingToolError, OutputError
from timbrel.files import atomic_path

HOP_LENGTH = 256
BINS_PER_OCTAVE, N_OCTAVES = 40, 6
LOWEST_NOTE = "C2"
RANGE_DB = 70.0
SUFFIXES = (".png", ".svg", ".pdf")
_FILTER_SCALE = 0.8
# What librosa's filters for the lowest octave, at 1/32 of the sample rate, need as input.
_MIN_SAMPLES = 16_384


def rainbowgram(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loudness and colour of a note.

    Parameters
    ----------
    audio : ndarray, shape (samples,)
        At 16 kHz.

    Returns
    -------
    level : ndarray, shape (240, frames)
        Power from 0 (−70 dB below the peak, or less) to 1.
    drift : ndarray, shape (240, frames)
        Change of the unwrapped phase in half turns for each frame, −1 to 1.
    """
    try:
        import librosa
    except ImportError:
        raise MissingToolError(
            "rainbowgrams need librosa and matplotlib; install them with: "
            "pip install 'timbrel[train]'"
        ) from None
    padded = np.pad(audio, (0, max(_MIN_SAMPLES - len(audio), 0)))
    spectrum = librosa.cqt(
        padded,
        sr=SAMPLE_RATE,
        hop_length=HOP_LENGTH,
        fmin=librosa.note_to_hz(LOWEST_NOTE),
        n_bins=BINS_PER_OCTAVE * N_OCTAVES,
        bins_per_octave=BINS_PER_OCTAVE,
        filter_scale=_FILTER_SCALE,
    )
    spectrum = spectrum[:, : len(audio) // HOP_LENGTH + 1]
    magnitude = np.abs(spectrum)
    peak = max(float(magnitude.max(initial=0.0)), 1e-10)
    level_db = 20 * np.log10(np.maximum(magnitude, 1e-10) / peak)
    phase = np.unwrap(np.angle(spectrum), axis=1)
    drift = np.diff(phase, axis=1, prepend=phase[:, :1]) / np.pi
    return np.clip(level_db / RANGE_DB + 1, 0, 1), np.clip(drift, -1, 1)


def draw_rainbowgrams(sounds: Sequence[tuple[str, np.ndarray]], output: str | os.PathLike) -> None:
    """Draw the rainbowgrams of some sounds (name, audio at 16 kHz) side by side, in a file.

    Raises
    ------
    OutputError
        If the file's name ends otherwise than .png, .svg or .pdf.
    """
    output = Path(output)
    if output.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{output}: pictures are written as {', '.join(SUFFIXES)}")
    if not sounds:
        raise InputError("there is no sound to draw")
    pictures = [(name, *rainbowgram(audio), len(audio) / SAMPLE_RATE) for name, audio in sounds]
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.2 + 2.6 * len(sounds), 3.4), layout="constrained")
    axes = figure.subplots(1, len(sounds), sharey=True, squeeze=False)[0]
    for axis, (name, level, drift, duration_s) in zip(axes, pictures, strict=True):
        colour = colormaps["rainbow"]((drift + 1) / 2)[..., :3] * level[..., None]
        axis.imshow(colour, origin="lower", aspect="auto", extent=(0, duration_s, 0, N_OCTAVES))
        axis.set_title(name, fontsize=8)
        axis.set_xlabel("seconds")
    axes[0].set_ylabel(f"octaves above {LOWEST_NOTE}")
    with atomic_path(output) as temporary:
        figure.savefig(temporary, format=output.suffix[1:].lower(), dpi=120)

"""How vocoders read mels: normalised to about [-1, 1], and spread over the bins of a spectrum."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import band_edges_hz

N_AROUND = 4  # frames that a sample of WaveNet mixes: one before its own, two after

Array = TypeVar("Array")  # of NumPy or PyTorch


def normalised(mel: Array, config: MelConfig) -> Array:
    """Scale natural-log mels so that the floor is −1 and 0 dB of magnitude is 1."""
    scaled: Any = mel
    return scaled / (-config.log_floor / 2) + 1


def natural(mel: Array, config: MelConfig) -> Array:
    """Undo `normalised`."""
    scaled: Any = mel
    return (scaled - 1) * (-config.log_floor / 2)


def spread_of(config: MelConfig, n_fft: int) -> np.ndarray:
    """Matrix that draws log mels out over the bins of a spectrum: (n_mels, n_fft / 2 + 1).

    A bin's value lies on the straight line between those of the bands on either side of it.
    """
    centres_hz = band_edges_hz(config)[1:-1]
    bins_hz = np.arange(n_fft // 2 + 1) * config.sample_rate / n_fft
    rows = [np.interp(bins_hz, centres_hz, one) for one in np.eye(config.n_mels)]
    return np.stack(rows).astype(np.float32)

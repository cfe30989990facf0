"""Where the notes of a mix are in its spectrum: around their harmonics, while they sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from timbrel.constants import A4_HZ, A4_PITCH
from timbrel.mel.spectrogram import stft

TINY = 1e-6  # a claim on what no note claims
_REACH_BINS = 2.5  # of a harmonic, to either side: the main lobe of the window
_CENTS = 100.0


class Grid(NamedTuple):
    """A short-time transform."""

    sample_rate: int
    n_fft: int
    hop_length: int

    @property
    def frame_rate(self) -> float:
        return self.sample_rate / self.hop_length

    @property
    def n_bins(self) -> int:
        return self.n_fft // 2 + 1

    @property
    def bin_hz(self) -> float:
        return self.sample_rate / self.n_fft


def fundamental_hz(pitch: float) -> float:
    """The frequency of a pitch, which may lie between keys."""
    return A4_HZ * 2 ** ((pitch - A4_PITCH) / 12)


def claim(pitch: float, velocity: float, grid: Grid) -> np.ndarray:
    """What a note claims of each bin, (bins,): less of higher harmonics, and if it is softer."""
    return _comb(round(_CENTS * float(pitch)), grid) * np.float32(max(velocity, 1) / 127)


@lru_cache(maxsize=256)
def _comb(cents: int, grid: Grid) -> np.ndarray:
    f0_hz = fundamental_hz(cents / _CENTS)
    bins_hz = np.arange(grid.n_bins) * grid.bin_hz
    number = np.maximum(np.round(bins_hz / f0_hz), 1)
    near = np.abs(bins_hz - number * f0_hz) <= _REACH_BINS * grid.bin_hz
    return (near / number).astype(np.float32)


def segments(
    blocks: Iterable[np.ndarray], grid: Grid, length: int, reach: int = 0
) -> Iterator[tuple[int, np.ndarray]]:
    """The magnitudes of a sound, part by part, in memory that does not grow with it.

    Parameters
    ----------
    blocks
        Sound at the grid's rate, each (samples,), of any length.
    grid
        The transform.
    length
        Frames of a part.
    reach
        Frames of the next part that each one has, too.

    Yields
    ------
    first, magnitudes : int, ndarray of shape (length + reach or fewer, bins)
        The number of the first frame, and the part.
    """
    hop = grid.hop_length
    margin = -(-grid.n_fft // 2 // hop)  # frames that a window reaches to either side
    kept, first, n_front = np.zeros(0, np.float32), 0, 0

    def part(n_frames: int) -> np.ndarray:
        spectrum = stft(kept, n_fft=grid.n_fft, hop_length=hop)
        return np.abs(spectrum[n_front : n_front + n_frames]).astype(np.float32)

    for block in blocks:
        kept = np.concatenate([kept, block.astype(np.float32, copy=False)])
        while len(kept) >= (n_front + length + reach + margin) * hop:
            yield first, part(length + reach)
            first, kept = first + length, kept[(n_front + length - margin) * hop :]
            n_front = margin
    n_left = len(kept) // hop - n_front
    kept = np.pad(kept, (0, reach * hop))
    while n_left > 0:
        yield first, part(min(length, n_left) + reach)
        first, n_left = first + length, n_left - length
        kept = kept[max(n_front + length - margin, 0) * hop :]
        n_front = margin

"""Random numbers that depend on where they are used, not on what was drawn before."""

from __future__ import annotations

import numpy as np


def scattered(numbers: np.ndarray) -> np.ndarray:
    """Scatter 32-bit numbers over all 32-bit numbers, one to one (Wellons' hash "lowbias32")."""
    x = numbers.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x


def unit_interval(numbers: np.ndarray) -> np.ndarray:
    """32-bit numbers as float32 from 0 to below 1, of which 24 bits count."""
    return (numbers >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def phases(seed: int, tracks: np.ndarray, start: int, stop: int, n_bins: int) -> np.ndarray:
    """Phases in cycles, which depend on the seed, the track, the frame and the bin alone.

    Parameters
    ----------
    seed
        Any number, of which 32 bits count.
    tracks
        Their numbers, uint32.
    start, stop
        Frames.
    n_bins
        Of each frame.

    Returns
    -------
    phases : ndarray of float32, shape (tracks, frames, n_bins)
    """
    frames = np.arange(start, stop, dtype=np.int64).astype(np.uint32)
    key = scattered(np.array([seed & 0xFFFFFFFF]))
    keys = scattered(scattered(tracks ^ key)[:, None] ^ frames)
    bins = np.arange(n_bins, dtype=np.uint32)
    return unit_interval(scattered(keys[..., None] + bins * np.uint32(0x9E3779B9)))

"""Random numbers that depend on where they are used, not on what was drawn before."""

from __future__ import annotations

import numpy as np

_WORD = 2**64 - 1
_OF_A_BLOCK = 4  # words, and so samples


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


def normal(seed: int, stream: int, start: int, stop: int) -> np.ndarray:
    """Numbers of the standard normal distribution, by the seed, the stream and the sample alone.

    Philox 4×64-10 (Salmon et al. 2011) with seed and stream as its key: each block of four words
    makes four samples (Box and Muller 1958).

    Parameters
    ----------
    seed, stream
        Any numbers, of which 64 bits count.
    start, stop
        Samples.

    Returns
    -------
    normal : ndarray of float32, shape (stop - start,)
    """
    key = np.array([seed & _WORD, stream & _WORD], np.uint64)
    first, last = start // _OF_A_BLOCK, -(-stop // _OF_A_BLOCK)
    words = np.random.Philox(key=key).advance(first).random_raw(_OF_A_BLOCK * (last - first))
    uniform = (words >> np.uint64(11)).reshape(-1, 2) * 2.0**-53
    radius, angle = np.sqrt(-2 * np.log1p(-uniform[:, 0])), 2 * np.pi * uniform[:, 1]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    skipped = start - first * _OF_A_BLOCK
    return pairs.reshape(-1)[skipped : skipped + stop - start].astype(np.float32)

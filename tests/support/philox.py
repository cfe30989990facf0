"""The engine's random numbers, written once more: Philox 4×32-10 (Salmon et al. 2011)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_WORD = 0xFFFFFFFF


def philox_uniform(seed: int, streams: Sequence[int], n_samples: int) -> np.ndarray:
    """Numbers in [0, 1) of streams and samples, float64, (streams, n_samples)."""
    return np.array([[_number(seed, stream, n) for n in range(n_samples)] for stream in streams])


def _number(seed: int, stream: int, sample: int) -> float:
    c = [sample & _WORD, sample >> 32, stream & _WORD, stream >> 32]
    k = [seed & _WORD, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & _WORD, (a >> 32) ^ c[3] ^ k[1], a & _WORD]
        k = [(k[0] + 0x9E3779B9) & _WORD, (k[1] + 0xBB67AE85) & _WORD]
    return ((c[0] << 21) ^ (c[1] >> 11)) * 2.0**-53

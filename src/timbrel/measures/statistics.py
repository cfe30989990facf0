"""Confidence intervals for means over tracks, by the bootstrap.

The tracks are treated as a sample of all music; the clips of one track, in all instruments, stay
together. Conditions are compared on the same bootstrap draws, so that a track that is difficult for
both conditions does not hide the difference between them.
"""

from __future__ import annotations

import numpy as np

N_DRAWS = 2000
CONFIDENCE = 0.95


def draws(n_tracks: int, *, seed: int = 0) -> np.ndarray:
    """How often each track is drawn in each of 2000 draws with replacement: (draws, tracks)."""
    random = np.random.default_rng(seed)
    return random.multinomial(n_tracks, np.full(n_tracks, 1 / n_tracks), size=N_DRAWS)


def interval(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of the values of some draws, NaN left out (Efron 1979, by percentiles)."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def drawn_means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means of the tracks' values (tracks,) in each draw, (draws,); NaN counts as not measured."""
    known = np.isfinite(values)
    n = counts[:, known].sum(axis=1)
    total = counts[:, known] @ values[known]
    return np.divide(total, n, out=np.full(len(counts), np.nan), where=n > 0)


def mean_of_known(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean without NaN; NaN where there is nothing else."""
    known = np.isfinite(values)
    n = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.divide(total, n, out=np.full(np.shape(total), np.nan), where=n > 0)

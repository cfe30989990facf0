"""What several windows of a sound say together of its timbre.

Each window gives a Gaussian. A part of its error is its own; the rest, `Calibration.shared` of its
variance, is that of the whole recording, and does not become less by listening longer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from timbrel.hearing.sizes import Calibration


class Gaussian(NamedTuple):
    """A distribution over some space."""

    mean: np.ndarray  # (size,)
    covariance: np.ndarray  # (size, size)

    def distance(self, point: np.ndarray) -> float:
        """The squared Mahalanobis distance of a point."""
        deviation = point - self.mean
        return float(deviation @ np.linalg.solve(self.covariance, deviation))

    @property
    def deviation(self) -> float:
        """The geometric mean of the standard deviations along its axes."""
        size = len(self.mean)
        return float(np.exp(np.linalg.slogdet(self.covariance)[1] / (2 * size)))


def combined(
    means: np.ndarray, covariances: np.ndarray, weights: np.ndarray, *, shared: float
) -> Gaussian:
    """The product of some Gaussians whose errors are not independent.

    Parameters
    ----------
    means, covariances
        (windows, size) and (windows, size, size).
    weights
        How much each window counts, (windows,), from 0 to 1; not all 0.
    shared
        The share of the variance that they have in common.
    """
    precisions = np.linalg.inv(covariances) * weights[:, None, None]
    total = precisions.sum(axis=0)
    mean = np.linalg.solve(total, np.einsum("nij,nj->i", precisions, means))
    # As sure as all of them if their errors were independent; as one of them if they were the same.
    alone, typical = np.linalg.inv(total), np.linalg.inv(total / weights.sum())
    share = shared if weights.sum() > 1 else 1.0
    return Gaussian(mean, (1 - share) * alone + share * typical)


def combined_logs(logs: np.ndarray, weights: np.ndarray, *, shared: float) -> np.ndarray:
    """Log-probabilities of classes, (classes,), from those of windows, (windows, classes).

    As many windows count as would say as much if they were independent.
    """
    n_windows = max(float(weights.sum()), 1e-9)
    effective = 1 / (shared + (1 - shared) / n_windows) if n_windows > 1 else 1.0
    mean = (weights[:, None] * logs).sum(axis=0) / n_windows
    return log_softmax(effective * mean)


def calibrated(
    factors: np.ndarray, logits: np.ndarray, points: np.ndarray, how: Calibration
) -> tuple[np.ndarray, np.ndarray]:
    """Covariances and log-probabilities of windows, from what the network says.

    Parameters
    ----------
    factors, logits
        (windows, size, size) and (windows, instruments + 1).
    points
        Of the instruments, (instruments, size), in the coordinates of the factors.
    """
    logs = log_softmax(how.sharpness * logits)
    covariances = how.temperature * factors @ np.swapaxes(factors, 1, 2)
    if how.spread:
        likely = np.exp(log_softmax(logits[:, :-1]))
        strays = points - (likely @ points)[:, None]  # (windows, instruments, size)
        covariances = covariances + how.spread * np.einsum(
            "wi,wij,wik->wjk", likely, strays, strays, optimize=True
        )
    return covariances, logs


def log_softmax(values: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    shifted = values - values.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

"""Gaussians of several windows become one that is surer, but never surer than errors they share."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.hearing.combining import Gaussian, calibrated, combined, combined_logs
from timbrel.hearing.sizes import Calibration

MEANS = np.array([[0.0, 0.0], [1.0, 2.0]])
COVARIANCES = np.stack([np.eye(2), np.diag([1.0, 4.0])])
ONES = np.ones(2)


def test_independent_errors_multiply() -> None:
    found = combined(MEANS, COVARIANCES, ONES, shared=0.0)
    np.testing.assert_allclose(found.mean, [0.5, 0.4])
    np.testing.assert_allclose(found.covariance, np.diag([0.5, 0.8]))


def test_shared_errors_stay_however_many_windows_there_are() -> None:
    many = 1000
    means, covariances = np.zeros((many, 2)), np.stack([np.eye(2)] * many)
    found = combined(means, covariances, np.ones(many), shared=0.3)
    np.testing.assert_allclose(found.covariance, (0.3 + 0.7 / many) * np.eye(2))
    alone = combined(means[:1], covariances[:1], np.ones(1), shared=0.3)
    np.testing.assert_allclose(alone.covariance, np.eye(2))


def test_a_window_of_no_weight_does_not_count() -> None:
    found = combined(MEANS, COVARIANCES, np.array([1.0, 1e-9]), shared=0.0)
    np.testing.assert_allclose(found.mean, MEANS[0], atol=1e-6)


def test_probabilities_sharpen_with_independent_windows() -> None:
    logs = np.log(np.array([[0.6, 0.4]] * 4))
    np.testing.assert_allclose(np.exp(combined_logs(logs, np.ones(4), shared=1.0)), [0.6, 0.4])
    independent = np.exp(combined_logs(logs, np.ones(4), shared=0.0))
    np.testing.assert_allclose(independent[0], 0.6**4 / (0.6**4 + 0.4**4))


def test_the_spread_of_likely_instruments_is_doubt() -> None:
    points = np.array([[-1.0], [1.0]])
    logits = np.array([[0.0, 0.0, -9.0]])
    covariances, logs = calibrated(
        np.ones((1, 1, 1)), logits, points, Calibration(temperature=2.0, spread=0.5)
    )
    assert covariances[0, 0, 0] == pytest.approx(2.0 + 0.5 * 1.0)
    assert np.exp(logs).sum() == pytest.approx(1.0)


def test_distance_and_deviation() -> None:
    region = Gaussian(np.zeros(2), np.diag([4.0, 1.0]))
    assert region.distance(np.array([2.0, 1.0])) == pytest.approx(2.0)
    assert region.deviation == pytest.approx(np.sqrt(2.0))

"""Intervals and means, where their values are known."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.measures.statistics import drawn_means, draws, interval, mean_of_known


def test_draws_are_as_many_as_tracks() -> None:
    counts = draws(14)
    assert counts.shape == (2000, 14)
    assert np.all(counts.sum(axis=1) == 14)
    np.testing.assert_array_equal(counts, draws(14))
    assert counts.mean() == 1
    # A track is left out of a draw in (1 − 1/14)^14 of all cases.
    assert (counts == 0).mean() == pytest.approx((13 / 14) ** 14, abs=0.01)


def test_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    low, high = interval(drawn_means(values, draws(400)))
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.03)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.03)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    counts = draws(40)
    covered = 0
    for _ in range(300):
        low, high = interval(drawn_means(random.normal(1, 1, 40), counts))
        covered += low <= 1 <= high
    assert 0.89 <= covered / 300 <= 0.98


def test_paired_differences_are_surer_than_those_of_strangers() -> None:
    random = np.random.default_rng(3)
    hard = random.normal(0, 1, 14)
    a, b = hard + 0.1 + random.normal(0, 0.02, 14), hard
    counts = draws(14)
    low, high = interval(drawn_means(a, counts) - drawn_means(b, counts))
    assert 0.08 < low < 0.1 < high < 0.13
    low, high = interval(drawn_means(a, counts) - drawn_means(b, draws(14, seed=1)))
    assert low < 0 < 0.4 < high


def test_what_was_not_measured_does_not_count() -> None:
    values = np.array([1.0, np.nan, 3.0])
    counts = np.array([[1, 1, 1], [2, 0, 1], [0, 3, 0]])
    np.testing.assert_allclose(drawn_means(values, counts), [2, 5 / 3, np.nan])
    assert interval(np.array([1.0, np.nan, 1.0])) == (1, 1)
    assert np.isnan(interval(np.full(3, np.nan))).all()
    np.testing.assert_allclose(
        mean_of_known(np.array([[1, np.nan], [3, np.nan]]), axis=0), [2, np.nan]
    )
    assert mean_of_known(np.array([1.0, np.nan, 3.0])) == 2

"""Derivatives in blocks compute what the whole matrix would."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.fitting.slopes import Slopes

SIZES = ((7, 2), (5, 0), (9, 3))  # points and numbers of the parts
N_SHARED = 4
N_POINTS, N_NUMBERS = 21, N_SHARED + 5


@pytest.fixture(scope="module")
def slopes() -> Slopes:
    random = np.random.default_rng(0)
    parts = [random.normal(size=size).astype(np.float32) for size in SIZES]
    return Slopes(random.normal(size=(N_POINTS, N_SHARED)), parts)


def whole(slopes: Slopes) -> np.ndarray:
    """The matrix of all derivatives, (points, numbers)."""
    matrix = np.zeros((N_POINTS, N_NUMBERS))
    matrix[:, :N_SHARED] = slopes.shared
    row, column = 0, N_SHARED
    for part in slopes.of_notes:
        matrix[row : row + len(part), column : column + part.shape[1]] = part
        row, column = row + len(part), column + part.shape[1]
    return matrix


def test_changes_and_squares_are_those_of_the_whole_matrix(slopes: Slopes) -> None:
    random = np.random.default_rng(1)
    step, differences = random.normal(size=N_NUMBERS), random.normal(size=N_POINTS)
    weights, matrix = random.uniform(0.5, 2, N_POINTS), whole(slopes)
    np.testing.assert_allclose(slopes.change(step), matrix @ step, atol=1e-6)
    normal, gradient = slopes.squares(weights, differences)
    np.testing.assert_allclose(normal, matrix.T @ (weights[:, None] * matrix), atol=1e-5)
    np.testing.assert_allclose(gradient, matrix.T @ (weights * differences), atol=1e-5)


def test_a_step_that_went_wrong_is_learnt(slopes: Slopes) -> None:
    """Of a step of the shared numbers, what they would have said is then what happened."""
    random = np.random.default_rng(2)
    step, wrong = random.normal(size=N_NUMBERS), random.normal(size=N_POINTS)
    step[N_SHARED:] = 0
    corrected = slopes.corrected(wrong, step)
    np.testing.assert_allclose(corrected.change(step), slopes.change(step) + wrong, atol=1e-6)


def test_parts_stay_without_numbers_of_others(slopes: Slopes) -> None:
    random = np.random.default_rng(3)
    corrected = slopes.corrected(random.normal(size=N_POINTS), random.normal(size=N_NUMBERS))
    assert [part.shape for part in corrected.of_notes] == list(SIZES)

"""Mixes, paths, stretches, loops and grids of codes."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.errors import InputError
from timbrel.notes.morphing import faded, grid_weights, loop, mix, path, stretch

A, B = np.zeros((5, 2), np.float32), np.full((5, 2), 4, np.float32)
RAMP = np.arange(10, dtype=np.float32)[:, None]


def test_mixing_is_linear() -> None:
    np.testing.assert_array_equal(mix([A, B], [0.75, 0.25]), np.full((5, 2), 1))
    with pytest.raises(InputError, match=r"\[3, 5\] frames cannot be mixed"):
        mix([A, B[:3]], [0.5, 0.5])


def test_a_path_begins_at_one_and_ends_at_the_other() -> None:
    np.testing.assert_allclose(path(A, B)[:, 0], [0, 1, 2, 3, 4])


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 3.7])
def test_a_stretch_keeps_the_course(factor: float) -> None:
    found = stretch(RAMP, factor)[:, 0]
    assert len(found) == round(10 * factor)
    position = np.clip((np.arange(len(found)) + 0.5) / factor - 0.5, 0, 9)
    np.testing.assert_allclose(found, position, atol=1e-5)


def test_one_frame_can_be_stretched() -> None:
    np.testing.assert_array_equal(stretch(B[:1], 3), B[:3])
    with pytest.raises(InputError, match="not more than 0"):
        stretch(B, 0)


def test_a_loop_repeats_its_part() -> None:
    found = loop(RAMP, 16, start=2, stop=5, fade=0)[:, 0]
    np.testing.assert_array_equal(found, [0, 1, 2, 3, 4, 2, 3, 4, 2, 3, 4, 5, 6, 7, 8, 9])


def test_a_loop_fades_between_rounds_and_into_the_end() -> None:
    found = loop(RAMP, 30, start=2, stop=8, fade=2)[:, 0]
    assert len(found) == 30
    np.testing.assert_array_equal(found[:6], range(6))
    # Frames 6 and 7 fade into 2 and 3 by a third and two thirds.
    np.testing.assert_allclose(found[6:8], [(2 * 6 + 2) / 3, (7 + 2 * 3) / 3], rtol=1e-6)
    np.testing.assert_array_equal(found[-2:], [8, 9])
    assert np.abs(np.diff(found)).max() <= 3


def test_a_loop_of_the_same_length_changes_nothing() -> None:
    np.testing.assert_array_equal(loop(RAMP, 10, start=2, stop=8, fade=3), RAMP)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((20, 5, 5, 0), "do not lie within"),
        ((20, 2, 11, 0), "do not lie within"),
        ((20, 2, 5, 3), "too short for a fade"),
        ((9, 2, 5, 0), "cannot shorten"),
    ],
)
def test_loops_that_cannot_be(arguments: tuple[int, ...], words: str) -> None:
    n_frames, start, stop, fade = arguments
    with pytest.raises(InputError, match=words):
        loop(RAMP, n_frames, start=start, stop=stop, fade=fade)


def test_grid_weights_are_bilinear() -> None:
    weights = grid_weights(3)
    assert weights.shape == (3, 3, 4)
    np.testing.assert_array_equal(weights[0, 0], [1, 0, 0, 0])
    np.testing.assert_array_equal(weights[0, 2], [0, 1, 0, 0])
    np.testing.assert_array_equal(weights[2, 0], [0, 0, 1, 0])
    np.testing.assert_array_equal(weights[1, 1], [0.25] * 4)
    np.testing.assert_allclose(weights.sum(axis=-1), 1)
    with pytest.raises(InputError, match="no corners"):
        grid_weights(1)


def test_fades_of_eight_samples() -> None:
    sound = faded(np.ones(100, np.float32))
    np.testing.assert_allclose(sound[:8], (np.arange(8) + 0.5) / 8)
    np.testing.assert_array_equal(sound[8:-8], 1)
    np.testing.assert_array_equal(sound, sound[::-1])
    assert len(faded(np.ones(1, np.float32))) == 1

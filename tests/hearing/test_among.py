"""Where a sound can only be one of some instruments, the others speak for those near them."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.bundles.bundle import Instrument
from timbrel.hearing.among import likely_among

# Two pairs, far from each other; neighbours lie at a distance of 1.
PLACES = {
    "piano": (0.0, 0.0),
    "electric piano": (1.0, 0.0),
    "flute": (9.0, 0.0),
    "oboe": (9.0, 1.0),
}
INSTRUMENTS = [
    Instrument(name, program, place) for program, (name, place) in enumerate(PLACES.items())
]
AT_A_NEIGHBOUR = np.exp(-2)  # of a Gaussian whose deviation is half of the distance


def test_others_speak_for_their_neighbours_by_distance() -> None:
    heard = np.array([0.1, 0.6, 0.1, 0.2])
    piano, flute = likely_among(heard, INSTRUMENTS, [0, 2])
    assert piano == pytest.approx(0.1 + 0.6 * AT_A_NEIGHBOUR)
    assert flute == pytest.approx(0.1 + 0.2 * AT_A_NEIGHBOUR)


def test_those_that_are_possible_keep_what_is_theirs() -> None:
    heard = np.array([[0.1, 0.6, 0.1, 0.2], [0.0, 0.0, 1.0, 0.0]])
    np.testing.assert_allclose(
        likely_among(heard, INSTRUMENTS, [3, 0, 1, 2]), heard[:, [3, 0, 1, 2]]
    )


def test_nothing_is_said_twice() -> None:
    """What lies in one place with several that are possible is shared among them."""
    same = [
        *INSTRUMENTS,
        Instrument("clavinet", 7, (0.5, 0.0)),
        Instrument("celesta", 8, (0.5, 0.0)),
    ]
    heard = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    found = likely_among(heard, same, [0, 1, 4])
    assert found.sum() <= 1 + 1e-9
    assert found.argmax() == 2


def test_instruments_that_all_lie_in_one_place_cannot_be_told_apart() -> None:
    same = [Instrument(name, 0, (1.0, 1.0)) for name in ("a", "b", "c")]
    np.testing.assert_allclose(likely_among(np.array([0.5, 0.2, 0.3]), same, [0, 1]), [0.65, 0.35])

"""The roll of all keys and bends."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.errors import InputError
from timbrel.score.performance_roll import ROLL_SIZES, PerformanceRoll, roll_of
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.pitch import Pitches
from timbrel.score.score import Automation, Note, Track

STILL = Automation((0.0,), (0.0,))
C4, C5 = Note(60, 127, 0.0, 2.0), Note(72, 64, 1.0, 2.0)


def bent(bend: Automation, *, vibrato: Automation = STILL, program: int = 0) -> PerformanceRoll:
    return PerformanceRoll([C4], 100, pitches=Pitches(bend, STILL, vibrato, program))


def test_without_bends_it_is_the_piano_roll_on_more_keys() -> None:
    roll, piano = PerformanceRoll([C4, C5], 100), PianoRoll([C4, C5], 100)
    found, expected = roll.whole(), piano.whole()
    assert found.shape == (200, 257)
    np.testing.assert_array_equal(found[:, 21:109], expected[:, :88])
    np.testing.assert_array_equal(found[:, 128 + 21 : 128 + 109], expected[:, 88:])
    assert found.sum() == expected.sum()


def test_a_bend_moves_a_note_to_the_next_key_without_an_onset() -> None:
    roll = bent(Automation((0.0, 0.5, 1.0, 1.5), (0.0, 0.4, 0.6, 2.0))).whole()
    keys = roll[:, :128].argmax(axis=1)
    np.testing.assert_array_equal(keys[[10, 60, 110, 160]], [60, 60, 61, 62])
    np.testing.assert_array_equal((roll[:, :128] > 0).sum(axis=1), 1)
    np.testing.assert_allclose(roll[[10, 60, 110, 160], -1], [0, 0.8, -0.8, 0], atol=1e-6)
    assert np.argwhere(roll[:, 128:256]).tolist() == [[0, 60]]


def test_what_rings_on_is_bent_as_well() -> None:
    pitches = Pitches(Automation((0.0,), (0.25,)), STILL, STILL, 0)
    roll = PerformanceRoll([Note(60, 100, 0.0, 0.5)], 100, pitches=pitches, n_frames=100).whole()
    np.testing.assert_allclose(roll[:, -1], 0.5)
    assert roll[60:, :128].sum() == 0


def test_vibrato_sways_around_the_key() -> None:
    roll = bent(STILL, vibrato=Automation((0.0,), (0.4,)), program=15).whole()  # 4 Hz
    assert roll[:, -1].max() == pytest.approx(0.8, abs=0.06)  # there are 25 frames in a cycle
    assert roll[:, -1].min() == pytest.approx(-0.8, abs=0.06)
    rising = np.flatnonzero((roll[1:, -1] > 0) & (roll[:-1, -1] <= 0))
    assert np.diff(rising) == pytest.approx(25, abs=1)
    np.testing.assert_array_equal(roll[:, :128].argmax(axis=1), 60)


@pytest.mark.parametrize("cut", [1, 37, 150])
def test_windows_are_parts_of_the_whole(cut: int) -> None:
    pitches = Pitches(Automation((0.0, 0.7), (0.3, 1.7)), STILL, Automation((0.9,), (0.3,)), 0)
    roll = PerformanceRoll([C4, C5], 100, pitches=pitches)
    parts = [roll.window(start, start + cut) for start in range(-20, 230, cut)]
    whole = roll.window(-20, -20 + cut * len(parts))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_kits_have_all_keys_and_are_not_bent() -> None:
    strokes = [Note(1, 100, 0.0, 0.1), Note(127, 100, 0.2, 0.3)]
    bend = Pitches(Automation((0.0,), (1.0,)), STILL, STILL, 0)
    roll = PerformanceRoll(strokes, 100, pitches=bend, is_kit=True).whole()
    assert np.argwhere(roll[:, 128:256]).tolist() == [[0, 1], [20, 127]]
    assert not roll[:, -1].any()


def test_keys_beyond_midi_are_refused() -> None:
    with pytest.raises(InputError, match="holds the pitches 0–127 only"):
        PerformanceRoll([Note(128, 100, 0.0, 1.0)], 100)


def test_a_model_says_which_roll_it_reads() -> None:
    track = Track("a", 0, 0, (C4,), bend=Automation((0.0,), (1.0,)))
    for kind, size in ROLL_SIZES.items():
        roll = roll_of(kind, track, track.notes, 100)
        assert roll.whole().shape == (200, size)
    assert roll_of("piano", track, track.notes, 100).whole()[:, :88].argmax(axis=1)[50] == 60 - 21
    found = roll_of("performance", track, track.notes, 100).whole()
    assert found[:, :128].argmax(axis=1)[50] == 61

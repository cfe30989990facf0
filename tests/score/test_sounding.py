"""In which stretches notes are heard, and how they are told there."""

from __future__ import annotations

import numpy as np

from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.pitch import Pitches
from timbrel.score.score import Automation, Note
from timbrel.score.sounding import BEFORE_S, RING_S, sounding_notes

RATE = 125.0
STILL = Automation((0.0,), (0.0,))


def roll_of(*notes: Note, bend: Automation | None = None, is_kit: bool = False) -> PerformanceRoll:
    pitches = {} if bend is None else {"pitches": Pitches(bend, STILL, STILL, 0)}
    return PerformanceRoll(notes, RATE, is_kit=is_kit, **pitches)


def test_a_note_is_told_once_and_followed_until_it_has_rung_out() -> None:
    told = sounding_notes(roll_of(Note(60, 80, 1.0, 1.5)), 0, 800)
    np.testing.assert_array_equal(told.notes, [[60, 60, 80, 0]])
    first, last = told.stretches[[0, -1]] * 8 / RATE
    assert first + 8 / RATE > 1.0 - BEFORE_S >= first
    assert last < 1.5 + RING_S <= last + 8 / RATE
    np.testing.assert_array_equal(np.diff(told.stretches), 1)
    # Times since onset and release.
    frames = 8 * told.stretches[:, None] + np.arange(8)
    np.testing.assert_allclose(told.times_s[..., 0], frames / RATE - 1.0, atol=1e-6)
    np.testing.assert_allclose(told.times_s[..., 1], frames / RATE - 1.5, atol=1e-6)


def test_a_part_is_told_as_the_whole() -> None:
    roll = roll_of(Note(60, 80, 0.2, 0.5), Note(64, 90, 0.6, 1.5), Note(67, 70, 5.0, 6.0))
    whole, part = sounding_notes(roll, 0, 800), sounding_notes(roll, 64, 128)
    inside = (whole.stretches >= 8) & (whole.stretches < 16)
    np.testing.assert_array_equal(part.stretches + 8, whole.stretches[inside])
    np.testing.assert_allclose(part.times_s, whole.times_s[inside], atol=1e-6)
    np.testing.assert_array_equal(part.notes[part.of_note], whole.notes[whole.of_note[inside]])
    assert len(part.notes) == 2


def test_notes_that_begin_beyond_what_is_known_are_not_told() -> None:
    roll = roll_of(Note(60, 80, 0.1, 0.5), Note(64, 90, 0.52, 1.5))
    assert len(sounding_notes(roll, 0, 64, last=66).notes) == 2
    assert len(sounding_notes(roll, 0, 64, last=65).notes) == 1


def test_a_bent_note_has_the_pitch_of_each_stretch_and_keeps_its_key() -> None:
    bend = Automation((0.0, 0.32), (0.0, 1.5))
    told = sounding_notes(roll_of(Note(60, 80, 0.0, 1.0), bend=bend), 0, 80)
    found = dict(zip(told.stretches.tolist(), told.notes[told.of_note].tolist(), strict=True))
    assert found[0] == [60, 60, 80, 0]
    assert found[9] == [60, 61.5, 80, 0]
    assert len(told.notes) == 2


def test_where_the_timbre_moves_notes_are_told_anew_in_each_stretch() -> None:
    told = sounding_notes(roll_of(Note(60, 80, 0.0, 1.0)), 0, 64, told_anew=True)
    assert len(told.notes) == 8
    np.testing.assert_array_equal(told.first_frames, np.arange(0, 64, 8))


def test_strokes_say_that_they_are_a_kits() -> None:
    told = sounding_notes(roll_of(Note(36, 100, 0.0, 0.1), is_kit=True), 0, 64)
    np.testing.assert_array_equal(told.notes, [[36, 36, 100, 1]])


def test_where_nothing_sounds_nothing_is_told() -> None:
    told = sounding_notes(roll_of(Note(60, 80, 9.0, 9.5)), 0, 64)
    assert told.notes.shape == (0, 4)
    assert told.times_s.shape == (0, 8, 2)

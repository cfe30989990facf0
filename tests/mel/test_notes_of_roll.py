"""The notes that are found in a roll, beside those that it was made of."""

from __future__ import annotations

import numpy as np
import torch

from timbrel.mel.notes_of_roll import notes_of_rolls
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.pitch import Pitches
from timbrel.score.score import Automation, Note
from timbrel.score.sounding import SoundingNotes, sounding_notes

RATE = 125.0
STILL = Automation((0.0,), (0.0,))
NOTES = (
    Note(60, 80, 0.2, 0.72),
    Note(64, 90, 0.24, 0.4),
    Note(60, 100, 0.72, 1.2),  # struck again, at once
    Note(31, 20, 1.0, 1.04),
)


def found_in(roll: PerformanceRoll, n_frames: int, *, is_kit: bool = False) -> SoundingNotes:
    window = torch.from_numpy(roll.window(0, n_frames))
    (told,) = notes_of_rolls(window[None], RATE, [is_kit])
    return told


def rows(told: SoundingNotes) -> list[tuple]:
    notes = np.round(np.asarray(told.notes), 2)[told.of_note]
    times = np.round(told.times_s[:, 0], 3)
    return sorted(map(tuple, np.column_stack([told.stretches, notes, times]).tolist()))


def test_the_notes_of_a_roll_are_those_that_it_was_made_of() -> None:
    roll = PerformanceRoll(NOTES, RATE)
    assert rows(found_in(roll, 400)) == rows(sounding_notes(roll, 0, 400))


def test_a_note_that_is_bent_across_keys_stays_one_note() -> None:
    times_s = np.arange(0.2, 0.6, 0.01)
    bend = Automation(tuple(times_s), tuple(np.linspace(0, 2, len(times_s))))
    roll = PerformanceRoll(
        (Note(60, 80, 0.04, 0.96),), RATE, pitches=Pitches(bend, STILL, STILL, 0)
    )
    told, true = found_in(roll, 120), sounding_notes(roll, 0, 120)
    assert set(np.asarray(told.notes)[:, 0]) == {60}
    np.testing.assert_array_equal(told.stretches, true.stretches)
    np.testing.assert_allclose(told.times_s, true.times_s, atol=1e-5)
    pitches = [np.asarray(one.notes)[one.of_note, 1] for one in (told, true)]
    assert np.abs(pitches[0] - pitches[1])[:15].max() < 0.05  # the roll holds bends of what sounds


def test_strokes_of_a_kit_say_so() -> None:
    told = found_in(PerformanceRoll(NOTES, RATE, is_kit=True), 400, is_kit=True)
    assert set(np.asarray(told.notes)[:, 3]) == {1}


def test_what_sounds_from_the_first_frame_on_began_before() -> None:
    whole = PerformanceRoll((Note(60, 80, 0.0, 1.6),), RATE)
    window = torch.from_numpy(whole.window(100, 300))
    (told,) = notes_of_rolls(window[None], RATE)
    assert told.times_s[0, 0, 0] > 0.1
    assert told.times_s[0, 0, 1] == np.float32(-0.8)


def test_velocities_pass_gradients_on() -> None:
    roll = torch.from_numpy(PerformanceRoll(NOTES, RATE).window(0, 200)).requires_grad_()
    (told,) = notes_of_rolls(roll[None], RATE)
    told.notes[:, 2].sum().backward()
    gradient = roll.grad
    assert gradient is not None
    assert set(np.flatnonzero(gradient.abs().sum(0).numpy())) == {31, 60, 64}
    np.testing.assert_array_equal(
        np.unique(told.notes[:, 2].detach().numpy().round(3)), [20, 80, 90, 100]
    )


def test_an_empty_roll_holds_no_notes() -> None:
    (told,) = notes_of_rolls(torch.zeros(1, 50, 257), RATE)
    assert len(told.notes) == len(told.of_note) == 0

"""Pulse trains of the score: pitch, phase, power, borders of blocks, and PyTorch's twin."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from conftest import EXAMPLES, FRAME_RATE
from timbrel.score.midi import read_midi
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Note, note_table
from timbrel.vocoder import parallel
from timbrel.vocoder.excitation import (
    ENVELOPES,
    Excitation,
    NoteFrames,
    pulses,
    silent_from,
    stack_notes,
)

RATE, HOP, GRID_S = 16_000, 128, 0.002
HELD, SLOW, QUICK = 0, 1, 2  # the envelopes


def roll_of(notes: Iterable[Note], *, n_frames: int | None = None) -> PianoRoll:
    """A roll at the default models' frame rate."""
    return PianoRoll(notes, FRAME_RATE, n_frames=n_frames)


def notes(roll: PianoRoll, start: int, stop: int, **options: float) -> NoteFrames[np.ndarray]:
    geometry = {"sample_rate": RATE, "hop_length": HOP, "onset_grid_s": GRID_S}
    return Excitation(roll, **geometry | options).frames(start, stop)


def excitation(
    roll: PianoRoll, start: int, stop: int, *, envelope: int = HELD, **options: float
) -> np.ndarray:
    return pulses(notes(roll, start, stop, **options), HOP)[envelope]


def test_a_note_is_the_sum_of_its_cosines_from_its_onset_on() -> None:
    onset_s, hz = 0.1003, 220.0
    found = excitation(roll_of([Note(57, 127, onset_s, 1.0)]), 0, 100, onset_grid_s=1e-4)
    time_s = np.arange(len(found)) / RATE - onset_s
    n = int(0.98 * RATE / 2 / hz)
    cosines = sum(np.cos(2 * np.pi * h * hz * time_s) for h in range(1, n + 1))
    expected = np.where(time_s >= 0, np.sqrt(2 / n) * cosines, 0.0)
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    assert not found[: int(onset_s * RATE)].any()


def test_notes_begin_on_the_grid_and_not_before_they_are_struck() -> None:
    roll = roll_of([Note(57, 127, 0.1003, 1.0)])
    on_grid = roll_of([Note(57, 127, 0.104, 1.0)])
    late = excitation(roll, 0, 100, onset_grid_s=0.004)
    np.testing.assert_array_equal(late, excitation(on_grid, 0, 100, onset_grid_s=0.004))
    assert not np.array_equal(late, excitation(roll, 0, 100, onset_grid_s=0.002))


def test_power_is_the_same_for_all_pitches() -> None:
    for pitch in (21, 45, 69, 93, 108):
        found = excitation(roll_of([Note(pitch, 127, 0.0, 10.0)]), 0, 1000)
        assert np.mean(found**2) == pytest.approx(1.0, rel=0.05)


def level(audio: np.ndarray, at_s: float) -> float:
    start = int(at_s * RATE)
    return float(np.sqrt(np.mean(audio[start : start + 1600] ** 2)))


@pytest.mark.parametrize("envelope", [HELD, SLOW, QUICK])
def test_notes_fall_as_their_envelopes_say(envelope: int) -> None:
    found = excitation(roll_of([Note(60, 127, 0.0, 1.0)]), 0, 500, envelope=envelope)
    decay_s, release_s = ENVELOPES[envelope]
    assert level(found, 0.7) / level(found, 0.3) == pytest.approx(np.exp(-0.4 / decay_s), rel=0.05)
    released = level(found, 1.3) / level(found, 1.1)
    assert released == pytest.approx(np.exp(-0.2 * (1 / release_s + 1 / decay_s)), rel=0.05)
    assert not found[int(2.6 * RATE) :].any()


def test_a_note_is_left_out_after_its_release_or_where_its_key_is_struck_again() -> None:
    notes = [
        Note(60, 90, 0.0, 1.0),  # struck again while it fades
        Note(60, 90, 2.0, 3.0),
        Note(60, 90, 8.0, 20.0),  # held beside its repetition
        Note(60, 90, 9.0, 10.0),
        Note(61, 90, 2.2, 2.3),
        Note(60, 90, 30.0, 30.5),
    ]
    table = note_table(notes)
    expected = {0.0: 2.0, 2.0: 4.5, 2.2: 3.8, 8.0: 20.0, 9.0: 11.5, 30.0: 32.0}
    assert dict(zip(table[:, 0].tolist(), silent_from(table).tolist(), strict=True)) == expected


def test_a_key_that_is_struck_again_silences_its_former_note() -> None:
    both = excitation(roll_of([Note(60, 127, 0.0, 0.4), Note(60, 127, 0.8, 1.6)]), 0, 300)
    second = excitation(roll_of([Note(60, 127, 0.8, 1.6)]), 0, 300)
    np.testing.assert_array_equal(both[RATE:], second[RATE:])


def test_overlapping_notes_of_one_pitch_both_sound() -> None:
    first, second = Note(60, 100, 0.0, 1.0), Note(60, 80, 0.5, 1.5)
    both = excitation(roll_of([first, second]), 0, 110)
    alone = [excitation(roll_of([note]), 0, 110) for note in (first, second)]
    np.testing.assert_allclose(both, sum(alone), atol=1e-4)


def test_blocks_of_any_size_give_the_same_samples() -> None:
    roll = roll_of(read_midi(EXAMPLES / "duet.mid").merged().notes)
    whole = excitation(roll, 0, 400)
    for size in (1, 7, 64):
        parts = [excitation(roll, s, min(s + size, 400)) for s in range(0, 400, size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)


def test_tuning_moves_the_pitch() -> None:
    roll = roll_of([Note(69, 127, 0.0, 5.0)])
    sharp = excitation(roll, 0, 500, tuning_cents=100.0)
    semitone = excitation(roll_of([Note(70, 127, 0.0, 5.0)]), 0, 500)
    np.testing.assert_allclose(sharp, semitone, atol=1e-3)


def test_a_silent_span_is_silent() -> None:
    assert not excitation(roll_of([Note(60, 90, 0.0, 1.0)]), 1000, 1010).any()
    assert pulses(notes(roll_of([]), 0, 10), HOP).shape == (3, 1280)


def test_pytorch_computes_the_same_pulses() -> None:
    roll = roll_of(read_midi(EXAMPLES / "prelude.mid").notes)
    frames = notes(roll, 200, 300)
    found = parallel.pulses(parallel.tensors(stack_notes([frames])), hop_length=HOP)[0].numpy()
    np.testing.assert_allclose(found, pulses(frames, HOP), atol=1e-3)

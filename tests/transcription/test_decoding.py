"""From probabilities to notes: when they begin and end, how they are bent, how sure they are."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.transcription.decoding import HeardNote, NoteDecoder, Thresholds, probabilities
from timbrel.transcription.sizes import BEND, FRAME, OFFSET, ONSET, VELOCITY

RATE = 62.5


def empty(n_frames: int = 100) -> np.ndarray:
    return np.zeros((n_frames, 88, 5), np.float32)


def triangle(values: np.ndarray, key: int, head: int, centre: float, height: float = 0.9) -> None:
    frames = np.arange(len(values))
    shape = height * np.maximum(1 - np.abs(frames - centre) / 2, 0)
    values[:, key, head] = np.maximum(values[:, key, head], shape)


def note(values: np.ndarray, key: int, start: float, end: float, velocity: float = 0.5) -> None:
    """What a perfect network says of a note."""
    triangle(values, key, ONSET, start)
    triangle(values, key, OFFSET, end)
    first, last = round(start), round(end)
    values[first:last, key, FRAME] = 0.9
    values[max(first - 2, 0) : first + 3, key, VELOCITY] = velocity


def decoded(values: np.ndarray, block: int = 1000, **thresholds: float) -> list[HeardNote]:
    decoder = NoteDecoder(RATE, Thresholds(**thresholds))
    found = []
    for first in range(0, len(values), block):
        found += decoder.push(values[first : first + block])
    return sorted([*found, *decoder.finish()], key=lambda note: (note.start_s, note.pitch))


@pytest.mark.parametrize("start", [0.0, 10.0, 10.3, 10.49, 10.51, 10.8])
def test_a_note_begins_and_ends_between_frames(start: float) -> None:
    values = empty()
    note(values, 39, start, start + 20.4, velocity=100 / 127)
    (found,) = decoded(values)
    assert (found.pitch, found.velocity) == (60, 100)
    assert found.start_s * RATE == pytest.approx(start, abs=0.1)
    assert found.end_s * RATE == pytest.approx(start + 20.4, abs=0.1)
    assert found.bend_cents == ()


def test_an_onset_of_which_only_the_time_is_unsure_is_one() -> None:
    values = empty()
    values[18:25, 39, ONSET] = 0.29  # in all as much as a sure one
    values[18:25, 39, VELOCITY] = np.linspace(40, 100, 7) / 127
    values[20:50, 39, FRAME] = 0.9
    (found,) = decoded(values)
    # Where 35 % of the seven frames have passed: what begins slowly is heard late.
    assert found.start_s * RATE == pytest.approx(17.5 + 0.35 * 7, abs=0.1)
    assert found.velocity == 70
    assert found.confidence == pytest.approx(np.sqrt(0.9 * 0.96), abs=0.03)
    # Below the threshold in all, it is none.
    values[:, 39, ONSET] *= 0.35
    assert decoded(values) == []


def test_a_key_struck_twice_within_a_tenth_of_a_second_is_two_notes() -> None:
    values = empty()
    note(values, 10, 20, 26)
    note(values, 10, 26.5, 33)
    first, second = decoded(values)
    assert first.start_s * RATE == pytest.approx(20, abs=0.4)
    assert second.start_s * RATE == pytest.approx(26.5, abs=0.4)


def test_a_key_that_no_longer_sounds_has_ended_without_a_release() -> None:
    values = empty()
    triangle(values, 10, ONSET, 20)
    values[20:50, 10, FRAME] = 0.9
    (found,) = decoded(values)
    assert found.end_s * RATE == pytest.approx(50, abs=0.5)


def test_one_frame_of_doubt_ends_nothing() -> None:
    values = empty()
    note(values, 10, 20, 50)
    values[30, 10, FRAME] = 0
    assert len(decoded(values)) == 1


def test_a_key_struck_anew_is_two_notes() -> None:
    values = empty()
    note(values, 10, 20, 80)
    triangle(values, 10, ONSET, 50)
    first, second = decoded(values)
    assert first.end_s == second.start_s
    assert second.start_s * RATE == pytest.approx(50, abs=0.1)
    assert second.end_s * RATE == pytest.approx(80, abs=0.1)


def test_an_onset_is_one_even_where_it_has_two_peaks() -> None:
    values = empty()
    note(values, 10, 20, 50)
    values[18:24, 10, ONSET] = (0.3, 0.8, 0.75, 0.85, 0.3, 0)
    assert len(decoded(values)) == 1


def test_blocks_change_nothing() -> None:
    random = np.random.default_rng(1)
    values = random.random((300, 88, 5), np.float32) ** 3
    expected = decoded(values)
    assert len(expected) > 100
    assert decoded(values, block=1) == expected
    assert decoded(values, block=17) == expected


def test_what_sounds_at_the_end_ends_there() -> None:
    values = empty(60)
    note(values, 10, 20, 90)
    note(values, 12, 59.0, 70)  # its peak is the last frame
    first, second = decoded(values)
    assert first.end_s * RATE == pytest.approx(60)
    assert second.start_s * RATE == pytest.approx(59, abs=0.5)
    assert second.end_s > second.start_s


def test_a_note_is_followed_across_keys() -> None:
    values = empty()
    note(values, 39, 10, 60)
    values[:, 39, OFFSET] = 0
    # It rises by two semitones, a semitone in ten frames.
    for frame in range(30, 60):
        semitones = min((frame - 30) / 10, 2.0)
        key = round(39 + semitones)
        values[frame, 38:42, FRAME] = 0
        values[frame, key, FRAME] = 0.9
        values[frame, key, BEND] = 100 * (39 + semitones - key)
    triangle(values, 41, OFFSET, 60)
    (found,) = decoded(values)
    assert found.pitch == 60
    assert found.end_s * RATE == pytest.approx(60, abs=0.1)
    assert found.bend_cents[5] == pytest.approx(0)
    assert found.bend_cents[28] == pytest.approx(80, abs=1)
    assert found.bend_cents[-1] == pytest.approx(200)
    assert len(found.bend_cents) == 50


def test_a_struck_neighbour_is_a_note_of_its_own() -> None:
    values = empty()
    note(values, 39, 10, 30)
    note(values, 40, 30, 50)
    values[:, 39, OFFSET] = 0
    assert [found.pitch for found in decoded(values)] == [60, 61]


def test_a_steady_deviation_is_no_bend_but_is_told() -> None:
    values = empty()
    note(values, 39, 10, 60)
    values[:, 39, BEND] = 17.0
    (found,) = decoded(values)
    assert found.cents == pytest.approx(17.0)
    assert found.bend_cents == ()


def test_confidence_falls_with_the_onset_and_the_frames() -> None:
    values = empty()
    note(values, 10, 20, 50)
    note(values, 20, 20, 50)
    note(values, 30, 20, 50)
    values[:, 20, ONSET] *= 0.6
    values[:, 30, FRAME] *= 0.6
    sure, soft, doubtful = (found.confidence for found in decoded(values))
    assert sure == pytest.approx(0.9, abs=0.02)
    assert soft == pytest.approx(np.sqrt(0.54 * 0.9), abs=0.02)
    assert doubtful == pytest.approx(np.sqrt(0.9 * 0.54), abs=0.02)


def test_thresholds_decide_what_counts() -> None:
    values = empty()
    triangle(values, 10, ONSET, 20, height=0.45)
    values[20:50, 10, FRAME] = 0.45
    assert len(decoded(values)) == 1
    assert decoded(values, onset=0.5) == []
    (short,) = decoded(values, frame=0.5)
    assert short.end_s - short.start_s < 3 / RATE


def test_probabilities_of_logits() -> None:
    values = np.full((1, 88, 5), 0.5, np.float32)
    found = probabilities(values)
    np.testing.assert_allclose(found[..., : OFFSET + 1], 1 / (1 + np.exp(-0.5)), rtol=1e-6)
    np.testing.assert_array_equal(found[..., VELOCITY:], 0.5)


def test_velocities_lean_on_those_just_before_and_beside_them() -> None:
    values = empty(300)
    note(values, 39, 10, 20, velocity=100 / 127)
    note(values, 45, 40, 60, velocity=60 / 127)
    note(values, 52, 40, 60, velocity=20 / 127)
    note(values, 39, 150, 170, velocity=30 / 127)  # 1.76 s after the others
    (first, low, high, last) = decoded(values)
    assert (first.velocity, last.velocity) == (100, 30)
    # The mean of the three that begin within 1.5 s is 60.
    assert (low.velocity, high.velocity) == (60, 20 + 0.2 * 40)
    # How the stream is cut changes nothing.
    assert [one.velocity for one in decoded(values, block=7)] == [100, 60, 28, 30]

"""Measures of transcriptions: frames as mir_eval counts them, velocities after a straight line."""

from __future__ import annotations

import numpy as np
import pytest
from mir_eval import multipitch
from mir_eval.util import midi_to_hz

from timbrel.measures.transcription import frame_f1, transcription_scores

# Start, end, pitch, velocity.
SCORE = np.array(
    [
        (0.5, 1.0, 60, 40),
        (1.0, 1.5, 62, 60),
        (1.5, 2.5, 64, 80),
        (1.5, 2.0, 67, 100),
        (3.0, 3.4, 60, 120),
    ],
    np.float64,
)


def test_the_score_itself_is_right_in_all() -> None:
    found = transcription_scores(SCORE, SCORE, 4.0)
    assert (found.onset, found.pitch, found.offset, found.velocity, found.frame) == (1,) * 5
    assert found.velocity_error == pytest.approx(0, abs=1e-9)
    assert found.constant_error == pytest.approx((40 + 20 + 0 + 20 + 40) / 5)


def test_frames_are_counted_as_by_mir_eval() -> None:
    other = SCORE.copy()
    other[:, 1] += 0.2
    other[2, 2] = 65
    times_s = np.arange(0, 4.0, 0.01)

    def sounding(notes: np.ndarray) -> list[np.ndarray]:
        starts, ends = (np.searchsorted(times_s, notes[:, i]) for i in (0, 1))
        return [
            midi_to_hz(np.unique(notes[(starts <= i) & (i < ends), 2])) for i in range(len(times_s))
        ]

    precision, recall, *_ = multipitch.metrics(times_s, sounding(SCORE), times_s, sounding(other))
    expected = 2 * precision * recall / (precision + recall)
    assert frame_f1(SCORE, other, 4.0) == pytest.approx(expected, abs=1e-9)
    assert 0.4 < expected < 0.9


def test_a_scale_and_an_offset_of_velocities_do_not_count() -> None:
    other = SCORE.copy()
    other[:, 3] = 20 + SCORE[:, 3] / 2
    found = transcription_scores(SCORE, other, 4.0)
    assert found.velocity_error == pytest.approx(0, abs=1e-9)
    assert found.velocity == 1
    other[:, 3] = 64  # a constant says nothing
    found = transcription_scores(SCORE, other, 4.0)
    assert found.velocity_error == pytest.approx(24, abs=1e-6)
    other[:, 3] = (64, 64, 64, 64, 65)
    assert transcription_scores(SCORE, other, 4.0).velocity_error < 24


def test_only_right_notes_have_a_velocity() -> None:
    other = SCORE.copy()
    other[0, 2], other[0, 3] = 61, 127  # a wrong pitch
    found = transcription_scores(SCORE, other, 4.0)
    assert found.pitch == pytest.approx(0.8)
    assert found.velocity_error == pytest.approx(0, abs=1e-9)
    assert found.constant_error == pytest.approx((30 + 10 + 10 + 30) / 4)


def test_who_says_nothing_of_ends_and_velocities_is_not_judged_by_them() -> None:
    found = transcription_scores(SCORE, SCORE, 4.0, offsets=False, velocities=False)
    assert (found.onset, found.pitch) == (1, 1)
    assert np.isnan([found.offset, found.velocity, found.frame, found.velocity_error]).all()


def test_nothing_heard_and_nothing_played() -> None:
    nothing = np.zeros((0, 4))
    found = transcription_scores(SCORE, nothing, 4.0)
    assert (found.onset, found.pitch, found.offset, found.velocity, found.frame) == (0,) * 5
    assert np.isnan(found.velocity_error)
    assert np.isnan(transcription_scores(nothing, SCORE, 4.0).pitch)
    assert np.isnan(frame_f1(nothing, SCORE, 4.0))

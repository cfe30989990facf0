"""Scores of transcriptions, on cases whose values are known."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.measures.notes_heard import note_scores, note_table
from timbrel.score.score import Note

DURATION_S = 10.0
SCALE = np.array([(1.0 + 0.5 * i, 1.4 + 0.5 * i, 60 + i) for i in range(10)])


def test_equal_notes_are_found() -> None:
    found = note_scores(SCALE, SCALE[::-1], DURATION_S)
    assert (found.onset, found.pitch, found.offset) == (1, 1, 1)


@pytest.mark.parametrize(
    ("onset_s", "semitones", "end_s", "expected"),
    [
        (0.049, 0, 0, (1, 1, 1)),
        (0.051, 0, 0, (0, 0, 0)),
        (0, 1, 0, (1, 0, 0)),
        (0, 0, 0.079, (1, 1, 1)),  # 20 % of 0.4 s are 0.08 s
        (0, 0, 0.081, (1, 1, 0)),
        (0, 12, 0, (1, 0, 0)),
    ],
)
def test_each_score_wants_more(
    onset_s: float, semitones: int, end_s: float, expected: tuple[float, ...]
) -> None:
    estimated = SCALE + np.array([onset_s, end_s, semitones])
    found = note_scores(SCALE, estimated, DURATION_S)
    assert (found.onset, found.pitch, found.offset) == expected


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    """6 of 10 notes are found among 8: precision .75, recall .6."""
    wrong = [(9.0, 9.2, 40), (9.3, 9.5, 41)]
    estimated = np.concatenate([SCALE[:6], wrong])
    expected = 2 * 0.75 * 0.6 / (0.75 + 0.6)
    assert note_scores(SCALE, estimated, DURATION_S).pitch == pytest.approx(expected)


def test_notes_at_the_ends_are_no_mistakes() -> None:
    held = [(-3.0, 1.0, 70), (0.01, 1.0, 72), (9.97, 12.0, 74)]
    reference = np.concatenate([SCALE, held])
    assert note_scores(reference, SCALE, DURATION_S).pitch == 1
    assert note_scores(SCALE, reference, DURATION_S).pitch == 1
    # What ends after the excerpt ends with it.
    long = np.array([(5.0, 30.0, 60)])
    assert note_scores(long, np.array([(5.0, 10.0, 60)]), DURATION_S).offset == 1


def test_a_key_struck_twice_at_once_is_one_note() -> None:
    doubled = np.concatenate([SCALE, SCALE + np.array([0.03, 0.2, 0])])
    assert note_scores(doubled, SCALE, DURATION_S).pitch == 1
    assert (
        note_scores(
            np.concatenate([SCALE, SCALE + np.array([0.06, 0, 0])]), SCALE, DURATION_S
        ).pitch
        < 0.7
    )


def test_nothing_to_find_has_no_score() -> None:
    none = np.zeros((0, 3))
    found = note_scores(none, SCALE, DURATION_S)
    assert np.isnan([found.onset, found.pitch, found.offset]).all()
    found = note_scores(SCALE, none, DURATION_S)
    assert (found.onset, found.pitch, found.offset) == (0, 0, 0)


def test_judges_without_ends_have_no_score_for_them() -> None:
    assert np.isnan(note_scores(SCALE, SCALE, DURATION_S, offsets=False).offset)
    assert np.isnan(note_scores(SCALE, SCALE[:0], DURATION_S, offsets=False).offset)
    # A note without length is no error.
    assert (
        note_scores(SCALE, SCALE * [1, 0, 1] + np.array([0, 1, 0]), DURATION_S, offsets=False).pitch
        == 1
    )


def test_table_counts_from_the_excerpt() -> None:
    table = note_table([Note(60, 90, 8.0, 9.0), Note(64, 90, 8.5, 9.5)], 8.0)
    np.testing.assert_allclose(table, [(0, 1, 60), (0.5, 1.5, 64)])
    assert note_table([]).shape == (0, 3)

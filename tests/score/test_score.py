"""Scores: what they hold, and what of it sounds in a span of time."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.score import Automation, Note, Score, Track


def track(*notes: Note, **options: object) -> Track:
    return Track("some", options.pop("program", 0), options.pop("channel", 0), notes, **options)


class TestAutomation:
    CURVE = Automation((0.0, 1.0, 2.5), (1.0, 0.5, 0.25))

    def test_a_value_holds_until_the_next_time(self) -> None:
        times_s = np.array([0.0, 0.999, 1.0, 2.4, 2.5, 100.0])
        assert self.CURVE.at(times_s).tolist() == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]

    def test_the_first_value_holds_before_the_first_time(self) -> None:
        curve = Automation((1.0, 2.0), (0.3, 0.6))
        assert curve.at(np.array([-5.0, 0.0, 0.99, 1.5])).tolist() == [0.3, 0.3, 0.3, 0.3]

    def test_of_values_at_one_time_the_last_one_stands(self) -> None:
        curve = Automation((0.0, 1.0, 1.0), (0.1, 0.2, 0.3))
        assert curve.at(np.array([1.0])).tolist() == [0.3]

    def test_no_times_no_values(self) -> None:
        assert self.CURVE.at(np.zeros(0)).shape == (0,)

    @pytest.mark.parametrize("seconds", [-2.0, 0.75])
    def test_a_shifted_curve_is_later(self, seconds: float) -> None:
        shifted = self.CURVE.shifted(seconds)
        assert shifted == Automation((seconds, 1 + seconds, 2.5 + seconds), (1.0, 0.5, 0.25))
        times_s = np.linspace(0, 5, 51)
        assert (shifted.at(times_s + seconds) == self.CURVE.at(times_s)).all()


class TestScore:
    def test_an_empty_score_lasts_no_time(self) -> None:
        score = Score(())
        assert (score.duration_s, score.n_notes, score.notes) == (0.0, 0, [])
        assert Score((track(),)).duration_s == 0.0

    def test_the_duration_is_the_end_of_the_note_that_ends_last(self) -> None:
        long, late = Note(60, 64, 0.0, 9.0), Note(62, 64, 5.0, 6.0)
        assert Score((track(long), track(late))).duration_s == 9.0

    def test_the_notes_of_all_tracks_are_sorted_by_start_then_pitch(self) -> None:
        first = track(Note(72, 1, 0.0, 1.0), Note(64, 1, 1.0, 2.0))
        second = track(Note(48, 1, 0.0, 5.0), Note(60, 1, 0.5, 1.0), Note(50, 1, 1.0, 2.0))
        score = Score((first, second))
        assert [(note.start_s, note.pitch) for note in score.notes] == [
            (0.0, 48),
            (0.0, 72),
            (0.5, 60),
            (1.0, 50),
            (1.0, 64),
        ]
        assert score.n_notes == 5

    def test_unplayable_notes_are_counted_and_bends_are_no_notes(self) -> None:
        counts = {"drum_notes": 3, "notes_outside_21_108": 4, "pitch_bends": 100}
        assert Score((), unplayable=counts).unplayable_notes == 7

    def test_merged_tracks_are_one_of_neutral_mix(self) -> None:
        quiet = Automation((0.0,), (0.1,))
        first = track(Note(72, 1, 1.0, 2.0), program=56, channel=3, gain=quiet, pan=quiet)
        second = track(Note(48, 1, 0.0, 5.0), program=46)
        score = Score((first, second), pedal_events=7, unplayable={"drum_notes": 1})
        merged = score.merged()
        (only,) = merged.tracks
        assert only.notes == (Note(48, 1, 0.0, 5.0), Note(72, 1, 1.0, 2.0))
        assert only.program == 56
        assert only.gain.at(np.array([3.0])).tolist() == [1.0]
        assert only.pan is None
        assert (merged.pedal_events, merged.unplayable) == (7, {"drum_notes": 1})

    def test_an_empty_score_can_be_merged(self) -> None:
        assert Score(()).merged().n_notes == 0


class TestExcerpt:
    SCORE = Score(
        (
            track(
                Note(60, 1, 0.0, 2.0),
                Note(62, 1, 2.0, 4.0),
                Note(64, 1, 3.0, 8.0),
                Note(65, 1, 4.0, 5.0),
                Note(67, 1, 6.0, 7.0),
                gain=Automation((0.0, 1.0, 3.5), (1.0, 0.5, 0.25)),
                pan=Automation((0.0, 4.0), (0.0, 1.0)),
            ),
            track(Note(40, 1, 9.0, 10.0)),
        ),
        pedal_events=5,
    )

    def test_what_sounds_in_the_span_is_moved_and_its_ends_are_clipped(self) -> None:
        excerpt = self.SCORE.excerpt(2.5, 2.0)
        assert excerpt.tracks[0].notes == (
            Note(62, 1, -0.5, 1.5),  # struck before the span: the start tells it
            Note(64, 1, 0.5, 2.0),  # goes on after the span
            Note(65, 1, 1.5, 2.0),
        )
        assert excerpt.duration_s == 2.0

    def test_the_span_does_not_hold_its_end(self) -> None:
        # The note of 60 ends where the span begins, and 65 begins where it ends.
        assert [note.pitch for note in self.SCORE.excerpt(2.0, 2.0).notes] == [62, 64]

    def test_without_a_duration_it_goes_on_to_the_end(self) -> None:
        excerpt = self.SCORE.excerpt(5.0)
        assert excerpt.notes == [
            Note(64, 1, -2.0, 3.0),
            Note(67, 1, 1.0, 2.0),
            Note(40, 1, 4.0, 5.0),
        ]

    def test_automation_moves_along(self) -> None:
        times_s = np.linspace(0, 4, 41)
        part, whole = self.SCORE.excerpt(2.5, 4.0).tracks[0], self.SCORE.tracks[0]
        assert (part.gain.at(times_s) == whole.gain.at(times_s + 2.5)).all()
        assert (part.pan.at(times_s) == whole.pan.at(times_s + 2.5)).all()
        assert part.gain.at(np.array([0.0, 1.0])).tolist() == [0.5, 0.25]

    def test_tracks_without_notes_in_the_span_stay(self) -> None:
        excerpt = self.SCORE.excerpt(0.0, 1.0)
        assert [len(track.notes) for track in excerpt.tracks] == [1, 0]
        assert excerpt.pedal_events == 5

    def test_beyond_the_end_there_is_nothing(self) -> None:
        assert self.SCORE.excerpt(10.0).n_notes == 0
        assert self.SCORE.excerpt(10.0, 5.0).duration_s == 0.0

    @pytest.mark.parametrize("start_s", [0.0, 1.0])
    def test_a_note_without_length_belongs_to_the_span_that_it_begins_in(
        self, start_s: float
    ) -> None:
        score = Score((track(Note(60, 1, 1.0, 1.0)),))
        assert score.excerpt(start_s, 1.5).notes == [Note(60, 1, 1.0 - start_s, 1.0 - start_s)]
        assert score.excerpt(0.0, 1.0).n_notes == 0
        assert score.excerpt(1.25).n_notes == 0

    def test_spans_in_a_row_strike_each_note_once(self) -> None:
        parts = [self.SCORE.excerpt(0.75 * i, 0.75).notes for i in range(14)]
        struck = [note.pitch for part in parts for note in part if note.start_s >= 0]
        assert sorted(struck) == [40, 60, 62, 64, 65, 67]

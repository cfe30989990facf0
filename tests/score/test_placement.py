"""Tracks of scores that say nothing of places."""

from __future__ import annotations

from timbrel.score.placement import SEATS, placed
from timbrel.score.score import Automation, Note, Score, Track


def track(program: int, *, pan: float | None = None, is_kit: bool = False) -> Track:
    curve = None if pan is None else Automation((0.0,), (pan,))
    return Track("track", program, 0, (Note(60, 64, 0.0, 1.0),), pan=curve, is_kit=is_kit)


def places(*tracks: Track, drums: tuple[Track, ...] = ()) -> list[float]:
    score = placed(Score(tracks, drum_tracks=drums))
    return [t.pan.values[0] for t in (*score.tracks, *score.drum_tracks) if t.pan is not None]


def test_a_single_instrument_sits_in_the_centre() -> None:
    assert places(track(0), track(0)) == [0.0, 0.0]
    assert places(drums=(track(0, is_kit=True),)) == [0.0]


def test_instruments_sit_to_both_sides_and_those_that_are_alike_together() -> None:
    found = places(track(0), track(40), track(0), track(56), drums=(track(0, is_kit=True),))
    assert found == [SEATS[0], SEATS[1], SEATS[0], SEATS[2], 0.0]
    assert abs(sum(SEATS)) < 1e-9


def test_drums_and_basses_stay_in_the_centre() -> None:
    assert places(track(33), track(24), track(0, is_kit=True)) == [0.0, SEATS[0], 0.0]
    assert places(track(0), drums=(track(0, is_kit=True),)) == [SEATS[0], 0.0]


def test_more_instruments_than_seats_begin_again() -> None:
    assert places(*map(track, range(8))) == [*SEATS, *SEATS[:2]]


def test_a_file_that_sets_a_pan_is_left_as_it_is() -> None:
    assert places(track(0), track(40, pan=0.0), track(56, pan=-1.0)) == [0.0, 0.0, -1.0]
    assert places(track(0), drums=(track(0, pan=0.5, is_kit=True),)) == [0.0, 0.5]

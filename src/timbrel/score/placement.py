"""Places for the tracks of scores that say nothing of them.

Four of five files set no pan at all, and would sound the same on both sides. Their instruments are
seated a little apart: drums and basses in the centre, the others to the left and the right of it in
turn, those that come first nearest. Tracks of one instrument sit together, and a single instrument
in the centre. A file that sets a pan anywhere is left as it is.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle

from timbrel.score.score import Automation, Score, Track

SEATS = (-0.2, 0.2, -0.35, 0.35, -0.1, 0.1)
CENTRE = NOTHING_SENT = Automation((0.0,), (0.0,))
BASSES = range(32, 40)  # programs of General MIDI


def placed(score: Score) -> Score:
    """The score with a pan for each track."""
    tracks = (*score.tracks, *score.drum_tracks)
    seats: dict[int, Automation] = {}
    if all(track.pan is None for track in tracks):
        free = cycle(SEATS)
        for track in score.tracks:
            if not _in_centre(track) and track.program not in seats:
                seats[track.program] = Automation((0.0,), (next(free),))
        if len({(track.is_kit, track.program) for track in tracks}) == 1:
            seats.clear()

    def seated(track: Track) -> Track:
        if track.pan is not None:
            return track
        seat = CENTRE if _in_centre(track) else seats.get(track.program, CENTRE)
        return replace(track, pan=seat)

    return replace(
        score,
        tracks=tuple(map(seated, score.tracks)),
        drum_tracks=tuple(map(seated, score.drum_tracks)),
    )


def without_room(score: Score) -> Score:
    """The score as it is mixed dry: no track gets a place or sends to the room's effects."""

    def dry(track: Track) -> Track:
        pan = CENTRE if track.pan is None else track.pan
        return replace(track, pan=pan, reverb=NOTHING_SENT, chorus=NOTHING_SENT)

    return replace(
        score,
        tracks=tuple(map(dry, score.tracks)),
        drum_tracks=tuple(map(dry, score.drum_tracks)),
    )


def _in_centre(track: Track) -> bool:
    return track.is_kit or track.program in BASSES

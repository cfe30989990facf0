"""Voices: which tracks are played as one, and what is too much at one time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from conftest import FRAME_RATE
from timbrel.score.score import Automation, Note, Score, Track, note_table
from timbrel.score.voices import (
    MOST_NOTES,
    MOST_VOICES,
    Voices,
    excerpt,
    voices_of,
)
from timbrel.timbre.timbre import Timbre

PIANO, HARP = Timbre.constant((0.0, 1.0)), Timbre.constant((1.0, 0.0))


def track(*notes: tuple[int, float, float], **settings: object) -> Track:
    """A piano that plays some pitches from a time to another."""
    track = Track("hand", 0, 0, tuple(Note(p, 80, start, end) for p, start, end in notes))
    return replace(track, **settings)


def voices(
    tracks: Sequence[Track], timbres: Sequence[Timbre] | None = None, **options: bool
) -> Voices:
    given = [PIANO] * len(tracks) if timbres is None else timbres
    return voices_of(Score(tuple(tracks)), given, FRAME_RATE, **options)


def members(tracks: Sequence[Track], **options: object) -> list[tuple[int, int]]:
    """Numbers of the voices, and how many notes each plays."""
    return [(voice.number, len(voice.notes)) for voice in voices(tracks, **options).voices]


RIGHT = track((72, 0, 1), (74, 1, 2))
LEFT = track((48, 0, 2), name="left", channel=3)


def test_parts_of_one_instrument_are_one_voice_whatever_their_names_and_channels() -> None:
    (voice,) = voices([RIGHT, LEFT]).voices
    assert voice.number == 0
    assert (voice.notes == note_table([*RIGHT.notes, *LEFT.notes])).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"program": 1},
        {"gain": Automation((0.0,), (0.5,))},
        {"gain": Automation((0.0, 1.0), (1.0, 0.9))},
        {"pan": Automation((0.0,), (-0.1,))},
    ],
)
def test_parts_that_sound_otherwise_are_voices_of_their_own(settings: dict) -> None:
    assert members([RIGHT, replace(LEFT, **settings)]) == [(0, 2), (1, 1)]
    assert members([replace(RIGHT, **settings), replace(LEFT, **settings)]) == [(0, 3)]


def test_parts_of_other_timbres_are_voices_of_their_own() -> None:
    assert members([RIGHT, LEFT], timbres=[PIANO, HARP]) == [(0, 2), (1, 1)]
    assert members([RIGHT, LEFT], timbres=[HARP, HARP]) == [(0, 3)]


def test_for_stems_every_track_is_a_voice() -> None:
    assert members([RIGHT, track(), LEFT], merge=False) == [(0, 2), (2, 1)]


@pytest.mark.parametrize(
    ("span", "one"),
    [
        ((0.0, 1.0), True),  # ends where the other begins
        ((3.0, 4.0), True),
        ((0.0, 1.1), False),
        ((1.9, 5.0), False),
        ((1.2, 1.8), False),
        ((0.5, 2.5), False),
    ],
)
def test_two_that_hold_one_key_at_one_time_are_two_voices(
    span: tuple[float, float], one: bool
) -> None:
    both = [track((60, 1.0, 2.0), (60, 2.0, 3.0), (64, 0, 9)), track((60, *span), (72, 0, 9))]
    assert len(members(both)) == (1 if one else 2)
    assert len(members(both[::-1])) == (1 if one else 2)


def test_a_track_joins_the_first_voice_that_it_does_not_clash_with() -> None:
    first, second = track((60, 0, 2)), track((60, 1, 3))
    assert members([first, second, track((60, 2, 4)), track((60, 3, 5))]) == [(0, 2), (1, 2)]


def test_only_notes_whose_key_is_held_go_to_another_voice() -> None:
    right = track((60, 0, 1), (64, 1, 3), (67, 3, 4))
    left = track((48, 0, 1), (64, 2, 4), (52, 4, 5))
    first, second = voices([right, left]).voices
    assert (first.number, second.number) == (0, 1)
    assert [tuple(row[:3]) for row in second.notes] == [(2, 4, 64)]
    assert [row[2] for row in first.notes] == [48, 60, 64, 67, 52]


def test_strikes_of_one_track_stay_in_one_voice_though_its_key_is_held() -> None:
    odd = track((60, 0, 2), (60, 1, 3))
    assert [len(voice.notes) for voice in voices([odd, track((60, 2.5, 4))]).voices] == [2, 1]


def test_no_key_of_a_voice_is_held_by_two_tracks_and_no_note_is_lost() -> None:
    random = np.random.default_rng(5)
    tracks = []
    times = random.permutation(3000) / 100  # no two in one frame
    for i in range(40):
        starts = times[12 * i : 12 * i + 12]
        lengths = random.uniform(0.01, 3, 12)
        pitches = random.integers(60, 66, 12)
        tracks.append(
            track(
                *((int(p), s, s + n) for p, s, n in zip(pitches, starts, lengths, strict=True)),
                program=int(random.integers(2)),
            )
        )
    found = voices(tracks).voices
    assert 2 < len(found) < 40
    tables = [note_table(track.notes) for track in tracks]
    whole = np.concatenate([voice.notes for voice in found])
    assert sorted(map(tuple, whole)) == sorted(tuple(row) for table in tables for row in table)
    owner = {tuple(row): i for i, table in enumerate(tables) for row in table}
    for voice in found:
        for one, other in itertools.combinations(map(tuple, voice.notes), 2):
            if one[2] == other[2] and owner[one] != owner[other]:
                assert one[1] <= other[0] or other[1] <= one[0]


def test_of_strikes_of_one_key_in_one_frame_the_loudest_and_longest_remains() -> None:
    notes = [
        Note(60, 50, 1.000, 1.5),
        Note(60, 90, 1.001, 1.2),
        Note(60, 70, 1.003, 1.003),
        Note(61, 40, 1.000, 1.1),
        Note(60, 20, 1.200, 1.3),
    ]
    found = voices([replace(track(), notes=tuple(notes))])
    assert found.voices[0].notes.tolist() == [
        [1.000, 1.1, 61, 40],
        [1.000, 1.5, 60, 90],
        [1.200, 1.3, 60, 20],
    ]
    assert found.notes_left_out == 0


def test_of_too_many_notes_at_one_time_the_quietest_are_left_out_and_counted() -> None:
    # All keys are held twice at the same time, and once more later.
    notes = [Note(p, p - 20 + 30 * i, 0.1 * i, 5.0) for i in range(2) for p in range(21, 109)]
    later = [Note(p, 1, 6.0, 7.0) for p in range(21, 109)]
    found = voices([replace(track(), notes=(*notes, *later))])
    assert found.notes_left_out == 2 * 88 - MOST_NOTES == 48
    kept = found.voices[0].notes
    loud = sorted((note.velocity for note in notes), reverse=True)[:MOST_NOTES]
    assert sorted(kept[kept[:, 0] < 5, 3].tolist(), reverse=True) == loud
    assert (kept[:, 0] == 6.0).sum() == 88


def test_of_too_many_voices_at_one_time_the_quietest_are_silent_and_counted() -> None:
    def played(number: int, start_s: float) -> Track:
        gain = Automation((0.0,), (1 + number / 1000,))
        return track((60, start_s, start_s + 1), gain=gain)

    many = [played(number, 0.0) for number in range(MOST_VOICES + 10)]
    found = voices(many)
    assert found.notes_left_out == 10
    assert [voice.number for voice in found.voices] == list(range(10, MOST_VOICES + 10))
    # As many as one likes may play in turn.
    turns = [played(number, 20.0 * (number % 2)) for number in range(2 * MOST_VOICES)]
    assert voices(turns).notes_left_out == 0
    assert len(voices(turns).voices) == 2 * MOST_VOICES


def test_the_bounds_are_kept_at_all_times_and_nothing_is_left_out_without_need() -> None:
    random = np.random.default_rng(1)
    starts = random.uniform(0, 20, 2000)
    notes = tuple(
        Note(int(p), int(v), s, s + n)
        for p, v, s, n in zip(
            random.integers(21, 109, 2000),
            random.permutation(2000) % 127 + 1,
            starts,
            random.exponential(3.0, 2000),
            strict=True,
        )
    )
    whole = note_table(notes)
    found = voices([replace(track(), notes=notes)])
    kept = found.voices[0].notes
    assert 0 < found.notes_left_out < 1500

    def at_once(table: np.ndarray, frame: int) -> np.ndarray:
        frames = np.floor(table[:, :2] * FRAME_RATE + 0.5)
        return (frames[:, 0] <= frame) & (np.maximum(frames[:, 1], frames[:, 0] + 1) > frame)

    most = [at_once(kept, frame).sum() for frame in range(0, 4000)]
    assert max(most) == MOST_NOTES
    # What is left out would have been too much, beside louder ones alone.
    rows = {tuple(row) for row in kept}
    struck_once = [row for row in whole if tuple(row) not in rows][::50]
    for start, end, _, velocity in struck_once:
        louder = kept[kept[:, 3] >= velocity]
        frames = range(int(start * FRAME_RATE + 0.5), int(end * FRAME_RATE + 0.5) + 1)
        assert max(at_once(louder, frame).sum() for frame in frames) == MOST_NOTES


def test_an_excerpt_is_that_of_the_score() -> None:
    notes = [(60, 0.0, 1.0), (62, 0.5, 3.0), (64, 1.0, 1.0), (65, 2.0, 2.5)]
    path = Timbre((0.0, 2.0), ((0.0, 0.0), (1.0, 1.0)))
    score = Score((track(*notes),))
    (voice,) = voices_of(score, [path], FRAME_RATE).voices
    found = excerpt(voice, 1.0)
    np.testing.assert_allclose(found.notes, note_table(score.excerpt(1.0).notes), atol=1e-12)
    assert found.timbre == path.shifted(-1.0)


def test_tracks_without_notes_have_no_voice() -> None:
    assert voices([track(), track()]).voices == ()

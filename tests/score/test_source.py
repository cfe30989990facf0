"""Scores from whatever a program holds: files, bytes, other libraries' objects, notes."""

from __future__ import annotations

import io
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest

from conftest import EXAMPLES
from timbrel.errors import InputError
from timbrel.score.midi import read_midi
from timbrel.score.score import Automation, Note, Score, Track
from timbrel.score.source import as_score, midi_files

DUET = EXAMPLES / "duet.mid"
NOTES = (Note(60, 90, 0.0, 1.0), Note(64, 90, 0.5, 1.5))
BROKEN = mido.MidiFile(ticks_per_beat=10**6)
TRACK = Track("melody", 40, 0, NOTES)


class Reader(io.RawIOBase):
    """A stream that can be read once, as a socket's."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        return self._data.readinto(buffer)


@pytest.mark.parametrize(
    "given",
    [
        DUET,
        str(DUET),
        DUET.read_bytes(),
        bytearray(DUET.read_bytes()),
        memoryview(DUET.read_bytes()),
        io.BytesIO(DUET.read_bytes()),
        Reader(DUET.read_bytes()),
        mido.MidiFile(DUET),
        read_midi(DUET),
    ],
)
def test_one_song_is_the_same_score_however_it_is_given(given: object) -> None:
    assert as_score(given) == read_midi(DUET)


def test_an_open_file_is_read() -> None:
    with DUET.open("rb") as file:
        assert as_score(file) == read_midi(DUET)


def test_a_pretty_midi_has_the_same_notes() -> None:
    notes = as_score(pretty_midi.PrettyMIDI(str(DUET))).notes
    expected = read_midi(DUET).notes
    assert [note[:2] for note in notes] == [note[:2] for note in expected]
    times = [[note[2:4] for note in both] for both in (notes, expected)]
    np.testing.assert_allclose(*times, atol=2e-3)


@pytest.mark.parametrize(
    "given",
    [
        list(NOTES),
        iter(NOTES[::-1]),
        [tuple(note) for note in NOTES],
        np.array(NOTES),
        [[60, 90, 0, 1], NOTES[1]],
    ],
)
def test_notes_make_a_score_of_one_track(given: object) -> None:
    score = as_score(given)
    assert len(score.tracks) == 1
    assert score.tracks[0].notes == NOTES
    assert all(isinstance(note, Note) for note in score.tracks[0].notes)


def test_tracks_make_a_score() -> None:
    assert as_score(TRACK) == as_score([TRACK]) == Score((TRACK,))
    loose = Track("melody", 40, 0, ((64, 90, 0.5, 1.5), (60, 90, 0, 1)))  # type: ignore[arg-type]
    assert as_score(loose) == Score((TRACK,))


def test_nothing_is_an_empty_score() -> None:
    assert as_score([]).n_notes == 0
    assert as_score(Score(())) == Score(())


def test_what_cannot_be_played_is_left_out_and_counted() -> None:
    low = Note(12, 90, 0.0, 1.0)
    drums = Track("drums", 0, 9, (Note(36, 90, 0.0, 0.1),), is_kit=True)
    score = as_score(Score((Track("melody", 40, 0, (low, *NOTES)), drums), unplayable={"other": 1}))
    assert score.tracks == (TRACK,)
    assert score.drum_tracks == (drums,)
    assert score.unplayable == {"other": 1, "drum_notes": 1, "notes_outside_21_108": 1}


def test_notes_of_an_excerpt_may_have_begun_before_it_and_have_no_length() -> None:
    notes = (Note(60, 90, -1.0, 0.5), Note(62, 90, 1.0, 1.0))
    assert as_score(notes).tracks[0].notes == notes


@pytest.mark.parametrize(
    ("note", "message"),
    [
        ((60, 0, 0.0, 1.0), "its velocity is 0; velocities are 1 to 127"),
        ((60, 128, 0.0, 1.0), "its velocity is 128; velocities are 1 to 127"),
        ((60, 64.5, 0.0, 1.0), "its velocity is 64.5; velocities are 1 to 127"),
        ((128, 90, 0.0, 1.0), "its key is 128; keys are 0 to 127"),
        ((-1, 90, 0.0, 1.0), "its key is -1; keys are 0 to 127"),
        ((60.5, 90, 0.0, 1.0), "its key is 60.5; keys are 0 to 127"),
        ((float("nan"), 90, 0.0, 1.0), "its key is nan; keys are 0 to 127"),
        ((60, 90, 1.0, 0.5), "lasts from 1 to 0.5 s, but must end after its start"),
        ((60, 90, -2.0, -1.0), "lasts from -2 to -1 s, but must end after the score begins"),
        ((60, 90, 0.0, float("inf")), "lasts from 0 to inf s; times must be finite"),
        ((60, 90, float("nan"), 1.0), "lasts from nan to 1 s; times must be finite"),
        ((60, 90, 0.0, 1e9), "ends after 1e+09 s; scores last up to 1e+07 s"),
        ((60, 90, 0.0), "is (60, 90, 0.0); a note is (pitch, velocity, start in seconds, end in"),
        ("C4", "is 'C4'; a note is"),
        (None, "is None; a note is"),
    ],
)
def test_a_note_that_is_impossible_is_named(note: object, message: str) -> None:
    given = Score((TRACK, Track("bass", 32, 1, (NOTES[0], note))))  # type: ignore[arg-type]
    kit = Track("kit", 0, 9, (NOTES[0], note))  # type: ignore[arg-type]
    for source, where in (
        ([NOTES[0], note], "the list of notes"),
        (given, "track 2 (bass)"),
        (Score((), drum_tracks=(kit,)), "drum track 1 (kit)"),
    ):
        with pytest.raises(InputError) as error:
            as_score(source)
        assert str(error.value).startswith(f"{where}, note 2 of 2: {message}")


@pytest.mark.parametrize(
    ("track", "message"),
    [
        (Track("x", 128, 0, NOTES), "track 1 (x): its program is 128; it must be 0 to 127"),
        (Track("x", 0, 16, NOTES), "track 1 (x): its channel is 16; it must be 0 to 15"),
        (Track("x", 1.5, 0, NOTES), "track 1 (x): its program is 1.5"),  # type: ignore[arg-type]
        (
            Track("x", 0, 0, NOTES, gain=Automation((0.0, 1.0), (1.0,))),
            "track 1 (x): its gain must have as many times as values, all finite",
        ),
        (
            Track("x", 0, 0, NOTES, pan=Automation((0.0,), (float("nan"),))),
            "track 1 (x): its pan must have",
        ),
        ("melody", "track 1 is 'melody', not a Track"),
    ],
)
def test_a_track_that_is_impossible_is_named(track: Track, message: str) -> None:
    with pytest.raises(InputError) as error:
        as_score(Score((track,)))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "a score cannot be read from int; give the path of a MIDI file, its bytes"),
        (None, "a score cannot be read from NoneType"),
        ("missing.mid", "missing.mid: cannot be read"),
        (b"Dear diary", "MIDI data: is not a MIDI file"),
        (b"", "MIDI data: is empty"),
        (io.BytesIO(b"x"), "MIDI data: is not a MIDI file"),
        (io.StringIO("MThd"), "MIDI data: is open as text; open it as bytes"),
        ({"melody": 1}, "the list of notes, note 1 of 1: is 'melody'"),
        (BROKEN, "the MidiFile cannot be written: "),
    ],
)
def test_what_is_no_score_is_refused_in_one_line(given: object, message: str) -> None:
    with pytest.raises(InputError) as error:
        as_score(given)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_midi_files_of_a_folder_are_found_in_their_order(tmp_path: Path) -> None:
    for name in ("b.mid", "a/z.KAR", "a/y.midi", "c.rmi", "readme.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.mid").mkdir()
    names = [path.relative_to(tmp_path).as_posix() for path in midi_files(tmp_path)]
    assert names == ["a/y.midi", "a/z.KAR", "b.mid", "c.rmi"]

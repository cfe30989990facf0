"""MIDI files of transcriptions, read again: times, velocities and bends are what was heard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest

from timbrel.score.midi import read_midi
from timbrel.transcription.decoding import HeardNote
from timbrel.transcription.heard import Part
from timbrel.transcription.midi import as_midi, write_transcription
from timbrel.transcription.transcriber import Transcription

RATE = 62.5


def heard(pitch: int, start_s: float, end_s: float, bend: tuple[float, ...] = ()) -> HeardNote:
    cents = float(np.mean(bend)) if bend else 0.0
    return HeardNote(pitch, start_s, end_s, 80 + pitch % 7, 0.9, cents, bend)


def transcription(*notes: HeardNote, tuning_cents: float = 0.0) -> Transcription:
    ordered = tuple(sorted(notes, key=lambda note: (note.start_s, note.pitch)))
    return Transcription(ordered, 10.0, RATE, tuning_cents)


@pytest.mark.parametrize("tempo", [40.0, 120.0, 333.0])
def test_times_and_velocities_come_back_at_any_tempo(tmp_path: Path, tempo: float) -> None:
    notes = [heard(60, 0.0123, 0.5), heard(64, 0.5, 1.0), heard(60, 0.5, 3.21), heard(21, 9, 9.02)]
    write_transcription(tmp_path / "a.mid", transcription(*notes), tempo=tempo)
    (track,) = read_midi(tmp_path / "a.mid").tracks
    assert len(track.notes) == 4
    for found, note in zip(track.notes, transcription(*notes).notes, strict=True):
        assert (found.pitch, found.velocity) == (note.pitch, note.velocity)
        assert found.start_s == pytest.approx(note.start_s, abs=1e-3)
        assert found.end_s == pytest.approx(note.end_s, abs=1e-3)
    (written,) = [m for m in mido.MidiFile(tmp_path / "a.mid") if m.type == "set_tempo"]
    assert mido.tempo2bpm(written.tempo) == pytest.approx(tempo, rel=1e-4)


def test_bends_belong_to_their_notes_alone(tmp_path: Path) -> None:
    rising = tuple(np.linspace(0, 300, 63).round(1).tolist())  # a second
    wave = tuple((40 * np.sin(np.arange(63) / 3)).round(1).tolist())
    notes = [heard(60, 1.0, 2.0, rising), heard(67, 1.2, 2.2, wave), heard(48, 0.5, 3.0)]
    write_transcription(tmp_path / "a.mid", transcription(*notes))
    tracks = {track.notes[0].pitch: track for track in read_midi(tmp_path / "a.mid").tracks}
    assert set(tracks) == {48, 60, 67}
    frames = np.array([0, 15, 31, 56])
    times_s = 1.0 + frames / RATE
    np.testing.assert_allclose(
        tracks[60].bend.at(times_s + 0.005), np.array(rising)[frames] / 100, atol=0.03
    )
    np.testing.assert_allclose(
        tracks[67].bend.at(times_s + 0.205), np.array(wave)[frames] / 100, atol=0.03
    )
    assert not any(tracks[48].bend.values)


def test_the_tuning_of_a_recording_is_no_bend(tmp_path: Path) -> None:
    wave = tuple((20 + 30 * np.sin(np.arange(63) / 3)).round(1).tolist())
    write_transcription(tmp_path / "a.mid", transcription(heard(60, 0, 1, wave), tuning_cents=20))
    (track,) = read_midi(tmp_path / "a.mid").tracks
    assert np.mean(track.bend.at(np.arange(62) / RATE)) == pytest.approx(0, abs=0.05)


def test_more_bent_notes_than_channels_are_written_without_their_bends() -> None:
    wave = tuple((50 * np.sin(np.arange(63) / 3)).tolist())
    notes = [heard(40 + i, 0.01 * i, 1.0 + 0.01 * i, wave) for i in range(20)]
    midi = as_midi(transcription(*notes))
    struck = [m for m in midi.tracks[0] if m.type == "note_on" and m.velocity]
    assert len(struck) == 20
    assert {m.channel for m in struck} == set(range(16)) - {9}
    assert not [m for m in midi.tracks[0] if m.type == "pitchwheel" and m.channel == 0]


def test_a_score_without_notes_is_a_file_all_the_same(tmp_path: Path) -> None:
    write_transcription(tmp_path / "a.mid", transcription())
    assert read_midi(tmp_path / "a.mid").n_notes == 0
    assert transcription().score().n_notes == 0
    assert transcription(heard(60, 0, 1)).score().notes[0].pitch == 60


def test_parts_are_tracks_with_programs(tmp_path: Path) -> None:
    wave = tuple((60 * np.sin(np.arange(63) / 3)).round(1).tolist())
    first = (heard(60, 0.0, 1.0), heard(67, 1.2, 2.2, wave))
    second = (heard(48, 0.5, 3.0), heard(50, 1.3, 2.3, wave))
    found = replace(
        transcription(*first, *second),
        parts=(Part("Trumpet", 56, first), Part("Harp", 46, second)),
    )
    write_transcription(tmp_path / "a.mid", found)
    file = mido.MidiFile(tmp_path / "a.mid")
    assert file.type == 1
    assert [track.name for track in file.tracks[1:]] == ["Trumpet", "Harp"]
    channels = [{m.channel for m in track if m.type == "note_on"} for track in file.tracks[1:]]
    assert not channels[0] & channels[1]
    tracks = read_midi(tmp_path / "a.mid").tracks
    by_pitch = {track.notes[0].pitch: track for track in tracks}
    programs = {pitch: track.program for pitch, track in by_pitch.items()}
    assert programs == {60: 56, 67: 56, 48: 46, 50: 46}
    assert not any(by_pitch[60].bend.values)
    assert max(by_pitch[50].bend.values) == pytest.approx(0.6, abs=0.02)
    assert [(t.name, t.program, len(t.notes)) for t in found.score().tracks] == [
        ("Trumpet", 56, 2),
        ("Harp", 46, 2),
    ]

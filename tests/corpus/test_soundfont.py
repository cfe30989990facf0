"""Score → MIDI → FluidSynth → audio."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import pytest
import soxr

from conftest import EXAMPLES
from timbrel.corpus.soundfont import (
    as_preset,
    check_soundfont,
    find_fluidsynth,
    length_in_seconds,
    render_midi,
    render_parts,
    render_score,
    to_midi,
)
from timbrel.errors import InputError, MissingToolError
from timbrel.score.midi import read_midi
from timbrel.score.score import Automation, Note, Score, Track

TICKS_PER_S = 4000
PIANO, ORGAN, TRUMPET = 0, 19, 56


def score_of(*notes: Note, channel: int = 0) -> Score:
    return Score((Track("notes", 0, channel, notes),))


def key_events(midi: mido.MidiFile) -> list[tuple[int, int, int, int]]:
    """Tick, channel, pitch and velocity of each event of a key."""
    events, tick = [], 0
    for message in midi.tracks[0]:
        tick += message.time
        if message.type == "note_on":
            events.append((tick, message.channel, message.note, message.velocity))
    return events


def test_midi_has_4000_ticks_a_second() -> None:
    midi = to_midi(score_of(Note(60, 100, 0.25, 1.5)), TRUMPET)
    # A quarter of a second is 250 · 1,000 ticks of a beat of 250 ms.
    assert midi.ticks_per_beat == 1000
    assert [m.tempo for m in midi.tracks[0] if m.type == "set_tempo"] == [250_000]
    assert key_events(midi)[:2] == [(1000, 0, 60, 100), (6000, 0, 60, 0)]
    assert midi.length == pytest.approx(1.5 + 3.0, abs=1e-6)


def test_midi_read_back_is_the_same_score(tmp_path: Path) -> None:
    score = read_midi(EXAMPLES / "prelude.mid")
    to_midi(score, PIANO).save(tmp_path / "again.mid")
    again = read_midi(tmp_path / "again.mid")
    assert [(n.pitch, n.velocity) for n in again.notes] == [
        (n.pitch, n.velocity) for n in score.notes
    ]
    times = np.array([n[2:] for n in score.notes])
    np.testing.assert_allclose(np.array([n[2:] for n in again.notes]), times, atol=0.6 / 4000)


def test_what_ends_at_a_tick_ends_before_what_begins() -> None:
    midi = to_midi(score_of(Note(60, 90, 0.0, 1.0), Note(60, 80, 1.0, 2.0)), PIANO)
    assert key_events(midi)[:4] == [
        (0, 0, 60, 90),
        (4000, 0, 60, 0),
        (4000, 0, 60, 80),
        (8000, 0, 60, 0),
    ]


def test_note_lasts_a_frame_at_least() -> None:
    events = key_events(to_midi(score_of(Note(60, 90, 1.0, 1.0)), PIANO))
    assert events[:2] == [(4000, 0, 60, 90), (4032, 0, 60, 0)]  # 8 ms


@pytest.mark.parametrize("end_s", [0.00005, 0.001, 0.5])
def test_note_from_before_the_score_is_struck_at_its_start_and_released(end_s: float) -> None:
    events = key_events(to_midi(score_of(Note(60, 90, -3.0, end_s)), PIANO))
    assert events[:2] == [(0, 0, 60, 90), (max(round(end_s * TICKS_PER_S), 32), 0, 60, 0)]


def test_each_part_has_a_channel_and_none_is_that_of_the_drums() -> None:
    tracks = tuple(
        Track(str(i), 5, i % 16, (Note(60, 100, i / 10, i / 10 + 1),)) for i in range(15)
    )
    midi = to_midi(Score(tracks), ORGAN)
    channels = {channel for _, channel, _, velocity in key_events(midi) if velocity}
    assert channels == set(range(16)) - {9}
    programs = [(m.channel, m.program) for m in midi.tracks[0] if m.type == "program_change"]
    assert programs == [(channel, ORGAN) for channel in sorted(channels)]


def test_more_parts_than_channels_share_them() -> None:
    tracks = tuple(Track(str(i), 0, 0, (Note(60, 100, i, i + 0.5),)) for i in range(20))
    events = key_events(to_midi(Score(tracks), PIANO))
    struck = [channel for _, channel, _, velocity in events if velocity]
    assert 9 not in struck
    assert struck[15:] == struck[:5]


def test_overlapping_notes_of_a_key_are_released_after_the_last() -> None:
    midi = to_midi(score_of(Note(60, 90, 0.0, 2.0), Note(60, 80, 1.0, 1.5)), PIANO)
    assert key_events(midi)[:3] == [(0, 0, 60, 90), (4000, 0, 60, 80), (8000, 0, 60, 0)]


def test_nothing_but_notes_is_played() -> None:
    loud = Automation((0.0,), (5.0,))
    track = Track("loud", 0, 0, (Note(60, 100, 0, 1),), gain=loud, pan=loud)
    kinds = {message.type for message in to_midi(Score((track,)), PIANO).tracks[0]}
    assert kinds <= {"set_tempo", "program_change", "note_on", "end_of_track"}


@pytest.mark.parametrize("sample_rate", [16_000, 48_000])
def test_rendering_is_as_long_as_score_and_tail(sample_rate: int, soundfont: Path) -> None:
    score = score_of(Note(60, 100, 0.5, 1.1003))
    audio = render_score(score, PIANO, soundfont, sample_rate=sample_rate, tail_s=0.75)
    assert audio.shape == (round((1.1003 + 0.75) * sample_rate),)
    assert audio.dtype == np.float32
    # Nothing before the note; it is heard within 20 ms, and rings on after its release.
    start = sample_rate // 2
    assert np.abs(audio[: start - sample_rate // 100]).max() < 1e-5
    assert np.abs(audio[: start + sample_rate // 50]).max() > 1e-3
    assert np.abs(audio[round(1.15 * sample_rate) :]).max() > 1e-4


def test_score_without_notes_is_silent(soundfont: Path) -> None:
    audio = render_score(Score(()), PIANO, soundfont, sample_rate=16_000, tail_s=1.0)
    assert audio.shape == (16_000,)
    assert np.abs(audio).max() == 0


def test_gain_is_a_factor(soundfont: Path) -> None:
    score = score_of(Note(64, 110, 0.1, 0.6))
    soft, loud = (
        render_score(score, TRUMPET, soundfont, sample_rate=16_000, gain=gain, tail_s=0.5)
        for gain in (0.1, 0.8)
    )
    assert np.abs(soft).max() > 0.005
    np.testing.assert_allclose(loud, 8 * soft, atol=1e-5 * np.abs(loud).max() + 1e-7)


def test_same_score_gives_the_same_bytes(soundfont: Path) -> None:
    score = read_midi(EXAMPLES / "duet.mid").excerpt(5, 2)
    first, second = (
        render_score(score, ORGAN, soundfont, sample_rate=16_000, tail_s=0.5) for _ in range(2)
    )
    assert np.abs(first).max() > 0.01
    assert first.tobytes() == second.tobytes()


def test_low_rate_does_not_fold_back_what_it_cannot_hold(soundfont: Path) -> None:
    """At 16 kHz it sounds as at 48 kHz with what lies above 8 kHz filtered away."""
    score = score_of(Note(100, 120, 0.1, 0.6), Note(96, 120, 0.3, 0.8))
    low = render_score(score, TRUMPET, soundfont, sample_rate=16_000, tail_s=0.2)
    high = render_score(score, TRUMPET, soundfont, sample_rate=48_000, tail_s=0.2)
    expected = np.abs(np.fft.rfft(soxr.resample(high, 48_000, 16_000)))
    found = np.abs(np.fft.rfft(low))
    assert np.corrcoef(found, expected)[0, 1] > 0.95
    # Between the harmonics, where images would lie, there is no more than there was.
    hz = np.fft.rfftfreq(len(low), 1 / 16_000)
    below = (hz > 100) & (hz < 1900)  # the lowest note is of 2,093 Hz
    assert found[below].max() < 1.5 * expected[below].max()


def test_missing_fluidsynth_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match="apt-get install fluidsynth"):
        find_fluidsynth()
    with pytest.raises(MissingToolError, match="fluidsynth is not installed"):
        render_score(score_of(), PIANO, "any.sf2", sample_rate=16_000)


def test_missing_soundfont_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="musescore-general-soundfont-small"):
        check_soundfont(tmp_path / "none.sf2")


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\0\0\0\0WAVEfmt ", b"no RIFF at all"])
def test_what_is_no_soundfont_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.sf2").write_bytes(content)
    with pytest.raises(InputError, match="is not a SoundFont"):
        check_soundfont(tmp_path / "file.sf2")


def test_soundfont_is_accepted(soundfont: Path) -> None:
    assert check_soundfont(str(soundfont)) == soundfont


def test_damaged_soundfont_is_an_error_and_not_silence(soundfont: Path, tmp_path: Path) -> None:
    """FluidSynth itself goes on without a SoundFont, and succeeds."""
    with soundfont.open("rb") as file:
        (tmp_path / "half.sf3").write_bytes(file.read(1_000_000))
    path = check_soundfont(tmp_path / "half.sf3")  # its beginning is as it should be
    with pytest.raises(InputError, match=r"half\.sf3: FluidSynth failed \(Failed to load"):
        render_score(score_of(Note(60, 100, 0, 1)), PIANO, path, sample_rate=16_000)


def test_rendering_that_stops_early_is_an_error(
    soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk, where FluidSynth stops and succeeds."""
    program = tmp_path / "fluidsynth"
    program.write_text(
        '#!/bin/sh\nwhile [ "$1" != -F ]; do shift; done\n/usr/bin/head -c 8000 /dev/zero >"$2"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="wrote too little"):
        render_score(score_of(Note(60, 100, 0, 1)), PIANO, soundfont, sample_rate=16_000)


def test_files_played_in_one_go_sound_as_they_do_alone(soundfont: Path) -> None:
    bent = mido.MidiTrack(
        [
            mido.Message("pitchwheel", pitch=8191),
            mido.Message("note_on", note=60, velocity=90),
            mido.Message("note_off", note=60, time=480),
        ]
    )
    files = [
        to_midi(score_of(Note(72, 100, 0.1, 0.9)), ORGAN, tail_s=0.5),
        as_preset(mido.MidiFile(tracks=[bent], ticks_per_beat=480), TRUMPET, tail_s=0.0),
        to_midi(score_of(Note(60, 100, 0.3, 0.5)), TRUMPET, tail_s=0.5),
    ]
    for sample_rate in (22_050, 48_000):
        lengths = [round(length_in_seconds(midi) * sample_rate) for midi in files]
        lengths[0] -= sample_rate // 2  # cut off while it rings on
        parts = list(zip(files, lengths, strict=True))
        together = render_parts(parts, soundfont, sample_rate=sample_rate)
        for (midi, length), audio in zip(parts, together, strict=True):
            alone = render_midi(midi, soundfont, length=length, sample_rate=sample_rate)
            assert audio.shape == alone.shape == (length,)
            assert np.abs(alone).max() > 0.01
            # FluidSynth's voices begin a little differently when they are used again.
            assert np.abs(audio - alone).max() < 0.01 * np.abs(alone).max()
            assert np.mean(np.abs(audio - alone) > 1e-6) < 0.05


def test_no_files_give_no_audio(soundfont: Path) -> None:
    assert render_parts([], soundfont, sample_rate=48_000) == []

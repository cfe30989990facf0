"""Scores and piano rolls agree with what FluidSynth makes of the same files by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Collection
from pathlib import Path

import mido
import numpy as np
import pytest
import soxr
from numpy.lib.stride_tricks import sliding_window_view

from conftest import FRAME_RATE
from timbrel.constants import LOWEST_PITCH, N_PITCHES, SAMPLE_RATE
from timbrel.corpus.soundfont import render_score
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score import PianoRoll, read_midi

WOODBLOCK, CHURCH_ORGAN = 115, 19  # sharp and short at all pitches; as loud as long as it sounds
SUSTAIN, SOSTENUTO, NOTES_OFF = 64, 66, 123
CLICK_RATE = 96_000  # FluidSynth begins notes at blocks of 64 samples: 0.7 ms
HOP = 48  # samples between two looks at the clicks: 0.5 ms
APART_S = 0.08  # an onset is isolated where no other one is nearer
PIECES = (
    *("Albeniz/alb_esp1", "Bach/bach_846", "Beethoven/beethoven_opus22_4"),
    *("Burgmueller/burg_perlen", "Chopin/chpn_op23", "Clementi/clementi_opus36_4_2"),
    *("Grieg/grieg_walzer", "Liszt/liz_et_trans8", "Mozart/mz_332_3", "Schumann/scn15_2"),
)


def beginning(
    path: Path,
    seconds: float,
    program: int,
    *,
    velocity: int | None = None,
    controllers: Collection[int] = (),
) -> mido.MidiFile:
    """The first seconds of a file, read by mido, with one program on all channels.

    Tracks, tempi and times stay. The ticks are divided: at each change of tempo, FluidSynth's
    player rounds the time to ticks, and at the files' own 480 a beat, 170 changes make it 34 ms
    early. All notes are released at the end; else FluidSynth would play on for ever.
    """
    midi = mido.MidiFile(path)
    finer = 32767 // midi.ticks_per_beat
    channels = sorted({m.channel for track in midi.tracks for m in track if m.type == "note_on"})
    now_s, last_tick = 0.0, 0
    for in_seconds, in_ticks in zip(midi, midi.merged_track, strict=True):
        now_s += in_seconds.time
        if now_s >= seconds:
            break
        last_tick += in_ticks.time
    tracks = []
    for track in midi.tracks:
        kept = mido.MidiTrack()
        kept.extend(mido.Message("program_change", channel=c, program=program) for c in channels)
        tick = kept_tick = 0
        for message in track:
            tick += message.time
            if tick > last_tick:
                break
            if message.type in ("note_on", "note_off", "set_tempo") or (
                message.type == "control_change" and message.control in controllers
            ):
                message = message.copy(time=(tick - kept_tick) * finer)
                if velocity and getattr(message, "velocity", 0):
                    message.velocity = velocity
                kept.append(message)
                kept_tick = tick
        for number in (SUSTAIN, SOSTENUTO, NOTES_OFF):
            kept.extend(mido.Message("control_change", channel=c, control=number) for c in channels)
        kept[-3 * len(channels)].time = (last_tick - kept_tick) * finer
        tracks.append(kept)
    return mido.MidiFile(type=midi.type, ticks_per_beat=midi.ticks_per_beat * finer, tracks=tracks)


def rendered(midi: mido.MidiFile, soundfont: Path, folder: Path, sample_rate: int) -> np.ndarray:
    """What FluidSynth's own program makes of a file, mono."""
    midi.save(folder / "score.mid")
    command = ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", "0.2", "-r", str(sample_rate)]
    command += ["-o", "synth.dynamic-sample-loading=1", "-o", "synth.polyphony=1024"]
    command += ["-T", "raw", "-O", "float", "-F", str(folder / "audio.raw")]
    command += [str(soundfont), str(folder / "score.mid")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    audio = np.fromfile(folder / "audio.raw", np.float32).reshape(-1, 2).mean(axis=1)
    (folder / "audio.raw").unlink()
    return audio


def attacks_s(midi: mido.MidiFile, soundfont: Path, folder: Path) -> np.ndarray:
    """The times at which FluidSynth's sound rises at once."""
    audio = rendered(midi, soundfont, folder, CLICK_RATE)
    sharp = np.abs(np.diff(audio, prepend=0))  # which leaves out what rings on
    peaks = sharp[: len(sharp) // HOP * HOP].reshape(-1, HOP).max(axis=1)
    past = 20  # looks: 10 ms
    before = sliding_window_view(np.pad(peaks, (past, 0)), past)[: len(peaks)].max(axis=1)
    risen = np.flatnonzero((peaks > 2.5 * before) & (peaks > 0.01 * peaks.max()))
    is_first = np.diff(risen, prepend=-1000) > 2 * past
    return risen[is_first] * HOP / CLICK_RATE


@pytest.fixture(scope="session")
def latency_s(soundfont: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long after its note-on the woodblock is heard: the mean over all keys."""
    scale = mido.MidiTrack([mido.Message("program_change", program=WOODBLOCK)])
    for pitch in range(LOWEST_PITCH, LOWEST_PITCH + N_PITCHES):
        scale.append(mido.Message("note_on", note=pitch, velocity=100, time=250))
        scale.append(mido.Message("note_off", note=pitch, time=250))
    midi = mido.MidiFile(type=0, ticks_per_beat=500, tracks=[scale])
    heard_s = attacks_s(midi, soundfont, tmp_path_factory.mktemp("latency"))
    assert len(heard_s) == N_PITCHES
    late_s = heard_s - (0.25 + 0.5 * np.arange(N_PITCHES))
    # 2.5–4.5 ms with MuseScore's SoundFont: the same for all keys to a quarter of a frame.
    assert np.ptp(late_s) < 0.003
    assert 0 < late_s.mean() < 0.006
    return float(late_s.mean())


@pytest.mark.parametrize("piece", PIECES)
def test_onsets_are_in_the_frames_in_which_notes_are_heard(
    piece: str, corpus: Path, soundfont: Path, latency_s: float, tmp_path: Path
) -> None:
    path = corpus / f"{piece}.mid"
    # Velocities are made equal, so that all clicks are as sharp.
    clicks = beginning(path, 20.0, WOODBLOCK, velocity=100)
    heard = (attacks_s(clicks, soundfont, tmp_path) - latency_s) * FRAME_RATE
    score = read_midi(path).excerpt(0.0, 20.0)
    frames = np.flatnonzero(PianoRoll(score.notes, FRAME_RATE).whole()[:, N_PITCHES:].any(axis=1))
    is_apart = np.diff(frames, prepend=-1000, append=10**6) >= APART_S * FRAME_RATE
    isolated = frames[is_apart[:-1] & is_apart[1:]]
    assert len(isolated) >= 20

    distance = heard[:, None] - isolated
    nearest = np.abs(distance).min(axis=0)
    assert nearest.max() <= 1.0  # in frames
    # Rounding a time to a frame alone makes an error of a quarter of a frame in the middle.
    assert np.median(nearest) < 0.4
    # And nothing is heard that the roll does not strike.
    assert np.abs(heard[:, None] - frames).min(axis=1).max() <= 1.0


def test_pedals_hold_what_fluidsynth_holds(corpus: Path, soundfont: Path, tmp_path: Path) -> None:
    # A file whose pedals lie in a track of their own, without notes.
    path, seconds = corpus / "Mozart" / "mz_331_2.mid", 10.0
    score = read_midi(path).excerpt(0.0, seconds)

    def heard(controllers: Collection[int]) -> np.ndarray:
        midi = beginning(path, seconds, CHURCH_ORGAN, controllers=controllers)
        return soxr.resample(rendered(midi, soundfont, tmp_path, 2 * SAMPLE_RATE), 2, 1)

    # Natural logarithms of what is louder than -60 dB.
    of_score, with_pedals, without_pedals = (
        np.maximum(mel_spectrogram(audio[: int((seconds - 1) * SAMPLE_RATE)]), np.log(1e-3))
        for audio in (
            render_score(score, CHURCH_ORGAN, soundfont, sample_rate=SAMPLE_RATE),
            heard((SUSTAIN, SOSTENUTO)),
            heard(()),
        )
    )
    error = np.abs(of_score - with_pedals).mean()
    # Measured: 0.004, and 0.33 where FluidSynth is not told of the pedals.
    assert error < 0.02
    assert np.abs(without_pedals - with_pedals).mean() > 0.2

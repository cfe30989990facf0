"""The room: how long it sounds, how loud, on which side, and that blocks do not matter."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest
from mido import Message, MidiFile, MidiTrack

from timbrel.corpus.soundfont import find_fluidsynth
from timbrel.room import (
    CHORUS_DELAY_S,
    CHORUS_DEPTH_S,
    DECAY_S,
    SHORTEST_LINE_S,
    SILENT_AFTER_S,
    Room,
)
from timbrel.score.score import DEFAULT_REVERB_SEND

RATES = (16_000, 44_100, 48_000)


def impulse_response(sample_rate: int, channels: int = 2, seconds: float = 2.0) -> np.ndarray:
    """The reverberation of a click, on the left where there are sides."""
    click = np.zeros((round(seconds * sample_rate), channels), np.float32)
    click[0, 0] = 1.0
    return Room(sample_rate, channels).process(click, np.zeros_like(click))


def noise(n: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (n, channels)).astype(np.float32)


def level_db(sound: np.ndarray) -> float:
    return 10 * np.log10(np.square(sound, dtype=np.float64).mean())


@pytest.mark.parametrize("sample_rate", RATES)
def test_it_decays_in_a_second_and_high_frequencies_sooner(sample_rate: int) -> None:
    window = 1024
    response = impulse_response(sample_rate)[:, 0]
    frames = response[: len(response) // window * window].reshape(-1, window)
    spectra = np.square(np.abs(np.fft.rfft(frames * np.hanning(window))))
    times_s = np.arange(len(frames)) * window / sample_rate
    late = (times_s > 0.1) & (times_s < 0.6)

    def decay_s(low_hz: float, high_hz: float) -> float:
        bins = slice(*(round(hz / sample_rate * window) for hz in (low_hz, high_hz)))
        levels = 10 * np.log10(spectra[late, bins].sum(axis=1))
        return -60 / np.polyfit(times_s[late], levels, 1)[0]

    low = decay_s(100, 0.05 * sample_rate)
    assert low == pytest.approx(DECAY_S, rel=0.1)
    assert decay_s(0.3 * sample_rate, 0.45 * sample_rate) < 0.75 * low


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_full_send_is_heard_nine_decibels_below_the_sound(
    sample_rate: int, channels: int
) -> None:
    sound = noise(3 * sample_rate, channels)
    wet = Room(sample_rate, channels).process(sound, np.zeros_like(sound))[sample_rate:]
    assert level_db(wet) - level_db(sound) == pytest.approx(-9, abs=1)


def test_echoes_are_dense_and_ring_at_no_pitch() -> None:
    response = impulse_response(48_000)[9600:24_000, 0]  # 0.2 s to 0.5 s
    spectrum = np.abs(np.fft.rfft(response))
    assert spectrum.max() / spectrum.mean() < 12
    # As peaky as noise: few samples stand out, and few are empty.
    assert np.mean(response**4) / np.mean(response**2) ** 2 < 8


def test_the_sides_differ_and_are_equally_loud() -> None:
    response = impulse_response(48_000)
    assert abs(np.corrcoef(response.T)[0, 1]) < 0.2
    assert level_db(response[:, 0]) == pytest.approx(level_db(response[:, 1]), abs=1)


def test_nothing_is_heard_before_the_first_echo() -> None:
    response = impulse_response(48_000)
    first = np.flatnonzero(response.any(axis=1))[0]
    assert first >= round(SHORTEST_LINE_S * 48_000) - 1  # the damping is symmetric


def test_a_full_send_to_the_chorus_is_heard_four_decibels_below_the_sound() -> None:
    sound = noise(3 * 48_000)
    wet = Room(48_000, 2).process(np.zeros_like(sound), sound)[48_000:]
    assert level_db(wet) - level_db(sound) == pytest.approx(-4, abs=1)


def test_the_chorus_moves_the_pitch_a_little() -> None:
    rate = 48_000
    tone = np.sin(2 * np.pi * 440 * np.arange(4 * rate) / rate).astype(np.float32)
    sent = np.stack([tone, tone], axis=1)
    wet = Room(rate, 2).process(np.zeros_like(sent), sent)
    assert not wet[: int((CHORUS_DELAY_S - CHORUS_DEPTH_S) * rate) - 2].any()
    assert np.abs(wet).max() > 0.2
    assert abs(np.corrcoef(wet.T)[0, 1]) < 0.95  # each side swings by itself
    spectrum = np.abs(np.fft.rfft(wet[rate:, 0] * np.hanning(3 * rate)))
    hz = np.fft.rfftfreq(3 * rate, 1 / rate)
    assert spectrum[(hz < 430) | (hz > 450)].max() < 0.01 * spectrum.max()
    assert np.sum(spectrum > 0.1 * spectrum.max()) > 8  # a pure tone has four such bins


@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_do_not_matter(channels: int) -> None:
    reverb, chorus = noise(30_000, channels), noise(30_000, channels)[::-1]
    whole = Room(48_000, channels).process(reverb, chorus)
    ends = [0, 1, 2, 500, 503, 504, 1008, 9000, 9000, 29_999, 30_000]
    room = Room(48_000, channels)
    parts = [
        room.process(reverb[start:end], chorus[start:end])
        for start, end in itertools.pairwise(ends)
    ]
    assert (np.concatenate(parts) == whole).all()


def test_silence_stays_silent() -> None:
    silence = np.zeros((50_000, 2), np.float32)
    assert not Room(48_000, 2).process(silence, silence).any()


def test_long_silence_ends_the_reverb_and_it_begins_anew() -> None:
    rate = 16_000
    sound, rest = noise(rate), np.zeros((4 * rate, 2), np.float32)
    room = Room(rate, 2)
    wet = room.process(np.concatenate([sound, rest, sound]), np.zeros((6 * rate, 2)))
    ringing = wet[rate : 5 * rate]
    assert level_db(ringing[round((SILENT_AFTER_S - 0.1) * rate) :][:800]) < level_db(sound) - 110
    assert not ringing[round((SILENT_AFTER_S + 0.1) * rate) :].any()
    np.testing.assert_allclose(wet[5 * rate :], wet[:rate], atol=1e-6)


def test_at_the_default_send_it_is_as_loud_as_fluidsynths(soundfont: Path, tmp_path: Path) -> None:
    rate = 48_000
    chord = MidiFile(ticks_per_beat=500)
    track = MidiTrack([Message("program_change", program=48)])
    track.append(Message("control_change", control=91, value=40))
    track += [Message("note_on", note=note, velocity=90) for note in (48, 55, 60, 64, 67)]
    # FluidSynth goes on as long as a key is held.
    track.append(Message("note_off", note=48, time=3000))
    track += [Message("note_off", note=note) for note in (55, 60, 64, 67)]
    chord.tracks.append(track)
    chord.save(tmp_path / "chord.mid")
    sounds = []
    for reverb in ("0", "1"):
        raw = tmp_path / f"{reverb}.raw"
        command = [find_fluidsynth(), "-ni", "-q", "-R", reverb, "-C", "0", "-r", str(rate)]
        command += ["-T", "raw", "-O", "float", "-o", "synth.dynamic-sample-loading=1"]
        command += ["-F", str(raw), str(soundfont)]
        subprocess.run([*command, str(tmp_path / "chord.mid")], check=True, capture_output=True)
        sounds.append(np.fromfile(raw, np.float32).reshape(-1, 2)[: 3 * rate])
    dry, wet = sounds
    ours = Room(rate, 2).process(np.float32(DEFAULT_REVERB_SEND) * dry, np.zeros_like(dry))
    held = slice(rate, 3 * rate)
    assert level_db(ours[held]) == pytest.approx(level_db((wet - dry)[held]), abs=2)

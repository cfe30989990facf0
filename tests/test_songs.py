"""A song of ten parts with drums, bends and program changes, from its file to the last note."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import librosa
import numpy as np
import pytest

from support.command_line import failure_of, result_of, run
from support.midi_bytes import bend, control, exclusive, note, off, on, parameter, program, smf
from support.small_studio import small_mel2mel, small_vocoder
from timbrel.bundles.bundle import load_bundle
from timbrel.constants import SMALL_MODEL
from timbrel.errors import InputError
from timbrel.mel.generator import MelGenerator
from timbrel.score.midi import parse_midi
from timbrel.score.performance_roll import N_KEYS, PerformanceRoll, roll_of
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.pitch import Timing
from timbrel.score.score import Score
from timbrel.synthesizer import Synthesizer
from timbrel.vocoder.bent_excitation import BentExcitation
from timbrel.vocoder.catalog import load_vocoder
from timbrel.vocoder.excitation import pulses
from timbrel.vocoder.vocoder import Vocoder, VocoderStream
from timbrel.voices import voices_of

RATE, HOP = 48_000, 384
KIT_KEYS = (36, 38, 42, 46)
_ODD_KEY = 99  # which no kit has


class ListeningVocoder:
    """Plays as another one does, and keeps the rolls that it is given."""

    def __init__(self, inner: Vocoder) -> None:
        self.mel, self.roll, self._inner = inner.mel, inner.roll, inner
        self.heard: list[PianoRoll] = []

    def stream(
        self, rolls: Sequence[PianoRoll], *, seed: int = 0, numbers: Sequence[int] | None = None
    ) -> VocoderStream:
        self.heard += rolls
        return self._inner.stream(rolls, seed=seed, numbers=numbers)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("studio")
    return small_mel2mel(folder / "studio").path, small_vocoder(folder / "parallel-studio")


@pytest.fixture(scope="module")
def synthesizer(pair: tuple[Path, Path]) -> Synthesizer:
    return Synthesizer.load(pair[0], vocoder=pair[1])


def melody(channel: int) -> bytes:
    """Eight notes: half of them by another program, and the later ones bent, with vibrato."""
    first = b"".join(note(40 + 5 * channel + i, 60, channel=channel) for i in range(4))
    second = b"".join(note(42 + 5 * channel + i, 60, channel=channel) for i in range(4))
    return (
        program(8 * channel, channel=channel)
        + first
        + program(8 * channel + 3, channel=channel)
        + parameter(0, 12, channel=channel)
        + bend(1000 * channel, channel=channel)
        + control(1, 9 * channel, channel=channel)
        + second
    )


def drums() -> bytes:
    strokes = b"".join(note(key, 40, channel=9) for key in (*KIT_KEYS, _ODD_KEY, *KIT_KEYS))
    jazz = program(32, channel=9) + note(36, 40, channel=9) + note(38, 40, channel=9)
    return strokes + jazz + note(42, 40, channel=9)


def song() -> bytes:
    """Nine melodies of eight notes, and drums of twelve, of which two are of lacking keys."""
    return smf(*(melody(channel) for channel in range(9)), drums())


def n_onsets(roll: PianoRoll) -> int:
    """Of the notes that the networks are shown."""
    window = roll.window(0, roll.n_frames)
    return int(np.count_nonzero(window[:, N_KEYS : 2 * N_KEYS]))


def test_every_note_of_ten_parts_is_played(pair: tuple[Path, Path]) -> None:
    bundle = load_bundle(pair[0], kind="mel2mel")
    vocoder = ListeningVocoder(load_vocoder(pair[1], bundle.mel))
    synthesizer = Synthesizer(MelGenerator(bundle), vocoder, threads=2)
    score = synthesizer.playable(parse_midi(song()))
    assert (score.n_notes, score.unplayable) == (82, {"notes_of_lacking_keys": 2})
    assert len(score.tracks) == 20  # a track for each program of a part
    assert [track.program for track in score.tracks if track.is_kit] == [0, 32]
    stream = synthesizer.stream(score, channels=1)
    audio = np.concatenate([block.mix for block in stream])
    assert np.isfinite(audio).all()
    assert stream.notes_left_out == 0
    assert sum(len(roll.notes) for roll in vocoder.heard) == 82
    assert sum(n_onsets(roll) for roll in vocoder.heard) == 82
    strokes = [
        roll.notes for roll in vocoder.heard if isinstance(roll, PerformanceRoll) and roll.is_kit
    ]
    assert sorted(np.concatenate(strokes)[:, 2]) == sorted([*KIT_KEYS, *KIT_KEYS, 36, 38])


def test_commands_count_what_the_kit_lacks(pair: tuple[Path, Path], tmp_path: Path) -> None:
    file, output = tmp_path / "song.mid", tmp_path / "song.wav"
    file.write_bytes(song())
    models = ("--model", pair[0], "--vocoder", pair[1])
    done = run("render", file, "-o", output, "--duration", "0.3", *models)
    assert done.returncode == 0
    lacking = "notes of keys that the drum kit lacks (2)"
    assert done.stderr == f"{file}: left out, as they cannot be played: {lacking}\n"
    (row,) = result_of("inspect", file, *models[:2])
    kinds = [(track["program"], track["drums"]) for track in row["tracks"]]
    assert kinds[-2:] == [(0, True), (32, True)]
    assert (kinds[0], row["notes"]) == ((0, False), 84)
    # The small model plays no drums, and says how many.
    (row,) = result_of("inspect", file, "--model", SMALL_MODEL)
    assert row["unplayable"]["drum_notes"] == 12
    assert [track["drums"] for track in row["tracks"][-2:]] == [True, True]


def first_excitation(score: Score, n_frames: int) -> np.ndarray:
    """The pulses of the first voice, as the vocoder makes them of the score."""
    voice = voices_of(score, ["piano"] * len(score.tracks), 125).voices[0]
    roll = roll_of("performance", voice.track, voice.notes, 125)
    timing = Timing(64 / RATE, 0.001, 64 / RATE)
    assert isinstance(roll, PerformanceRoll)
    found = BentExcitation(roll, sample_rate=RATE, hop_length=HOP, timing=timing)
    return pulses(found.frames(0, n_frames), HOP)[0]


def semitones(audio: np.ndarray, pitch: float) -> np.ndarray:
    """How far an independent tracker, YIN, finds a sound above a pitch, 125 times a second."""
    hz = 440 * 2 ** ((pitch - 69) / 12)
    low, high = 0.7 * hz, 1.6 * hz
    found = librosa.yin(audio, fmin=low, fmax=high, sr=RATE, frame_length=2048, hop_length=HOP)
    return 12 * np.log2(found / hz)


def test_a_bend_of_two_semitones_over_a_second_reaches_the_excitation(
    synthesizer: Synthesizer,
) -> None:
    wheel = b"".join(bend(82 * step, 10) for step in range(100)) + bend(8191, 10)
    data = smf(on(57) + control(7, 100, 490) + wheel + off(57, 500))
    score = synthesizer.playable(parse_midi(data))
    assert score.unplayable == {}
    found = semitones(first_excitation(score, 240), 57)
    expected = np.interp(np.arange(len(found)) / 125, [0.5, 1.5], [0.0, 2.0])
    assert np.abs(found - expected)[10:230].max() < 0.1


def scale(*cents: int) -> bytes:
    """A scale for all channels, by the MIDI Tuning Standard, with a byte for each key."""
    return exclusive(0x7F, 0x7F, 0x08, 0x08, 0x03, 0x7F, 0x7F, *(64 + value for value in cents))


def test_tunings_of_all_kinds_add_up(synthesizer: Synthesizer) -> None:
    coarse, fine = parameter(2, 64 + 1), parameter(1, 64 + 16)  # 1 and a quarter of a semitone
    master = exclusive(0x7F, 0x7F, 0x04, 0x03, 0, 72)  # an eighth
    values = [0, 0, 0, 0, -14, *[0] * 7]
    data = smf(coarse + fine + master + scale(*values) + on(64) + off(64, 1000))
    score = synthesizer.playable(parse_midi(data)).tuned(-1.0)
    found = semitones(first_excitation(score, 120), 64)
    assert np.median(found[10:110]) == pytest.approx(1 + 0.25 + 0.125 - 0.14 - 1, abs=0.02)


def test_an_a_may_be_of_415_hz(
    synthesizer: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = smf(on(69) + off(69, 1000), note(36, channel=9))
    score = synthesizer.playable(parse_midi(data))
    tuned = score.tuned(12 * np.log2(415 / 440))
    found = semitones(first_excitation(tuned, 120), 69)
    assert 440 * 2 ** (np.median(found[10:110]) / 12) == pytest.approx(415, abs=0.5)
    assert tuned.tracks[1] == score.tracks[1]
    usual, lower = (
        synthesizer.render(score, channels=1, duration_s=0.5, tuning_hz=hz) for hz in (440, 415)
    )
    assert np.abs(usual - lower).max() > 3e-4
    with pytest.raises(InputError, match="between 220 and 880 Hz, not 44 Hz"):
        synthesizer.render(score, tuning_hz=44)
    (tmp_path / "a.mid").write_bytes(data)
    small = ("--model", SMALL_MODEL, "-o", tmp_path / "a.wav")
    monkeypatch.chdir(tmp_path)
    words = failure_of("render", tmp_path / "a.mid", "--tuning", "415", *small)
    assert f"{SMALL_MODEL}: plays in the tuning of 440 Hz alone" in words
    assert not (tmp_path / "a.wav").exists()


def test_bends_beyond_the_band_are_silent_and_finite(synthesizer: Synthesizer) -> None:
    data = smf(parameter(0, 96) + on(108) + bend(8191, 200) + bend(-8192, 200) + off(108, 200))
    audio = synthesizer.render(synthesizer.playable(parse_midi(data)), channels=1)
    assert np.isfinite(audio).all()
    train = first_excitation(parse_midi(data), 75)
    assert np.isfinite(train).all()
    assert not train[12_000:18_000].any()


def test_a_rate_above_the_models_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(smf(note(60, 50)))
    options = ("--model", SMALL_MODEL, "--sample-rate", "48000", "--duration", "0.1")
    done = run("render", tmp_path / "a.mid", "-o", tmp_path / "a.wav", *options)
    assert done.returncode == 0
    assert "plays at 16000 Hz; at 48000 Hz its sound still ends at 8000 Hz" in done.stderr
    assert len(done.stderr.splitlines()) == 1

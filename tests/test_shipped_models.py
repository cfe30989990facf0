"""What a user hears: the shipped models, against the reference network and their own bounds."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from conftest import EXAMPLES, FRAME_RATE
from timbrel.bundles.bundle import load_bundle, shipped_bundles
from timbrel.bundles.weights import n_parameters
from timbrel.constants import DEFAULT_MODEL, SMALL_MODEL
from timbrel.geometry import MelConfig
from timbrel.mel.generator import MelGenerator
from timbrel.mel.mel2mel import load_mel2mel
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.midi import read_midi
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Note, Score, Track
from timbrel.synthesizer import Synthesizer
from timbrel.timbre.timbre import parse_timbre
from timbrel.vocoder.catalog import load_vocoder, vocoder_names


def of_the_paper(kind: str) -> list[str]:
    """Models of the published geometry, at 16 kHz."""
    return [name for name in shipped_bundles(kind) if load_bundle(name).mel == MelConfig()]


def models() -> list[str]:
    names = of_the_paper("mel2mel")
    assert "mel2mel" in names
    return names


def example_roll(name: str) -> PianoRoll:
    notes = read_midi(EXAMPLES / name).merged().notes
    return PianoRoll(notes, FRAME_RATE, n_frames=3000)


@pytest.mark.parametrize("name", models())
def test_windowed_inference_costs_next_to_nothing(name: str) -> None:
    """Mean absolute difference of the natural-log mel from the whole sequence's at most .05."""
    bundle = load_bundle(name)
    model, generator = load_mel2mel(bundle), MelGenerator(bundle)
    timbres = [parse_timbre(one.name, bundle.instruments) for one in bundle.instruments]
    points = torch.tensor([one.embedding for one in bundle.instruments])
    differences = []
    for example in ("prelude.mid", "duet.mid"):
        roll = example_roll(example)
        blocks = generator.stream([roll] * len(timbres), timbres, len(roll))
        windowed = np.concatenate(list(blocks), axis=1)
        with torch.no_grad():
            given = torch.from_numpy(roll.whole()).expand(len(points), -1, -1)
            whole = model(given, points).numpy()
        differences.extend(np.abs(windowed - whole).mean(axis=(1, 2)))
    assert len(differences) == 2 * len(bundle.instruments)
    assert np.mean(differences) <= 0.05
    assert max(differences) <= 0.2  # a quiet tail counts as much as a chord


@pytest.mark.parametrize("name", models())
def test_any_block_size_gives_the_same_mel(name: str) -> None:
    bundle = load_bundle(name)
    generator = MelGenerator(bundle)
    roll = PianoRoll(read_midi(EXAMPLES / "duet.mid").merged().notes, FRAME_RATE, n_frames=1000)
    timbre = parse_timbre("0s trumpet; 4s harp", bundle.instruments)
    mels = [
        np.concatenate(
            [b[0] for b in generator.stream([roll], [timbre], len(roll), block_frames=size)]
        )
        for size in (32, 64, 256)
    ]
    for other in mels[1:]:
        np.testing.assert_allclose(other, mels[0], atol=1e-5)


@pytest.mark.parametrize("name", models())
def test_a_model_has_the_published_size(name: str) -> None:
    bundle = load_bundle(name)
    size = bundle.model["timbre_size"]
    # 1,141,604 with ten instruments in two dimensions; each more costs the FiLM layers a row.
    expected = 1_141_604 + (size - 2) * (2 * 256 + 2 * 512 + 10)
    assert n_parameters(load_mel2mel(bundle)) == expected


@pytest.mark.parametrize(("name", "step"), [(SMALL_MODEL, 1), (DEFAULT_MODEL, 7)])
def test_instruments_sound_at_the_right_pitch_and_level(name: str, step: int) -> None:
    """A held A4 has its energy at multiples of 440 Hz, and the rest after it is quiet."""
    from timbrel.score.score import Note, Score, Track

    note = Note(69, 90, 0.5, 2.0)
    score = Score((Track("a", 0, 0, (note,)),))
    synthesizer = Synthesizer.load(name)
    pitched = [one for one in synthesizer.instruments if not one.is_kit and one.program < 112]
    for instrument in pitched[::step]:
        audio = synthesizer.render(score, timbre=instrument.name, channels=1)[:, 0]
        rate = synthesizer.sample_rate
        held = audio[int(0.6 * rate) : int(1.6 * rate)]
        spectrum = np.abs(np.fft.rfft(held * np.hanning(len(held))))
        frequency = spectrum.argmax() * rate / len(held)
        harmonic = frequency / 440
        assert abs(harmonic - round(harmonic)) < 0.12, instrument.name
        blocks = audio[int(0.5 * rate) :][: 20 * 800].reshape(20, 800)  # of 50 ms
        level_db = 10 * np.log10(np.mean(blocks**2, axis=1).max())
        before_db = 20 * np.log10(np.sqrt(np.mean(audio[: int(0.3 * rate)] ** 2)) + 1e-9)
        assert -50 < level_db < -6, instrument.name
        assert before_db < level_db - 25, instrument.name


VOCODERS = vocoder_names(MelConfig())
# By chance, and held to their mels by a post-filter.
DRAWN = [*shipped_bundles("wavenet"), *shipped_bundles("student")]


def vocoded_silence(name: str) -> np.ndarray:
    mel = load_bundle("mel2mel").mel
    silence = np.full((1, 500, mel.n_mels), mel.log_floor, np.float32)
    return load_vocoder(name, mel).stream([PianoRoll([], FRAME_RATE)]).process(silence, last=True)


@pytest.mark.parametrize("name", VOCODERS)
def test_silence_gives_silence(name: str) -> None:
    assert np.abs(vocoded_silence(name)).max() < 10 ** (-70 / 20)


@cache
def played_mel(n_frames: int) -> tuple[np.ndarray, PianoRoll]:
    """What a church organ plays, (1, frames, n_mels), and from what."""
    bundle = load_bundle("mel2mel")
    roll = example_roll("duet.mid")
    timbre = parse_timbre("church organ", bundle.instruments)
    blocks = MelGenerator(bundle).stream([roll], [timbre], n_frames)
    return np.concatenate(list(blocks), axis=1), roll


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_is_held_to_its_mel(name: str) -> None:
    mel, roll = played_mel(250)
    audio = load_vocoder(name, MelConfig()).stream([roll]).process(mel, last=True)
    found, wanted = mel_spectrogram(audio[0])[16:-16], mel[0, 16:-16]
    loud = wanted > wanted.max() - 7  # 60 dB
    assert np.abs(found - wanted)[loud].mean() < 0.2  # 1.7 dB


@pytest.mark.parametrize(("name", "n"), [("parallel", 500), ("student", 150)])
def test_streamed_vocoders_equal_whole_ones(name: str, n: int) -> None:
    mel, roll = played_mel(n)
    vocoder = load_vocoder(name, MelConfig())
    whole = vocoder.stream([roll]).process(mel, last=True)
    for size in (1, 16, 130):
        stream = vocoder.stream([roll])
        starts = range(0, n, size)
        parts = [stream.process(mel[:, s : s + size], last=s + size >= n) for s in starts]
        np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-4)


@cache
def synthesizer_with(vocoder: str) -> Synthesizer:
    return Synthesizer.load(vocoder=vocoder)


@cache
def held_note(vocoder: str, instrument: str, pitch: int) -> np.ndarray:
    """Five seconds of a note, less its beginning and its end."""
    score = Score((Track("", 0, 0, (Note(pitch, 90, 0.0, 5.0),)),))
    audio = synthesizer_with(vocoder).render(score, timbre=instrument, channels=1)
    return audio[32_000:72_000, 0]


def power_spectrum(audio: np.ndarray, pitch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power, the harmonic that is next, and how far it is in Hz."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
    hz = np.fft.rfftfreq(len(audio), 1 / 16_000)
    pitch_hz = 440 * 2 ** ((pitch - 69) / 12)
    harmonic = np.round(hz / pitch_hz)
    return power, harmonic, np.abs(hz - harmonic * pitch_hz)


@pytest.mark.parametrize("name", of_the_paper("parallel"))
@pytest.mark.parametrize("instrument", ["church organ", "synth lead"])
@pytest.mark.parametrize("pitch", [57, 72])
def test_a_held_note_keeps_its_pitch(name: str, instrument: str, pitch: int) -> None:
    """Nearly all of the power lies at its harmonics: it is played in tune."""
    power, harmonic, away_hz = power_spectrum(held_note(name, instrument, pitch), pitch)
    assert power[away_hz < np.maximum(harmonic, 1) * 10].sum() > 0.98 * power.sum()


@pytest.mark.parametrize("name", of_the_paper("parallel"))
@pytest.mark.parametrize("instrument", ["synth lead", "trumpet"])
@pytest.mark.parametrize("pitch", [60, 72])
def test_a_held_note_does_not_flutter_with_the_frames(
    name: str, instrument: str, pitch: int
) -> None:
    power, _, away_hz = power_spectrum(held_note(name, instrument, pitch), pitch)
    beside = (np.abs(away_hz - 125) < 2) | (np.abs(away_hz - 250) < 2)
    assert 10 * np.log10(power[beside].sum() / power.sum()) < -40


@pytest.mark.parametrize("name", of_the_paper("parallel"))
@pytest.mark.parametrize("instrument", ["synth lead", "trumpet", "church organ"])
@pytest.mark.parametrize("pitch", [60, 72])
def test_a_held_note_does_not_flutter_with_the_hops_of_mel2mel(
    name: str, instrument: str, pitch: int
) -> None:
    audio = held_note(name, instrument, pitch)
    level = np.sqrt(np.convolve(audio**2, np.ones(160) / 160, "same"))[::16]  # 1,000 a second
    flutter = np.abs(np.fft.rfft((level - level.mean()) * np.hanning(len(level))))
    hz = np.fft.rfftfreq(len(level), 1 / 1_000)
    for line_hz in (7.8125, 15.625):
        line = int(np.argmin(np.abs(hz - line_hz)))
        around = np.r_[flutter[line - 12 : line - 3], flutter[line + 4 : line + 13]]
        assert flutter[line - 1 : line + 2].max() < 4 * np.median(around)


# The studio


@pytest.fixture(scope="module")
def studio() -> Synthesizer:
    return Synthesizer.load("mel2mel-studio")


def test_the_studio_has_all_programs_and_the_kits_of_general_midi(studio: Synthesizer) -> None:
    programs = [one.program for one in studio.instruments if not one.is_kit]
    assert sorted(programs) == list(range(128))
    assert {0, 8, 16, 24, 25, 32, 40, 48} <= {i.program for i in studio.instruments if i.is_kit}
    assert studio.sample_rate == 48_000


def test_the_pair_of_the_studio_is_small() -> None:
    folders = (load_bundle(name).path for name in ("mel2mel-studio", "parallel-studio"))
    sizes = [path.stat().st_size for folder in folders for path in folder.iterdir()]
    assert sum(sizes) <= 24_000_000


@pytest.mark.parametrize(("program", "pitch"), [(0, 60), (33, 40), (56, 69), (73, 84)])
def test_the_studio_plays_in_tune_and_is_silent_before(
    studio: Synthesizer, program: int, pitch: int
) -> None:
    score = Score((Track("", program, 0, (Note(pitch, 90, 0.5, 2.0),)),))
    audio = studio.render(score, channels=1, normalize=False)[:, 0]
    rate = studio.sample_rate
    held = audio[int(0.6 * rate) : int(1.8 * rate)]
    power = np.abs(np.fft.rfft(held * np.hanning(len(held)))) ** 2
    hz = np.fft.rfftfreq(len(held), 1 / rate)
    pitch_hz = 440 * 2 ** ((pitch - 69) / 12)
    harmonic = np.maximum(np.round(hz / pitch_hz), 1)
    in_tune = np.abs(hz - harmonic * pitch_hz) < 0.03 * pitch_hz * harmonic
    assert power[in_tune & (harmonic < 9)].sum() > 0.8 * power.sum()
    before, loud = (np.sqrt(np.mean(part**2)) for part in (audio[: int(0.4 * rate)], held))
    assert before < 0.01 * loud


def test_the_studio_plays_drums_when_they_are_struck(studio: Synthesizer) -> None:
    starts = np.arange(8) / 2 + 0.25
    notes = tuple(Note(36 if i % 2 == 0 else 38, 100, s, s + 0.1) for i, s in enumerate(starts))
    score = Score((), drum_tracks=(Track("", 0, 9, notes, is_kit=True),))
    audio = studio.render(score, channels=1, normalize=False)[:, 0]
    rate = studio.sample_rate
    for start in starts:
        at = round(start * rate)
        before, hit = audio[at - rate // 50 : at - rate // 500], audio[at : at + rate // 50]
        assert np.square(hit).mean() > 30 * np.square(before).mean()

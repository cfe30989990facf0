"""Voices that sound: alone as among others, in blocks of any size, and asleep in their rests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from conftest import EXAMPLES, FRAME_RATE
from support.plain_vocoder import PlainVocoder
from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.ensemble import PRE_ROLL_S, REST_S, Ensemble
from timbrel.geometry import MelConfig
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.generator import MelGenerator, MelStream
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig
from timbrel.score.instruments import TEN_INSTRUMENTS
from timbrel.score.midi import read_midi
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Note, Track, note_table
from timbrel.timbre.timbre import Timbre
from timbrel.vocoder.catalog import load_vocoder
from timbrel.vocoder.griffin_lim import GriffinLim
from timbrel.vocoder.vocoder import Vocoder
from timbrel.voices import RING_S, Voice, excerpt

MEL = MelConfig()
STILL = Timbre.constant((0.4, -0.7))
MOVING = Timbre((0.0, 9.0, 30.0), ((-1.0, 0.5), (1.0, 1.5), (0.0, -2.0)))


@pytest.fixture(scope="module")
def generator(tiny_bundle: Bundle) -> MelGenerator:
    """It never falls silent."""
    return MelGenerator(tiny_bundle)


@pytest.fixture(scope="module")
def fading(tmp_path_factory: pytest.TempPathFactory) -> MelGenerator:
    """One that is silent wherever it is asked, as a trained model is in a rest."""
    torch.manual_seed(1)
    model = Mel2Mel(Mel2MelConfig(n_instruments=10, hidden_size=16)).eval()
    with torch.no_grad():
        model.output.bias.fill_(-9.0)
    path = tmp_path_factory.mktemp("models") / "fading"
    about = {"name": "fading", "gain": 0.5, "license": "MIT", "attribution": "", "training": {}}
    about["window"] = {"hop": 16, "context": 64}  # as of `tiny_bundle`
    write_mel2mel_bundle(model, path, mel=MEL, instruments=TEN_INSTRUMENTS, **about)
    return MelGenerator(load_bundle(path))


@pytest.fixture(scope="module")
def plain() -> PlainVocoder:
    return PlainVocoder(MEL)


def voice(
    number: int, *spans: tuple[float, float], timbre: Timbre = STILL, pitch: int = 60
) -> Voice:
    """A voice that plays a chord in each of some spans of seconds."""
    notes = [
        Note(key, 90, start, end) for start, end in spans for key in (pitch, pitch + 4, pitch + 7)
    ]
    track = Track(f"voice {number}", 0, 0, tuple(notes))
    return Voice(number, track, timbre, note_table(notes))


def played(
    voices: Sequence[Voice],
    generator: MelGenerator,
    vocoder: Vocoder,
    *,
    n_frames: int,
    block: int = 128,
    **options: int,
) -> np.ndarray:
    """What the voices play, (voices, samples)."""
    ensemble = Ensemble(voices, generator, vocoder, n_frames=n_frames, **options)
    stops = [*range(block, n_frames, block), n_frames]
    audio = np.zeros((len(voices), n_frames * MEL.hop_length), np.float32)
    start = 0
    for stop, sounds in zip(stops, ensemble.blocks(stops), strict=True):
        for index, sound in sounds.items():
            audio[index, start * MEL.hop_length : stop * MEL.hop_length] = sound
        start = stop
    return audio


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[range]:
    """The frames for which Mel2Mel computes, call by call."""
    spans: list[range] = []
    original = MelStream.next

    def counted(stream: MelStream, n_hops: int) -> np.ndarray:
        spans.append(range(stream.frame, stream.frame + 16 * n_hops))
        return original(stream, n_hops)

    monkeypatch.setattr(MelStream, "next", counted)
    return spans


FEW = [
    voice(0, (0.3, 1.0), (1.5, 2.0), (11.0, 12.0), timbre=MOVING),
    voice(1, (4.0, 4.5), (14.2, 14.3)),
    voice(5, (0.0, 13.0), pitch=50),
]
N_FEW = 1900  # frames


@pytest.mark.parametrize("block", [1, 7, 16, 100, 1024, 5000])
def test_blocks_of_any_size_give_the_same(
    generator: MelGenerator, plain: PlainVocoder, block: int
) -> None:
    whole = played(FEW, generator, plain, n_frames=N_FEW)
    assert np.abs(whole).max() > 0.1
    cut = played(FEW, generator, plain, n_frames=N_FEW, block=block)
    np.testing.assert_allclose(cut, whole, atol=1e-5)


@pytest.mark.parametrize("name", ["parallel", "griffin-lim"])
def test_blocks_of_any_size_give_the_same_sound_of_real_vocoders(
    generator: MelGenerator, name: str
) -> None:
    vocoder = load_vocoder(name, MEL)
    whole = played(FEW[1:2], generator, vocoder, n_frames=N_FEW, seed=3)
    assert np.abs(whole).max() > 0.001
    for block in (48, 700):
        cut = played(FEW[1:2], generator, vocoder, n_frames=N_FEW, seed=3, block=block)
        np.testing.assert_allclose(cut, whole, atol=1e-5)


@pytest.mark.parametrize("name", ["parallel", "griffin-lim", "wavenet"])
def test_a_voice_does_not_hear_the_others(generator: MelGenerator, name: str) -> None:
    vocoder = load_vocoder(name, MEL)
    n_frames = 60 if name == "wavenet" else 400
    voices = [voice(2, (0.1, 0.2), (0.5, 0.9)), voice(7, (0.0, 1.9), pitch=40)]
    both = played(voices, generator, vocoder, n_frames=n_frames, seed=1)
    assert np.abs(both).max(axis=1).min() > 1e-4
    for index in range(2):
        alone = played(voices[index : index + 1], generator, vocoder, n_frames=n_frames, seed=1)
        np.testing.assert_array_equal(alone[0], both[index])


@pytest.mark.parametrize("name", ["parallel", "griffin-lim"])
def test_two_voices_that_play_the_same_have_noise_of_their_own(
    generator: MelGenerator, name: str
) -> None:
    twins = [voice(number, (0.0, 0.5)) for number in (0, 1)]
    first, second = played(twins, generator, load_vocoder(name, MEL), n_frames=100)
    assert np.abs(first - second).max() > 1e-4


def test_threads_change_no_bit(generator: MelGenerator) -> None:
    vocoder = GriffinLim(MEL)
    one, two, five = (
        played(FEW, generator, vocoder, n_frames=600, seed=2, threads=threads)
        for threads in (1, 2, 5)
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, five)


def test_without_rests_it_is_what_the_networks_make_of_the_whole(tiny_bundle: Bundle) -> None:
    notes = read_midi(EXAMPLES / "duet.mid").tracks[0].notes
    generator, vocoder, n_frames = MelGenerator(tiny_bundle), load_vocoder("parallel", MEL), 700
    lead = Voice(0, Track("", 0, 0, notes), MOVING, note_table(notes))
    (found,) = played([lead], generator, vocoder, n_frames=n_frames, seed=4)
    roll = PianoRoll(notes, FRAME_RATE)
    mel = np.concatenate(list(generator.stream([roll], [MOVING], n_frames)), axis=1)
    expected = vocoder.stream([roll], seed=4).process(mel, last=True)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected).max() > 1e-3


def test_a_voice_sleeps_until_its_first_note_and_after_its_last(
    fading: MelGenerator, plain: PlainVocoder, hops: list[range]
) -> None:
    late = voice(0, (20.0, 21.0))
    (audio,) = played([late], fading, plain, n_frames=60 * FRAME_RATE)
    awake = np.flatnonzero(audio.reshape(-1, MEL.hop_length).any(axis=1))
    # From the hop in which a window reaches the note, though it speaks when it does only.
    assert min(span.start for span in hops) == (20 * FRAME_RATE - 4) // 16 * 16
    assert awake[0] == (20 * FRAME_RATE - 4) // 16 * 16
    # A hop after the rest, and what the block holds beyond it.
    assert awake[-1] < (21 + REST_S) * FRAME_RATE + 16
    assert sum(map(len, hops)) < (1 + REST_S) * FRAME_RATE + 16 + 128


def test_a_voice_that_never_falls_silent_sleeps_at_last(
    generator: MelGenerator, plain: PlainVocoder, hops: list[range]
) -> None:
    (audio,) = played([voice(0, (0.0, 1.0))], generator, plain, n_frames=60 * FRAME_RATE)
    awake = np.flatnonzero(audio.reshape(-1, MEL.hop_length).any(axis=1))
    assert (1 + RING_S) * FRAME_RATE <= awake[-1] + 1 < (1 + RING_S) * FRAME_RATE + 16
    assert sum(map(len, hops)) < (1 + RING_S) * FRAME_RATE + 16 + 128


def test_a_voice_without_notes_in_the_span_costs_nothing(
    generator: MelGenerator, plain: PlainVocoder, hops: list[range]
) -> None:
    tune = voice(0, (0.0, 3.0))
    others = [voice(number, (5.0 + number, 6.0 + number)) for number in range(1, 129)]
    alone = played([tune], generator, plain, n_frames=500)
    work = sum(map(len, hops))
    among = played([tune, *others], generator, plain, n_frames=500)
    assert sum(map(len, hops)) == 2 * work
    np.testing.assert_array_equal(among[0], alone[0])
    assert not among[1:].any()
    nothing = [excerpt(tune, 100.0)]
    assert not played(nothing, generator, plain, n_frames=500).any()


def test_short_rests_are_played_through(
    fading: MelGenerator, plain: PlainVocoder, hops: list[range]
) -> None:
    rests = voice(0, (0.0, 1.0), (2.9, 3.0), (6.9, 8.0))
    played([rests], fading, plain, n_frames=9 * FRAME_RATE)
    awake = sorted({frame for span in hops for frame in span if frame < 9 * FRAME_RATE})
    assert awake == list(range(0, 9 * FRAME_RATE))


def test_after_a_long_rest_it_plays_as_an_excerpt_does(
    generator: MelGenerator, plain: PlainVocoder
) -> None:
    whole = voice(0, (0.0, 3.0), (16.0, 17.0), (17.5, 20.0), timbre=MOVING)
    n_frames, first = 21 * FRAME_RATE, 1200
    (audio,) = played([whole], generator, plain, n_frames=n_frames)
    later = excerpt(whole, first / FRAME_RATE)
    (part,) = played([later], generator, plain, n_frames=n_frames - first)
    assert (3 + RING_S) * FRAME_RATE < first < (15.8 - PRE_ROLL_S) * FRAME_RATE
    np.testing.assert_allclose(part, audio[first * MEL.hop_length :], atol=1e-6)


def test_a_voice_that_wakes_has_heard_as_much_silence_as_there_was_up_to_the_pre_roll(
    fading: MelGenerator, plain: PlainVocoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    begin = MelGenerator.begin

    def noted(*given: object, start: int, silence: int) -> MelStream:
        begun.append((start, silence))
        return begin(*given, start=start, silence=silence)

    monkeypatch.setattr(MelGenerator, "begin", noted)
    spans = voice(0, (1.6, 2.0), (10.0, 11.0))
    played([spans], fading, plain, n_frames=12 * FRAME_RATE)
    assert begun == [(192, 192), (1232, 512)]
    assert PRE_ROLL_S * FRAME_RATE <= 512 < PRE_ROLL_S * FRAME_RATE + 16


@pytest.mark.parametrize("name", ["mel2mel", "mel2mel-10d"])
def test_the_shipped_models_fall_silent_and_sound_the_same_while_they_do_not(name: str) -> None:
    bundle = load_bundle(name)
    generator, vocoder = MelGenerator(bundle), load_vocoder("parallel", bundle.mel)
    trumpet = next(i for i in bundle.instruments if i.name == "trumpet")
    timbre = Timbre.constant(trumpet.embedding)
    n_frames = 6 * FRAME_RATE
    blown = voice(0, (0.5, 1.5), timbre=timbre)
    (found,) = played([blown], generator, vocoder, n_frames=n_frames)
    roll = PianoRoll(blown.notes, FRAME_RATE)
    mel = np.concatenate(list(generator.stream([roll], [timbre], n_frames)), axis=1)
    expected = vocoder.stream([roll]).process(mel, last=True)[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(expected).max() > 0.05
    silent = round((1.5 + REST_S + 0.3) * FRAME_RATE) * MEL.hop_length
    assert not found[silent:].any()


def test_an_ensemble_of_nobody_is_silent(generator: MelGenerator, plain: PlainVocoder) -> None:
    assert list(Ensemble([], generator, plain, n_frames=9).blocks([4, 9])) == [{}, {}]

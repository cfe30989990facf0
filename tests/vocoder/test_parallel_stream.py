"""The parallel vocoder's export, streamed, against the reference network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import EXAMPLES, FRAME_RATE
from timbrel.bundles.bundle import load_bundle, write_sums
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.score.midi import read_midi
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Note
from timbrel.vocoder import parallel
from timbrel.vocoder.chance import phases
from timbrel.vocoder.excitation import Excitation, stack_notes
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.parallel import ParallelVocoderConfig
from timbrel.vocoder.parallel_export import write_parallel_bundle
from timbrel.vocoder.parallel_stream import ParallelVocoder

MEL = MelConfig()
N_FRAMES = 150


def roll_of(notes: Iterable[Note], *, n_frames: int | None = None) -> PianoRoll:
    """A roll at the default models' frame rate."""
    return PianoRoll(notes, FRAME_RATE, n_frames=n_frames)


def small_network(**options: object) -> parallel.ParallelVocoder:
    torch.manual_seed(4)
    config = ParallelVocoderConfig(**{"width": 16, "n_blocks": 3, "lookahead": 5} | options)
    network = parallel.ParallelVocoder(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
        network.head.bias.add_(3.0)
    return network


def exported(network: parallel.ParallelVocoder, folder: Path, **changes: object) -> ParallelVocoder:
    given = {
        "name": "small",
        "mel": MEL,
        "gain": 0.5,
        "license": "CC0",
        "attribution": "Made by chance.",
        "training": {"steps": 3, "validation": {"log_cqt_correlation": 0.5}},
    }
    folder.mkdir(exist_ok=True)
    write_parallel_bundle(network, folder / "small", **given | changes)
    return ParallelVocoder(load_bundle(folder / "small", kind="parallel"))


@pytest.fixture(scope="module")
def network() -> parallel.ParallelVocoder:
    return small_network()


@pytest.fixture(scope="module")
def vocoder(
    network: parallel.ParallelVocoder, tmp_path_factory: pytest.TempPathFactory
) -> ParallelVocoder:
    return exported(network, tmp_path_factory.mktemp("vocoder"))


@pytest.fixture(scope="module")
def rolls() -> list[PianoRoll]:
    return [roll_of(track.notes) for track in read_midi(EXAMPLES / "duet.mid").tracks[:2]]


def random_mel(n_tracks: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(-5, 2, (n_tracks, N_FRAMES, 80)).astype(np.float32)


def streamed(
    vocoder: ParallelVocoder, rolls: list[PianoRoll], mel: np.ndarray, block: int, seed: int = 3
) -> np.ndarray:
    stream = vocoder.stream(rolls, seed=seed)
    blocks = [mel[:, i : i + block] for i in range(0, mel.shape[1], block)]
    audio = [stream.process(part) for part in blocks]
    return np.concatenate([*audio, stream.process(mel[:, :0], last=True)], axis=1)


@pytest.mark.parametrize(
    ("conditioning", "lowest_bin"), [("mel", 0), ("excitation", 0), ("excitation", 2)]
)
def test_stream_is_the_reference_between_silences(
    conditioning: str, lowest_bin: int, rolls: list[PianoRoll], tmp_path: Path
) -> None:
    network = small_network(conditioning=conditioning, lowest_bin=lowest_bin)
    vocoder = exported(network, tmp_path)
    mel = random_mel()
    stream = vocoder.stream(rolls, seed=3)
    found = stream.process(mel, last=True)
    assert found.shape == (2, N_FRAMES * 128)

    before, after = 60, 20
    silence = np.full((2, before, 80), MEL.log_floor, np.float32)
    padded = np.concatenate([silence, mel, silence[:, :after]], axis=1)
    noise = phases(3, np.arange(2, dtype=np.uint32), -before, N_FRAMES + after, 257)
    score = None
    if conditioning == "excitation":
        excitations = [
            Excitation(roll, sample_rate=16_000, hop_length=128, onset_grid_s=0.002)
            for roll in rolls
        ]
        score = parallel.tensors(stack_notes([e.frames(-before, 170) for e in excitations]))
    with torch.no_grad():
        whole = network(normalised(torch.from_numpy(padded), MEL), torch.from_numpy(noise), score)
    expected = whole[:, before * 128 :][:, : N_FRAMES * 128].numpy()
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_lies_below_the_lowest_bin_is_silent(tmp_path: Path, rolls: list[PianoRoll]) -> None:
    def low_and_high(lowest_bin: int) -> tuple[float, float]:
        network = small_network(conditioning="excitation", lowest_bin=lowest_bin)
        vocoder = exported(network, tmp_path / str(lowest_bin))
        sound = vocoder.stream(rolls[:1], seed=3).process(random_mel(1), last=True)[0]
        power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
        hz = np.fft.rfftfreq(len(sound), 1 / 16_000)
        return power[hz < 10].mean(), power[hz > 200].mean()

    (low, high), (cut, as_high) = (low_and_high(lowest_bin) for lowest_bin in (0, 2))
    # A bin is 31 Hz wide, and what lies next to the window's main lobe is 31 dB below it.
    assert cut < low / 300
    assert as_high == pytest.approx(high, rel=0.01)


def test_a_lowest_bin_lies_within_the_spectrum() -> None:
    for lowest_bin in (-1, 257):
        with pytest.raises(InputError, match="the lowest bin must be from 0 to 256"):
            ParallelVocoderConfig(lowest_bin=lowest_bin)


@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_of_any_size_give_the_same(
    block: int, vocoder: ParallelVocoder, rolls: list[PianoRoll]
) -> None:
    mel = random_mel()
    whole = vocoder.stream(rolls, seed=3).process(mel, last=True)
    np.testing.assert_allclose(streamed(vocoder, rolls, mel, block), whole, atol=1e-6)


def test_sound_comes_at_most_sixteen_frames_after_its_mel(
    vocoder: ParallelVocoder, rolls: list[PianoRoll]
) -> None:
    stream = vocoder.stream(rolls)
    given = stream.process(random_mel()[:, :40])
    assert given.shape == (2, (40 - vocoder.latency_frames) * 128)
    assert vocoder.latency_frames == 5 + 2
    assert ParallelVocoderConfig().latency_frames <= 16


def test_tracks_do_not_hear_each_other(vocoder: ParallelVocoder, rolls: list[PianoRoll]) -> None:
    mel = random_mel()
    both = streamed(vocoder, rolls, mel, 64)
    first = streamed(vocoder, rolls[:1], mel[:1], 64)
    np.testing.assert_allclose(both[:1], first, atol=1e-6)


def test_seeds_give_other_noise(vocoder: ParallelVocoder, rolls: list[PianoRoll]) -> None:
    mel = random_mel()
    first, again, other = (streamed(vocoder, rolls, mel, 64, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-6


def test_noise_is_even_and_never_repeats() -> None:
    noise = phases(0, np.arange(2, dtype=np.uint32), -60, 1000, 257)
    assert noise.shape == (2, 1060, 257)
    assert noise.min() >= 0
    assert noise.max() < 1
    counts, _ = np.histogram(noise, bins=20, range=(0, 1))
    assert np.abs(counts / counts.mean() - 1).max() < 0.02
    flat = noise.reshape(2, -1)
    for lag in (1, 257, 258, 16 * 257):
        pairs = flat[:, lag:] - 0.5, flat[:, :-lag] - 0.5
        assert abs(np.mean(pairs[0] * pairs[1]) * 12) < 0.01
    assert abs(np.corrcoef(flat)[0, 1]) < 0.01


def test_the_score_is_heard(vocoder: ParallelVocoder) -> None:
    mel = random_mel(1)
    without, sounding = roll_of([]), roll_of([Note(60, 100, 0.5, 1.0)])
    difference = streamed(vocoder, [sounding], mel, 64) - streamed(vocoder, [without], mel, 64)
    onset = 8000 - 512 - 5 * 128  # less the window and what the network sees ahead
    assert not np.abs(difference[:, :onset]).max() > 1e-6
    assert np.abs(difference[:, 8000:12000]).max() > 1e-3


def test_weights_are_stored_once_and_small(
    network: parallel.ParallelVocoder, vocoder: ParallelVocoder
) -> None:
    n_weights = sum(p.numel() for p in network.parameters())
    size = sum(path.stat().st_size for path in vocoder.bundle.path.iterdir())
    assert size < 2 * n_weights + 140_000  # with the graph, and what draws the mel out


def test_card_says_what_it_is(vocoder: ParallelVocoder) -> None:
    card = vocoder.bundle.file("README.md").read_text()
    assert "conditioned on the mel and pulse trains of the score" in card
    assert "| steps | 3 |" in card
    assert "| log cqt correlation | 0.5 |" in card
    assert "Licence of the weights: CC0." in card


@pytest.mark.parametrize(
    ("mel", "words"),
    [
        (np.zeros((1, 5, 80), np.float32), r"expects \(2, frames, 80\)"),
        (np.zeros((2, 5, 64), np.float32), r"shape \(2, 5, 64\) was given"),
        (np.full((2, 5, 80), np.nan, np.float32), "not finite"),
        (np.full((2, 5, 80), np.inf, np.float32), "not finite"),
    ],
)
def test_what_is_no_mel_is_refused(
    mel: np.ndarray, words: str, vocoder: ParallelVocoder, rolls: list[PianoRoll]
) -> None:
    with pytest.raises(InputError, match=words):
        vocoder.stream(rolls).process(mel)


def test_a_bundle_without_a_size_is_refused(tmp_path: Path) -> None:
    exported(small_network(), tmp_path)
    config = tmp_path / "small" / "config.json"
    config.write_text(config.read_text().replace('"lookahead": 5', '"lookahead": "five"'))
    write_sums(tmp_path / "small")
    with pytest.raises(InputError, match="lacks the model's 'lookahead'"):
        ParallelVocoder(load_bundle(tmp_path / "small"))

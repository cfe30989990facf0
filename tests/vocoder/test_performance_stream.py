"""The parallel vocoder that plays bends and kits: its export, streamed, against the reference."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch

from timbrel.bundles.bundle import load_bundle
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.pitch import Pitches
from timbrel.score.score import Automation, Note
from timbrel.vocoder import parallel
from timbrel.vocoder.chance import phases
from timbrel.vocoder.excitation import stack_notes
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.parallel import ParallelVocoderConfig
from timbrel.vocoder.parallel_export import write_parallel_bundle
from timbrel.vocoder.parallel_stream import ParallelVocoder
from timbrel.vocoder.pre_echo import PreEchoControl
from timbrel.vocoder.sources import source_of
from timbrel.vocoder.strokes import stack_strokes

MEL = MelConfig(sample_rate=48_000, hop_length=384, n_fft=3072, n_mels=32, f_max_hz=20_000)
N_FRAMES = 90
STILL = Automation((0.0,), (0.0,))


@pytest.fixture(scope="module")
def network() -> parallel.ParallelVocoder:
    torch.manual_seed(5)
    config = ParallelVocoderConfig(
        conditioning="performance",
        n_mels=32,
        sample_rate=48_000,
        hop_length=384,
        n_fft=1536,
        width=16,
        n_blocks=2,
        lookahead=1,
        onset_grid_s=64 / 48_000,
        onset_clock_s=0.001,
        onset_delay_s=64 / 48_000,
    )
    network = parallel.ParallelVocoder(config, MEL).eval()
    assert network.kit_head is not None
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
        network.head.bias.add_(3.0)
        network.kit_head.bias.add_(3.0)
    return network


@pytest.fixture(scope="module")
def vocoder(
    network: parallel.ParallelVocoder, tmp_path_factory: pytest.TempPathFactory
) -> ParallelVocoder:
    folder = tmp_path_factory.mktemp("vocoder") / "small"
    write_parallel_bundle(
        network,
        folder,
        mel=MEL,
        name="small",
        gain=0.5,
        license="CC0",
        attribution="Made by chance.",
        training={"steps": 3},
    )
    return ParallelVocoder(load_bundle(folder, kind="parallel"))


@pytest.fixture(scope="module")
def bent() -> PerformanceRoll:
    times_s = tuple(np.arange(0.2, 0.5, 0.01).tolist())
    pitches = Pitches(
        Automation((0.0, *times_s), (0.0, *np.linspace(0, 2, len(times_s)).tolist())),
        STILL,
        Automation((0.0, 0.3), (0.0, 0.4)),
        81,
    )
    notes = [Note(57, 100, 0.1, 0.6), Note(64, 60, 0.25, 0.4), Note(30, 90, 0.3, 0.7)]
    return PerformanceRoll(notes, 125, pitches=pitches)


@pytest.fixture(scope="module")
def kit() -> PerformanceRoll:
    strokes = [(36, 0.1), (42, 0.15), (38, 0.3), (42, 0.302), (38, 0.45)]
    notes = [Note(key, 100, start, start + 0.05) for key, start in strokes]
    return PerformanceRoll(notes, 125, is_kit=True)


def random_mel(n_tracks: int) -> np.ndarray:
    return np.random.default_rng(0).normal(-5, 2, (n_tracks, N_FRAMES, 32)).astype(np.float32)


def streamed(
    vocoder: ParallelVocoder, rolls: list[PianoRoll], mel: np.ndarray, block: int
) -> np.ndarray:
    stream = vocoder.stream(rolls, seed=3)
    blocks = [mel[:, i : i + block] for i in range(0, mel.shape[1], block)]
    audio = [stream.process(part) for part in blocks]
    return np.concatenate([*audio, stream.process(mel[:, :0], last=True)], axis=1)


@pytest.mark.parametrize("which", ["bent", "kit"])
def test_stream_is_the_reference_between_silences(
    which: str,
    network: parallel.ParallelVocoder,
    vocoder: ParallelVocoder,
    request: pytest.FixtureRequest,
) -> None:
    roll: PerformanceRoll = request.getfixturevalue(which)
    mel = random_mel(1)
    found = vocoder.stream([roll], seed=3).process(mel, last=True)
    assert found.shape == (1, N_FRAMES * 384)

    before, after = 40, 20
    silence = np.full((1, before, 32), MEL.log_floor, np.float32)
    padded = np.concatenate([silence, mel, silence[:, :after]], axis=1)
    noise = phases(3, np.array([0], np.uint32), -before, N_FRAMES + after, 769)
    frames = source_of(roll, asdict(network.config)).frames(-before, N_FRAMES + after)
    score = stack_strokes([frames]) if roll.is_kit else stack_notes([frames])  # type: ignore[list-item]
    with torch.no_grad():
        whole = network(
            normalised(torch.from_numpy(padded), MEL),
            torch.from_numpy(noise),
            parallel.tensors(score),
        )
    expected = whole[:, before * 384 :][:, : N_FRAMES * 384].numpy()
    if roll.is_kit:
        onsets = source_of(roll, asdict(network.config)).onsets
        control = PreEchoControl([onsets], sample_rate=48_000, hop_length=384)
        expected = control.process(expected, 0)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_of_any_size_give_the_same(
    block: int, vocoder: ParallelVocoder, bent: PerformanceRoll, kit: PerformanceRoll
) -> None:
    mel = random_mel(3)
    rolls: list[PianoRoll] = [kit, bent, kit]
    whole = vocoder.stream(rolls, seed=3).process(mel, last=True)
    np.testing.assert_allclose(streamed(vocoder, rolls, mel, block), whole, atol=1e-4)
    alone = vocoder.stream([bent], seed=3, numbers=[1]).process(mel[1:2], last=True)
    np.testing.assert_allclose(whole[1], alone[0], atol=1e-6)


def test_attacks_are_silent_before_their_strokes(
    network: parallel.ParallelVocoder, kit: PerformanceRoll
) -> None:
    """Whatever the masks of the attack are: here, all of a kit's sound is its attack."""
    source = source_of(kit, asdict(network.config))
    frames = stack_strokes([source.frames(0, N_FRAMES)])  # type: ignore[list-item]
    mel = normalised(torch.full((1, N_FRAMES, 32), -2.0), MEL)
    only_attack = parallel.ParallelVocoder(network.config, MEL).eval()
    assert only_attack.kit_head is not None
    with torch.no_grad():
        parts = only_attack.kit_head.bias.unflatten(0, (10, 769))
        parts[[0, 7]] = -30.0
        parts[[1, 4]] = 0.0
        audio = only_attack(mel, torch.zeros(1, N_FRAMES, 769), parallel.tensors(frames))[0]
    onset = round((0.1 + 64 / 48_000) * 48_000)  # 0.1 s lies on the grid
    assert audio[:onset].abs().max() < 1e-6
    assert audio[onset : onset + 100].abs().max() > 1e-2


def test_a_roll_of_88_keys_is_refused(vocoder: ParallelVocoder) -> None:
    assert vocoder.roll == "performance"
    with pytest.raises(InputError, match="wants rolls of all keys and bends"):
        vocoder.stream([PianoRoll([Note(60, 100, 0.0, 1.0)], 125)])

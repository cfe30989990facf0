"""The parallel student: its flows, its divergence, its bundle, and blocks of mel to audio."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from conftest import FRAME_RATE
from timbrel.bundles.bundle import load_bundle
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder.catalog import load_vocoder
from timbrel.vocoder.chance import normal
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.post_filter import PostFiltered
from timbrel.vocoder.shaping import filters_of, n_taps, shaped
from timbrel.vocoder.student import NativeStudent, Student, StudentConfig, can_be_native, divergence
from timbrel.vocoder.student_export import write_student_bundle
from timbrel.vocoder.student_stream import StudentVocoder
from timbrel.vocoder.vocoder import Sampling

MEL = MelConfig(n_mels=12, hop_length=32, n_fft=128)
SIZES = StudentConfig(
    n_flows=2, n_layers=4, n_cycle=3, residual_size=8, skip_size=16, n_mels=12, strides=(4, 8)
)


def taught(config: StudentConfig = SIZES) -> Student:
    """A student whose flows are not the identity."""
    torch.manual_seed(1)
    model = Student(config, MEL).eval()
    with torch.no_grad():
        for flow in model.flows:
            flow.last.weight.normal_(std=0.3)
            flow.last.bias.copy_(torch.tensor([0.1, -0.2]))
    return model


def mel_of(n_tracks: int, n_frames: int) -> np.ndarray:
    random = np.random.default_rng(1)
    return random.uniform(-3, 4, (n_tracks, n_frames, 12)).astype(np.float32)


def made(
    model: nn.Module, noise: torch.Tensor, mel: np.ndarray, config: MelConfig = MEL
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a student makes of noise (tracks, samples) before which there was none."""
    before = np.pad(noise.numpy(), ((0, 0), (n_taps(config) - 1, 0)))
    silent = np.pad(mel, ((0, 0), (1, 2), (0, 0)), constant_values=config.log_floor)
    found = shaped(before, filters_of(silent[:, 1:-1], config), config.hop_length)
    read = normalised(torch.from_numpy(silent), config)
    return model(*map(torch.from_numpy, found), read)


@pytest.fixture(scope="module")
def model() -> Student:
    return taught()


@pytest.fixture(scope="module")
def vocoder(model: Student, tmp_path_factory: pytest.TempPathFactory) -> StudentVocoder:
    path = tmp_path_factory.mktemp("models") / "small"
    write_student_bundle(
        model,
        path,
        name="small",
        mel=MEL,
        gain=0.5,
        license="CC0",
        attribution="Made by chance.",
        training={"steps": 0, "validation": {"kl": 1.5, "silence_dbfs": -99.0}},
    )
    found = load_vocoder(path, MEL)
    assert isinstance(found, PostFiltered)
    assert isinstance(found.vocoder, StudentVocoder)
    return found.vocoder


@torch.no_grad()
def test_each_sample_is_normal_given_the_noise_before_it(model: Student) -> None:
    """One sample after another, from the means and deviations alone, is the same sound."""
    mel = mel_of(1, 3)
    noise = torch.randn(1, 96)
    audio, log_deviation = made(model, noise, mel)
    for t in (0, 1, 40, 95):
        # The network hears nothing of a sample's own noise and of what comes after it.
        other = noise.clone()
        other[:, t:] = torch.randn(1, 96 - t)
        changed, log = made(model, other, mel)
        torch.testing.assert_close(changed[:, :t], audio[:, :t])
        torch.testing.assert_close(log[:, : t + 1], log_deviation[:, : t + 1])
        mean = changed[:, t] - log[:, t].exp() * other[:, t]
        torch.testing.assert_close(mean + log[:, t].exp() * noise[:, t], audio[:, t])


@torch.no_grad()
def test_flows_that_are_the_inverse_of_autoregression(model: Student) -> None:
    """The noise of a sound is found again, one sample after another."""
    mel = mel_of(1, 2)
    noise = torch.randn(1, 64)
    audio, _ = made(model, noise, mel)
    found = torch.zeros_like(noise)
    for t in range(64):
        sound, log = made(model, found, mel)
        mean = sound[:, t] - log[:, t].exp() * found[:, t]
        found[:, t] = (audio[:, t] - mean) / log[:, t].exp()
    torch.testing.assert_close(found, noise, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_an_untrained_student_is_noise_in_the_colour_of_the_music() -> None:
    config = MelConfig()
    random = np.random.default_rng(3)
    white = random.standard_normal(128 * 102)
    original = 0.05 * (white[2:] + 1.2 * white[1:-1] + 0.5 * white[:-2])[: 128 * 100]
    mel = mel_spectrogram(original, config)[None, 10:90]
    student = Student(StudentConfig(n_layers=2, residual_size=8, skip_size=8), config)
    noise = torch.randn(1, 80 * 128)
    audio, log_deviation = made(student, noise, mel, config)
    body = audio[0, 1024:-256].numpy()
    assert body.std() == pytest.approx(original.std(), rel=0.1)
    found = mel_spectrogram(audio[0].numpy(), config)[15:70].mean(0)
    assert np.abs(found - mel[0, 15:70].mean(0)).mean() < 0.25
    # The error of the best linear prediction of the original is the 0.05 that it was made of.
    assert float(log_deviation[0, 1024:-256].exp().mean()) == pytest.approx(0.05, rel=0.25)
    silent = np.full((1, 80, 80), config.log_floor, np.float32)
    assert float(made(student, noise, silent, config)[0].abs().max()) < 1e-5


def test_the_divergence_is_that_of_many_draws() -> None:
    torch.manual_seed(2)
    mean, log, other_mean, other_log = (torch.tensor(x) for x in (0.3, -1.2, 0.1, -0.7))
    q = torch.distributions.Normal(mean.double(), log.double().exp())
    p = torch.distributions.Normal(other_mean.double(), other_log.double().exp())
    draws = q.sample((400_000,))
    estimate = (q.log_prob(draws) - p.log_prob(draws)).mean()
    found = divergence(mean, log, other_mean, other_log)
    assert float(found) == pytest.approx(float(estimate), abs=0.005)
    assert float(divergence(mean, log, mean, log)) == pytest.approx(0, abs=1e-6)


@torch.no_grad()
@pytest.mark.skipif(
    not can_be_native(StudentConfig(residual_size=32, skip_size=32)), reason="needs AMX"
)
def test_native_layers_make_the_same_sound() -> None:
    model = taught(
        StudentConfig(
            n_flows=2, n_layers=4, residual_size=32, skip_size=32, n_mels=12, strides=(4, 8)
        )
    )
    mel, noise = mel_of(2, 8), torch.randn(2, 256)
    audio, log_deviation = made(model, noise, mel)
    found, found_log = made(NativeStudent(model), noise, mel)
    assert float((found - audio).std() / audio.std()) < 0.02
    assert float((found_log - log_deviation).abs().mean()) < 0.02


def rolls(n: int) -> list[PianoRoll]:
    return [PianoRoll([], FRAME_RATE) for _ in range(n)]


def test_the_stream_is_the_reference(model: Student, vocoder: StudentVocoder) -> None:
    mel = mel_of(2, 21)
    found = vocoder.stream(rolls(2), seed=5, numbers=[3, 8]).process(mel, last=True)
    noise = torch.from_numpy(np.stack([normal(5, number, 0, 21 * 32) for number in (3, 8)]))
    with torch.no_grad():
        expected, _ = made(model, noise, mel)
    assert found.shape == (2, 21 * 32)
    assert found.dtype == np.float32
    assert expected.std() > 0.01
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_blocks_of_any_size_give_the_same_sound(vocoder: StudentVocoder) -> None:
    mel = mel_of(2, 30)
    whole = vocoder.stream(rolls(2), seed=2).process(mel, last=True)
    stream = vocoder.stream(rolls(2), seed=2)
    cuts = [0, 0, 1, 2, 3, 4, 13, 30]
    parts = [stream.process(mel[:, a:b]) for a, b in itertools.pairwise(cuts)]
    assert [part.shape[1] // 32 for part in parts] == [0, 0, 0, 1, 1, 9, 17]
    parts.append(stream.process(mel[:, :0], last=True))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)
    # Each track's chance is its own, whatever others there are, and another from another frame on.
    alone = vocoder.stream(rolls(1), seed=2, numbers=[1])
    np.testing.assert_allclose(alone.process(mel[1:], last=True), whole[1:], atol=1e-5)
    alone.restart(7)
    assert np.abs(alone.process(mel[1:], last=True) - whole[1:]).max() > 0.01
    other = vocoder.stream(rolls(2), seed=3).process(mel, last=True)
    assert np.abs(other - whole).max() > 0.01


def test_noise_depends_on_its_place_alone() -> None:
    whole = normal(7, 2, 0, 100_000)
    assert float(whole.mean()) == pytest.approx(0, abs=0.01)
    assert float(whole.std()) == pytest.approx(1, abs=0.01)
    assert np.mean(np.abs(whole) > 1.96) == pytest.approx(0.05, abs=0.005)
    for start, stop in ((0, 1), (3, 10), (99_998, 100_000), (8, 8)):
        np.testing.assert_array_equal(normal(7, 2, start, stop), whole[start:stop])
    assert abs(np.corrcoef(whole, normal(7, 3, 0, 100_000))[0, 1]) < 0.02
    assert abs(np.corrcoef(whole, normal(8, 2, 0, 100_000))[0, 1]) < 0.02
    assert normal(-1, 2**63, 0, 4).shape == (4,)


def test_what_does_not_fit_is_refused(vocoder: StudentVocoder) -> None:
    with pytest.raises(InputError, match="draws all samples at once"):
        load_vocoder(vocoder.bundle.path, MEL, sampling=Sampling(temperature=0.5))
    with pytest.raises(InputError, match="expects mels of"):
        load_vocoder(vocoder.bundle.path, MelConfig())
    with pytest.raises(InputError, match="12 mels"):
        Student(SIZES, MelConfig())
    with pytest.raises(InputError, match="n_flows"):
        StudentConfig(n_flows=0)
    with pytest.raises(InputError, match="shape"):
        vocoder.stream(rolls(1)).process(mel_of(2, 3))


def test_the_bundle_holds_the_model(model: Student, vocoder: StudentVocoder) -> None:
    bundle = load_bundle(vocoder.bundle.path, kind="student")
    assert StudentConfig(**bundle.model) == model.config
    assert "| kl | 1.5 |" in bundle.file("README.md").read_text()

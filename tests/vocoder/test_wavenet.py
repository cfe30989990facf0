"""The WaveNet reference: sizes, causality, sampling against teacher forcing, distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from timbrel.engine.mulaw import SILENCE, mu_law_decode
from timbrel.errors import InputError
from timbrel.vocoder.wavenet import (
    N_AROUND,
    OUTPUTS,
    Continuous,
    Gaussian,
    MixtureOfLogistics,
    WaveNet,
    WaveNetConfig,
    interpolated,
)

SMALL = {"n_layers": 4, "n_cycle": 2, "residual_size": 8, "skip_size": 16, "strides": (2, 4)}


def small(output: str = "categorical", **sizes: object) -> WaveNet:
    torch.manual_seed(0)
    return WaveNet(WaveNetConfig(**SMALL | sizes, output=output)).eval()


def samples_and_mel(model: WaveNet, frames: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    n = frames * model.config.hop_length
    mel = torch.randn(2, frames + N_AROUND - 1, model.config.n_mels)
    if model.config.output == "categorical":
        return torch.randint(0, 256, (2, n)), mel
    return torch.rand(2, n) * 2 - 1, mel


def test_the_published_configuration() -> None:
    config = WaveNetConfig()
    assert config.dilations == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] * 2
    assert config.receptive_field == 2047
    assert config.hop_length == 128


def test_unknown_output_is_refused() -> None:
    with pytest.raises(InputError, match="output 'softmax' is unknown"):
        WaveNetConfig(output="softmax")


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_a_prediction_depends_on_its_receptive_field_and_nothing_later(kernel_size: int) -> None:
    model = small(kernel_size=kernel_size)
    samples, mel = samples_and_mel(model)
    at = 60
    before = model(samples, mel)[0, at]
    reach = model.config.receptive_field
    changed = samples.clone()
    changed[0, at:] = (changed[0, at:] + 7) % 256
    changed[0, : at - reach] = (changed[0, : at - reach] + 7) % 256
    torch.testing.assert_close(model(changed, mel)[0, at], before)
    for edge in (at - 1, at - reach):
        changed = samples.clone()
        changed[0, edge] = (changed[0, edge] + 100) % 256
        assert not torch.allclose(model(changed, mel)[0, at], before)


@pytest.mark.parametrize("output", list(OUTPUTS))
@pytest.mark.parametrize("kernel_size", [2, 3])
def test_sampling_agrees_with_teacher_forcing(output: str, kernel_size: int) -> None:
    model = small(output, kernel_size=kernel_size)
    _, mel = samples_and_mel(model)
    uniform = torch.rand(2, 10 * model.config.hop_length)
    generated = model.generate(mel, uniform)
    parameters = model(generated, mel)
    again = torch.stack(
        [
            model.output.sample(parameters[:, t], uniform[:, t], 1.0)
            for t in range(uniform.shape[1])
        ],
        dim=1,
    )
    torch.testing.assert_close(again.to(generated.dtype), generated, atol=1e-5, rtol=0)


def test_the_first_sample_follows_silence() -> None:
    model = small()
    samples, mel = samples_and_mel(model)
    silent = torch.full_like(samples, SILENCE)
    torch.testing.assert_close(model(samples, mel)[:, 0], model(silent, mel)[:, 0])


def test_interpolation_is_the_two_transposed_convolutions() -> None:
    model = small()
    with torch.no_grad():
        for kernel in model.upsampling:
            kernel.copy_(torch.rand_like(kernel))
    frames = torch.randn(1, 13, 1)
    found = interpolated(frames, model.interpolation())[0, :, 0]
    expected = frames.transpose(1, 2)
    for kernel, stride in zip(model.upsampling, model.config.strides, strict=True):
        expected = functional.conv_transpose1d(expected, kernel[None, None], stride=stride)
    # A frame's response is centred on its first sample; the first output frame is the second.
    response = (len(model.upsampling[0]) - 1) * model.config.strides[1] + len(model.upsampling[1])
    start = model.config.hop_length + response // 2
    torch.testing.assert_close(found, expected[0, 0, start : start + len(found)])


def test_interpolation_starts_linear_and_keeps_constants() -> None:
    kernel = WaveNet(WaveNetConfig()).interpolation().detach()
    torch.testing.assert_close(kernel.sum(0), torch.ones(128))
    assert kernel[:, 0].argmax() == 1  # a frame's own first sample
    assert abs(kernel[1, 64] - kernel[2, 64]) < 0.02


def test_categorical_sampling_never_leaves_the_levels() -> None:
    output = OUTPUTS["categorical"](WaveNetConfig())
    parameters = torch.full((1, 256), -1e4)
    parameters[0, 255] = 0.0
    assert output.sample(parameters, torch.tensor([1 - 1e-7]), 1.0).item() == 255
    even = torch.zeros(1, 256)
    assert output.sample(even, torch.tensor([0.0]), 1.0).item() == 0
    assert output.sample(even, torch.tensor([0.5]), 1.0).item() == 128


def test_gaussian_likelihood_and_samples() -> None:
    output = Gaussian(WaveNetConfig(output="gaussian"))
    parameters = torch.tensor([[[0.1, math.log(0.05)]]])
    at_mean = output.nll(parameters, torch.tensor([[0.1]])).item()
    assert at_mean == pytest.approx(math.log(0.05) + 0.5 * math.log(2 * math.pi), abs=1e-5)
    torch.manual_seed(0)
    drawn = output.sample(parameters[0].expand(20_000, 2), torch.rand(20_000), 1.0)
    assert drawn.mean().item() == pytest.approx(0.1, abs=0.002)
    assert drawn.std().item() == pytest.approx(0.05, rel=0.03)


@pytest.mark.usefixtures("one_thread")
def test_a_gaussian_is_learnt_from_a_tone_in_noise() -> None:
    torch.manual_seed(0)
    model = WaveNet(WaveNetConfig(**SMALL, output="gaussian", n_mels=2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    mel = torch.zeros(2, 64 + N_AROUND - 1, 2)
    nll = math.inf
    for _ in range(100):
        phase = 0.3 * torch.arange(512) + 6 * torch.rand(2, 1)
        audio = 0.3 * torch.sin(phase) + 0.02 * torch.randn(2, 512)
        loss = model.output.nll(model(audio, mel, 16), audio[:, 16:]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        nll = loss.item()
    of_the_tone_alone = math.log(0.3 / math.sqrt(2)) + 0.5 * math.log(2 * math.pi * math.e)
    of_the_noise_alone = math.log(0.02) + 0.5 * math.log(2 * math.pi * math.e)
    assert of_the_noise_alone < nll < of_the_noise_alone + 0.8 < of_the_tone_alone - 1.0


def test_a_gaussians_deviation_has_a_floor_that_can_be_left() -> None:
    output = Gaussian(WaveNetConfig(output="gaussian"))
    parameters = torch.tensor([[[0.0, -20.0], [0.0, -20.0]]], requires_grad=True)
    losses = output.nll(parameters, torch.tensor([[0.0, 0.01]]))
    assert losses[0, 0].item() == pytest.approx(-9 + 0.5 * math.log(2 * math.pi), abs=1e-5)
    losses.sum().backward()
    assert parameters.grad is not None
    surely, wrongly = parameters.grad[0, :, 1].tolist()
    assert surely == 0
    assert wrongly == pytest.approx(1 - (0.01 * math.exp(9)) ** 2, rel=1e-4)


@pytest.mark.parametrize("output", ["gaussian", "mixture-of-logistics"])
def test_likelihoods_of_levels_sum_to_one(output: str) -> None:
    config = WaveNetConfig(output=output, n_mixtures=3)
    distribution = OUTPUTS[output](config)
    assert isinstance(distribution, Continuous)
    amplitudes = torch.from_numpy(mu_law_decode(np.arange(256)))[None]
    torch.manual_seed(2)
    for parameters in (torch.randn(distribution.n_parameters), torch.zeros(2).repeat(5)):
        given = parameters[: distribution.n_parameters].clone()
        if output == "gaussian":
            given[1] = -9.0 + 4 * given[1].abs()  # from one level to many
        nll = distribution.nll_of_levels(given.expand(1, 256, len(given)), amplitudes)
        assert torch.isfinite(nll).all()
        assert torch.exp(-nll).sum().item() == pytest.approx(1, abs=1e-9)


def test_the_likelihood_of_a_level_is_its_share_of_the_density() -> None:
    output = Gaussian(WaveNetConfig(output="gaussian"))
    parameters = torch.tensor([[[0.1, math.log(0.2)]]])
    level = torch.tensor([[151]])
    low, sample, high = (mu_law_decode(level.numpy() + at) for at in (-0.5, 0.0, 0.5))
    of_density = output.nll(parameters, torch.from_numpy(sample)).item()
    found = output.nll_of_levels(parameters, torch.from_numpy(sample)).item()
    assert found == pytest.approx(of_density - math.log((high - low).item()), abs=1e-3)


@pytest.mark.parametrize("output", ["gaussian", "mixture-of-logistics"])
def test_bfloat16_does_not_round_the_samples_nor_the_means(output: str) -> None:
    model = small(output)
    samples = torch.tensor([[0.3, 0.3001]])
    with torch.autocast("cpu", torch.bfloat16):
        first, second = model.input(samples)[0]
        assert ((first - second).abs() > 0).all()
        assert model.head(torch.rand(1, 1, 16)).dtype == torch.float32


def test_mixture_likelihood_sums_to_one_over_all_levels() -> None:
    config = WaveNetConfig(output="mixture-of-logistics", n_mixtures=3)
    output = MixtureOfLogistics(config)
    torch.manual_seed(2)
    parameters = torch.cat(
        [torch.randn(3), torch.tensor([-0.5, 0.0, 0.4]), torch.tensor([-3.0, -4.0, -5.0])]
    )
    levels = torch.arange(-32768, 32768) / 32767.5 + 1 / 65535
    nll = output.nll(parameters.expand(1, len(levels), 9).double(), levels[None].double())
    assert torch.exp(-nll).sum().item() == pytest.approx(1.0, abs=0.02)


def test_mixture_samples_follow_their_distribution() -> None:
    config = WaveNetConfig(output="mixture-of-logistics", n_mixtures=2)
    output = MixtureOfLogistics(config)
    parameters = torch.tensor([0.0, 0.0, -0.5, 0.5, -6.0, -6.0])
    torch.manual_seed(0)
    drawn = output.sample(parameters.expand(10_000, 6), torch.rand(10_000), 1.0)
    assert (drawn < 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert drawn[drawn > 0].mean().item() == pytest.approx(0.5, abs=0.002)

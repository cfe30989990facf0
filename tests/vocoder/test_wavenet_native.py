"""The native layers of training against the reference, forward and backward."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from timbrel.engine import layers
from timbrel.errors import InputError
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig
from timbrel.vocoder.wavenet_native import NativeWaveNet, is_possible

SIZES = WaveNetConfig(n_layers=5, n_cycle=3, residual_size=32, skip_size=64, n_mels=10)

native = pytest.mark.skipif(not layers.available(), reason="this processor has no AMX")


def example(config: WaveNetConfig, frames: int) -> tuple[WaveNet, Tensor, Tensor]:
    torch.manual_seed(0)
    model = WaveNet(config)
    with torch.no_grad():  # larger than at first, so that tanh and σ bend
        for parameter in model.parameters():
            parameter.mul_(1.5)
    samples = torch.randint(0, 256, (2, frames * config.hop_length))
    return model, samples, torch.randn(2, frames + 3, config.n_mels)


def gradients(model: WaveNet, outputs: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    torch.manual_seed(1)
    # The same direction everywhere: gradients that add up, whatever the rounding.
    (outputs * torch.randn(outputs.shape[-1])).mean().backward()
    found = {name: p.grad for name, p in model.named_parameters()}
    assert all(gradient is not None for gradient in found.values())
    return {name: gradient.clone() for name, gradient in found.items() if gradient is not None}


def distance(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


@native
@pytest.mark.parametrize(
    ("config", "frames", "first"),
    [
        (SIZES, 7, 0),
        (SIZES, 7, SIZES.receptive_field),
        (WaveNetConfig(n_mels=10), 24, 2047),  # the published sizes
        (replace(SIZES, n_cycle=2, skip_size=32, strides=(8, 12)), 9, 5),
    ],
)
def test_outputs_and_gradients_are_the_references(
    config: WaveNetConfig, frames: int, first: int
) -> None:
    model, samples, mel = example(config, frames)
    expected = model(samples, mel, first)
    found = NativeWaveNet(model)(samples, mel, first)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(samples, mel, first)
    assert found.shape == expected.shape == (2, frames * config.hop_length - first, 256)
    assert distance(found, expected) < 0.01
    # Rounding to bfloat16 turns some rectifiers on and off, here as there.
    reference, usual = gradients(model, expected), gradients(model, rounded.float())
    for name, gradient in gradients(model, found).items():
        usually = distance(usual[name], reference[name])
        assert distance(gradient, reference[name]) < 1.5 * usually, name


@native
def test_threads_share_the_crops() -> None:
    model, samples, mel = example(SIZES, 6)
    fast, threads = NativeWaveNet(model), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = fast(samples, mel)
        alone = gradients(model, one)
        torch.set_num_threads(2)
        two = fast(samples, mel)
        shared = gradients(model, two)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(one, two)
    for name, gradient in alone.items():
        torch.testing.assert_close(shared[name], gradient, rtol=1e-4, atol=1e-8)


@native
def test_passes_do_not_disturb_each_other() -> None:
    model, samples, mel = example(SIZES, 6)
    fast = NativeWaveNet(model)
    alone = gradients(model, fast(samples, mel))
    waiting = fast(samples, mel)
    with torch.no_grad():
        fast(samples.flip(0), mel)
    fast(samples.flip(0), mel).sum().backward()
    for name, gradient in gradients(model, waiting).items():
        assert torch.equal(gradient, alone[name]), name


@native
def test_what_does_not_fit_the_tiles_is_refused_in_words() -> None:
    odd = WaveNetConfig(n_layers=4, n_cycle=4, residual_size=8, skip_size=16)
    assert not is_possible(odd)
    assert is_possible(WaveNetConfig())
    model, samples, mel = example(WaveNetConfig(n_layers=2, n_cycle=2, residual_size=8), 3)
    with pytest.raises(InputError, match="must be multiples of 32"):
        NativeWaveNet(model)(samples, mel)
    model, samples, mel = example(SIZES, 3)
    with pytest.raises(InputError, match="there is nothing to compute"):
        NativeWaveNet(model)(samples, mel, samples.shape[1])

"""The autoencoder: its published size, and what its networks may and must depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from timbrel.notes.autoencoder import (
    Autoencoder,
    DecoderLayer,
    TemporalConv,
    TemporalEncoder,
)
from timbrel.notes.sizes import NoteAutoencoderConfig
from timbrel.training.recipe import read_recipe


def n_parameters(config: NoteAutoencoderConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in Autoencoder(config).parameters())


def random_levels(*shape: int) -> torch.Tensor:
    return torch.randint(-128, 128, shape, generator=torch.Generator().manual_seed(1)).float()


def test_published_size() -> None:
    config = NoteAutoencoderConfig()
    assert n_parameters(config) == 61_804_048
    assert config.encoder_reach == 3 * 1023 + 1
    assert config.receptive_field == 6_141
    assert config.context_frames == 6


def test_the_preset_is_small_enough_to_ship() -> None:
    recipe = read_recipe("recipes/notes.yaml")
    assert (
        n_parameters(NoteAutoencoderConfig(**recipe.model)) <= 2_500_000
    )  # 5 MB in half precision


def test_four_seconds_make_125_codes_of_16() -> None:
    encoder = TemporalEncoder(NoteAutoencoderConfig(encoder_layers=2, encoder_size=8))
    assert encoder(random_levels(1, 64_000)).shape == (1, 125, 16)


def test_the_convolution_is_the_usual_one() -> None:
    torch.manual_seed(0)
    layer = TemporalConv(5, 7, 4, causal=True)
    x = torch.randn(2, 50, 5)
    weight = layer.dense.weight.reshape(7, 3, 5).transpose(1, 2)
    padded = torch.nn.functional.pad(x.transpose(1, 2), (8, 0))
    expected = torch.nn.functional.conv1d(padded, weight, layer.dense.bias, dilation=4)
    torch.testing.assert_close(layer(x), expected.transpose(1, 2))


def test_gates_are_sigmoid_then_tanh() -> None:
    torch.manual_seed(0)
    config = NoteAutoencoderConfig(residual_size=4, skip_size=3)
    layer = DecoderLayer(config, 1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.condition.bias.copy_(torch.tensor([1.0] * 4 + [-2.0] * 4))
        layer.skip.weight[0, 0] = 1.0
    _, skip = layer(torch.zeros(1, 512, 4), torch.zeros(1, 1, 16))
    expected = 1 / (1 + np.exp(-1.0)) * np.tanh(-2.0)
    np.testing.assert_allclose(skip[0, :, 0].detach(), expected, rtol=1e-6)


def test_a_prediction_depends_on_earlier_samples_only(tiny_autoencoder: Autoencoder) -> None:
    decoder = tiny_autoencoder.decoder
    levels, codes = random_levels(1, 1024), torch.zeros(1, 2, 16)
    changed = levels.clone()
    changed[0, 600] += 50
    with torch.no_grad():
        difference = (decoder(levels, codes) - decoder(changed, codes)).abs().amax(-1)[0]
    reach = decoder.config.receptive_field
    assert not difference[:601].any()  # the sample itself is not seen: shifted by one
    assert difference[601] > 0
    assert not difference[601 + reach :].any()
    assert difference[601 : 601 + reach].count_nonzero() > reach // 2


def test_a_code_acts_on_its_own_512_samples(tiny_autoencoder: Autoencoder) -> None:
    levels, codes = torch.zeros(1, 1536), torch.zeros(1, 3, 16)
    changed = codes.clone()
    changed[0, 1] = 1.0
    with torch.no_grad():
        one, other = (tiny_autoencoder.decoder(levels, c) for c in (codes, changed))
    difference = (one - other).abs().amax(-1)[0]
    assert not difference[:512].any()
    assert (difference[512:1024] > 0).all()


def test_the_encoder_sees_both_sides(tiny_autoencoder: Autoencoder) -> None:
    levels = random_levels(1, 5 * 512)
    changed = levels.clone()
    changed[0, 2 * 512] += 50  # the first sample of the third frame
    with torch.no_grad():
        difference = (tiny_autoencoder.encoder(levels) - tiny_autoencoder.encoder(changed)).abs()
    touched = difference.amax(-1)[0] > 0
    assert touched.tolist() == [False, True, True, False, False]


def test_context_around_a_crop_gives_the_codes_of_the_whole(tiny_autoencoder: Autoencoder) -> None:
    levels = random_levels(1, 8 * 512)
    with torch.no_grad():
        codes = tiny_autoencoder.encoder(levels)[:, 3:5]
        expected = tiny_autoencoder.decoder(levels[:, 3 * 512 : 5 * 512], codes)
        found, own_codes, mel = tiny_autoencoder(levels[:, 2 * 512 : 6 * 512], 1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(own_codes, codes)
    assert mel is None


def test_noise_reaches_the_decoder_alone(tiny_autoencoder: Autoencoder) -> None:
    levels = random_levels(1, 2 * 512)
    noise = torch.full_like(levels, 300.0)  # cut at the highest level
    with torch.no_grad():
        logits, codes, _ = tiny_autoencoder(levels, 0, noise)
        torch.testing.assert_close(codes, tiny_autoencoder.encoder(levels))
        expected = tiny_autoencoder.decoder(torch.full_like(levels, 127.0), codes)
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("seed", [0, 1])
def test_published_initialisation(seed: int) -> None:
    torch.manual_seed(seed)
    layer = TemporalConv(64, 128, 1, causal=True).dense
    bound = np.sqrt(3 / (3 * 64))
    assert not layer.bias.any()
    assert 0.99 * bound < layer.weight.abs().max() <= bound
    assert float(layer.weight.detach().std()) == pytest.approx(bound / np.sqrt(3), rel=0.02)

"""The spectral networks: published sizes, shapes, and the weight of the loss."""

from __future__ import annotations

import math

import pytest
import torch

from timbrel.notes.baseline import (
    BaselineConfig,
    SpectralBaseline,
    harmonic_combs,
    spectral_loss,
)
from timbrel.notes.classifier import ClassifierConfig, NoteClassifier
from timbrel.training.recipe import read_recipe

TINY = BaselineConfig(width=1 / 32, code_size=12, pitch_size=4)


def n_parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_published_size() -> None:
    with torch.device("meta"):
        assert n_parameters(SpectralBaseline(BaselineConfig())) == 36_770_689


@pytest.mark.parametrize("name", ["baseline", "classifier"])
def test_shipped_sizes_stay_below_five_megabytes(name: str) -> None:
    recipe = read_recipe(f"recipes/notes-{name}.yaml")
    with torch.device("meta"):
        model = (
            SpectralBaseline(BaselineConfig(**recipe.model))
            if name == "baseline"
            else NoteClassifier(ClassifierConfig(**recipe.model))
        )
    assert n_parameters(model) <= 2_500_000


def test_a_note_becomes_one_code_and_a_spectrum_again() -> None:
    model = SpectralBaseline(TINY).eval()
    spectra = torch.rand(3, 512, 256)
    assert model.encoder(spectra).shape == (3, 12)
    found = model(spectra, torch.tensor([0, 60, 127]))
    assert found.shape == (3, 512, 256)
    assert found.min() >= 0
    assert found.max() <= 1


def test_pitch_is_given_to_the_decoder() -> None:
    model = SpectralBaseline(TINY)  # its norms amplify what an untrained network says
    with torch.no_grad():
        codes = torch.zeros(2, 12)
        low, high = model.decoder(codes, torch.tensor([40, 80]))
    assert (low - high).abs().max() > 0.01


def test_combs_have_teeth_at_the_partials() -> None:
    combs = harmonic_combs()
    assert combs.shape == (128, 6, 512)
    # The fundamental of pitch 83 is at 987.77 Hz, in bin 63.2; its third harmonic in bin 189.7.
    every, every_wide, odd, _, half, _ = combs[83]
    assert every[63] == pytest.approx(math.exp(-((0.217 / 1.5) ** 2)), abs=1e-3)
    assert every[190] == pytest.approx(odd[190])
    assert every[126] > 0.9
    assert odd[126] < 1e-6
    assert half[126] < 1e-6
    assert half[32] > 0.9  # half way to the fundamental, and from there to the octave
    assert half[95] > 0.9
    assert every[:55].max() < 1e-6
    assert every[68] < every_wide[68]


def test_the_decoder_is_told_the_harmonics() -> None:
    config = BaselineConfig(1 / 32, 12, 4, harmonics=True, tapered=True)
    model = SpectralBaseline(config).eval()
    with torch.no_grad():
        # Of what the last layer finds, only the comb of all harmonics is left.
        model.decoder.last.weight.zero_()
        model.decoder.last.bias.copy_(torch.tensor([0.0, 1, 0, 0, 0, 0, 0]))
        found = model(torch.rand(2, 512, 256), torch.tensor([83, 60]))
    assert found.shape == (2, 512, 256)
    for one, pitch in zip(found, (83, 60), strict=True):
        expected = torch.sigmoid(harmonic_combs()[pitch, 0])
        torch.testing.assert_close(one, expected[:, None].expand(512, 256))
    assert "combs" not in "".join(model.state_dict())  # computed, so no part of a bundle


def test_tapered_layers_have_a_half_and_a_quarter_of_the_channels() -> None:
    with torch.device("meta"):
        decoder = SpectralBaseline(BaselineConfig(width=0.25, tapered=True)).decoder
    assert [block.norm.num_features for block in decoder.blocks[-3:]] == [32, 16, 8]


def test_low_bins_count_ten_times() -> None:
    true = torch.zeros(1, 512, 256)

    def loss_of(row: int) -> float:
        predicted = true.clone()
        predicted[0, row] = 1.0
        return float(spectral_loss(predicted, true)) * 512

    assert loss_of(0) == pytest.approx(10)
    assert loss_of(128) == pytest.approx(5.5)  # 2 kHz
    assert loss_of(256) == pytest.approx(1)  # 4 kHz
    assert loss_of(511) == pytest.approx(1)


def test_the_classifier_has_two_heads() -> None:
    pitch, qualities = NoteClassifier(ClassifierConfig(1 / 32, 12)).eval()(torch.rand(2, 512, 256))
    assert pitch.shape == (2, 128)
    assert qualities.shape == (2, 10)

"""The spectral networks: published sizes, shapes, and the weight of the loss."""

from __future__ import annotations

import pytest
import torch

from timbrel.notes.baseline import BaselineConfig, SpectralBaseline, spectral_loss
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

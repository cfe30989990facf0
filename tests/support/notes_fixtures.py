"""Fixtures of notes; a test module says ``pytest_plugins = ["notes_fixtures"]``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from support.notes_data import write_notes
from timbrel.notes.autoencoder import Autoencoder
from timbrel.notes.codec import NoteCodec
from timbrel.notes.export import write_autoencoder_bundle
from timbrel.notes.sizes import AutoencoderConfig

TINY = AutoencoderConfig(
    encoder_layers=6,
    encoder_cycle=3,
    encoder_size=16,
    decoder_layers=6,
    decoder_cycle=3,
    residual_size=16,
    skip_size=32,
    n_prototypes=8,
)


@pytest.fixture(scope="session")
def notes_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of twelve notes; tests leave it as it is."""
    return write_notes(tmp_path_factory.mktemp("notes"))


@pytest.fixture(scope="session")
def tiny_autoencoder() -> Autoencoder:
    """A small autoencoder with random weights and biases that half precision holds exactly."""
    torch.manual_seed(2)
    model = Autoencoder(TINY).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.2)
            parameter.copy_(parameter.half().float())
    return model


@pytest.fixture(scope="session")
def tiny_codec(
    tiny_autoencoder: Autoencoder, tmp_path_factory: pytest.TempPathFactory
) -> NoteCodec:
    """The bundle of `tiny_autoencoder`, loaded."""
    path = tmp_path_factory.mktemp("bundles") / "tiny-notes"
    write_autoencoder_bundle(
        tiny_autoencoder,
        path,
        name="tiny",
        sample_rate=16_000,
        license="MIT",
        attribution="Not trained.",
        training={},
    )
    return NoteCodec.load(path)

"""Fixtures of notes and of translation networks, small ones with random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from support.notes_data import write_notes
from timbrel.notes.autoencoder import Autoencoder
from timbrel.notes.codec import NoteCodec
from timbrel.notes.export import write_autoencoder_bundle
from timbrel.notes.sizes import NoteAutoencoderConfig
from timbrel.translation_network.export import write_translation_network_bundle
from timbrel.translation_network.network import TranslationNetwork
from timbrel.translation_network.sizes import TranslationNetworkConfig

# Of the parts of an autoencoder that is trained in a test.
TRAINED_SIZES = {
    "encoder_layers": 4,
    "encoder_cycle": 4,
    "encoder_size": 8,
    "decoder_layers": 4,
    "decoder_cycle": 4,
    "residual_size": 8,
    "skip_size": 16,
}
TINY = NoteAutoencoderConfig(
    encoder_layers=6,
    encoder_cycle=3,
    encoder_size=16,
    decoder_layers=6,
    decoder_cycle=3,
    residual_size=16,
    skip_size=32,
    n_prototypes=8,
)
TINY_NETWORK = TranslationNetworkConfig(
    code_size=8,
    hop_length=40,
    encoder_layers=4,
    encoder_cycle=4,
    encoder_size=8,
    decoder_layers=6,
    decoder_cycle=3,
    residual_size=16,
    skip_size=32,
    n_domains=2,
)


@pytest.fixture(scope="session")
def notes_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of twelve notes; tests leave it as it is."""
    return write_notes(tmp_path_factory.mktemp("notes"))


@pytest.fixture(scope="session")
def tiny_autoencoder() -> Autoencoder:
    """A small autoencoder with random weights and biases that half precision holds exactly."""
    return _autoencoder(TINY)


@pytest.fixture(scope="session")
def held_autoencoder() -> Autoencoder:
    """One whose codes tell a mel, too."""
    return _autoencoder(replace(TINY, spectrum_size=24))


def _autoencoder(config: NoteAutoencoderConfig) -> Autoencoder:
    torch.manual_seed(2)
    model = Autoencoder(config).eval()
    _randomise(model)
    return model


@torch.no_grad()
def _randomise(model: torch.nn.Module) -> None:
    """Give a network biases, and round what it has to half precision."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.normal_(std=0.2)
        parameter.copy_(parameter.half().float())


@pytest.fixture(scope="session")
def tiny_codec(
    tiny_autoencoder: Autoencoder, tmp_path_factory: pytest.TempPathFactory
) -> NoteCodec:
    """The bundle of `tiny_autoencoder`, loaded."""
    return _codec(tiny_autoencoder, tmp_path_factory.mktemp("bundles") / "tiny-notes")


@pytest.fixture(scope="session")
def held_codec(
    held_autoencoder: Autoencoder, tmp_path_factory: pytest.TempPathFactory
) -> NoteCodec:
    """The bundle of `held_autoencoder`, loaded."""
    return _codec(held_autoencoder, tmp_path_factory.mktemp("bundles") / "held-notes")


def _codec(model: Autoencoder, path: Path) -> NoteCodec:
    write_autoencoder_bundle(
        model,
        path,
        name="tiny",
        sample_rate=16_000,
        license="MIT",
        attribution="Not trained.",
        training={},
    )
    return NoteCodec.load(path)


@pytest.fixture(scope="session")
def tiny_network() -> TranslationNetwork:
    """A small translation network of two domains with random weights."""
    torch.manual_seed(3)
    model = TranslationNetwork(TINY_NETWORK).eval()
    _randomise(model)
    with torch.no_grad():
        for decoder in model.decoders:
            decoder.logits.weight.mul_(16)  # so that no two levels are about as likely
    return model


@pytest.fixture(scope="session")
def tiny_network_bundle(
    tiny_network: TranslationNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Its bundle, whose domains are a harp and a church organ."""
    path = tmp_path_factory.mktemp("bundles") / "tiny-network"
    write_translation_network_bundle(
        tiny_network,
        path,
        name="tiny",
        sample_rate=16_000,
        domains=["harp", "church organ"],
        license="MIT",
        attribution="Not trained.",
        training={},
    )
    return path

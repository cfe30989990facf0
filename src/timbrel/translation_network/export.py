"""Translation network → bundle: the encoder as ONNX, all weights as safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from timbrel.bundles.bundle import write_bundle
from timbrel.bundles.graph import graph_files
from timbrel.bundles.weights import bundle_config, round_to_half
from timbrel.notes.codec import ENCODER_FILE
from timbrel.notes.export import card_end, encoder_graph
from timbrel.translation_network.network import TranslationNetwork
from timbrel.translation_network.translator import KIND


def write_translation_network_bundle(model: TranslationNetwork, output: Path, **about: Any) -> None:
    """Write a bundle, its weights in half precision, to which those of `model` are rounded.

    `about` is what `timbrel.bundles.weights.bundle_config` wants to know, and the names of the
    domains. For the errors, see `timbrel.bundles.bundle.write_bundle`.
    """
    round_to_half(model)
    config = bundle_config(model, KIND, **about)
    files = graph_files(model, {ENCODER_FILE: encoder_graph(model, model.encoder)})
    write_bundle(output, config, files, card=_card(config, model))


def _card(config: dict[str, Any], model: TranslationNetwork) -> str:
    """The model card."""
    sizes = model.config
    return f"""# {config["name"]}

Universal Music Translation Network (Mor et al. 2018): audio at {config["sample_rate"]:,} Hz to
{sizes.code_size} numbers every {sizes.hop_length} samples, and from there to the sound of one of
{sizes.n_domains} domains: {", ".join(config["domains"])}. Encoder: {sizes.encoder_layers} layers of
{sizes.encoder_size}; each decoder: {sizes.decoder_layers} layers of {sizes.residual_size}, skip
connections of {sizes.skip_size}, receptive field {sizes.receptive_field:,} samples.
{card_end(config)}"""

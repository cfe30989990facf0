"""Models of notes → bundles: the encoder as ONNX, all weights as safetensors."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

import onnx
import torch
from safetensors.torch import load_file, save
from torch import nn

from timbrel.bundles.bundle import CONFIG_FILE, Bundle, check_keys, load_bundle, write_bundle
from timbrel.bundles.graph import Graph, graph_files
from timbrel.bundles.weights import (
    WEIGHTS_FILE,
    bundle_config,
    packed_weights,
    round_to_half,
    training_rows,
    with_weights,
)
from timbrel.engine.companding import HALF
from timbrel.errors import InputError
from timbrel.notes.autoencoder import Autoencoder, TemporalConv, TemporalEncoder
from timbrel.notes.baseline import SpectralBaseline
from timbrel.notes.classifier import NoteClassifier
from timbrel.notes.codec import ENCODER_FILE, KIND
from timbrel.notes.sizes import KERNEL_SIZE, AutoencoderConfig
from timbrel.vocoder.post_filter import DRAWN
from timbrel.vocoder.post_filter import KEY as POST_FILTER

BASELINE_KIND, CLASSIFIER_KIND = "notes-baseline", "notes-classifier"
NORMS_FILE = "norms.safetensors"

Spectral = TypeVar("Spectral", SpectralBaseline, NoteClassifier)


def write_autoencoder_bundle(
    model: Autoencoder,
    output: Path,
    **about: Any,
) -> None:
    """Write a bundle, its weights in half precision, to which those of `model` are rounded.

    `about` is what `timbrel.bundles.weights.bundle_config` wants to know. For the errors, see
    `timbrel.bundles.bundle.write_bundle`.
    """
    round_to_half(model)
    config = bundle_config(model, KIND, **about)
    if model.config.spectrum_size:
        config[POST_FILTER] = asdict(DRAWN)
    files = graph_files(model, {ENCODER_FILE: encoder_graph(model, model.encoder)})
    write_bundle(output, config, files, card=_card(config, model.config))


def write_baseline_bundle(model: SpectralBaseline, output: Path, **about: Any) -> None:
    """Write the bundle of a baseline, its weights in half precision; as above."""
    what = "Spectral autoencoder of musical notes with pitch conditioning, the baseline"
    _write_spectral_bundle(model, output, BASELINE_KIND, what, about)


def write_classifier_bundle(model: NoteClassifier, output: Path, **about: Any) -> None:
    """Write the bundle of a classifier, its weights in half precision; as above."""
    what = "Classifier of the pitch and the qualities of musical notes, the judge"
    _write_spectral_bundle(model, output, CLASSIFIER_KIND, what, about)


def _write_spectral_bundle(
    model: SpectralBaseline | NoteClassifier, output: Path, kind: str, what: str, about: dict
) -> None:
    round_to_half(model)
    config = bundle_config(model, kind, **about)
    # The means and variances of the norms are no parameters, but belong to what was learnt.
    norms = {key: value.float() for key, value in _norms(model).items()}
    files = {WEIGHTS_FILE: packed_weights(model), NORMS_FILE: save(norms)}
    card = f"# {config['name']}\n\n{what} of Engel et al. (2017).\n{card_end(config)}"
    write_bundle(output, config, files, card=card)


def load_spectral(
    name_or_path: str | os.PathLike, model_type: type[Spectral], config_type: type
) -> tuple[Spectral, Bundle]:
    """Load a spectral network in evaluation mode, with its bundle.

    Raises
    ------
    InputError
        If the bundle is of another kind, or its weights do not fit its sizes.
    """
    kind = BASELINE_KIND if model_type is SpectralBaseline else CLASSIFIER_KIND
    bundle = load_bundle(name_or_path, kind=kind)
    # What a bundle does not say of its sizes is as published.
    sizes = asdict(config_type()) | bundle.model
    check_keys(sizes, get_type_hints(config_type), bundle.file(CONFIG_FILE))
    model = model_type(config_type(**sizes))
    give_norms(model, bundle)
    return with_weights(model, bundle), bundle


@torch.no_grad()
def give_norms(model: nn.Module, bundle: Bundle) -> None:
    """Give a spectral network the means and variances of its bundle's norms.

    Raises
    ------
    InputError
        If they are those of another network.
    """
    path = bundle.file(NORMS_FILE)
    norms = load_file(path)
    buffers = _norms(model)
    if {key: value.shape for key, value in norms.items()} != {
        key: value.shape for key, value in buffers.items()
    }:
        raise InputError(f"{path}: does not hold the norms of this {type(model).__name__}")
    for key, value in norms.items():
        buffers[key].copy_(value)


def _norms(model: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a network's norms that are no parameters."""
    parameters = dict(model.named_parameters())
    return {key: value for key, value in model.state_dict().items() if key not in parameters}


def encoder_graph(model: nn.Module, encoder: TemporalEncoder) -> onnx.ModelProto:
    """The encoder of a model: levels (batch, frames · hop_length) → codes (batch, frames, size)."""
    config, graph = encoder.config, Graph("encoder", model)
    scaled = graph.add("Mul", ["levels", graph.constant(1 / HALF)])
    x = graph.add("Unsqueeze", [scaled, graph.integers(1)])  # (batch, channel, time)
    x = _conv(graph, x, encoder.input)
    for dilated, dense in zip(encoder.dilated, encoder.dense, strict=True):
        inner = _conv(graph, graph.add("Relu", [x]), cast(TemporalConv, dilated))
        inner = _pointwise(graph, graph.add("Relu", [inner]), cast(nn.Linear, dense))
        x = graph.add("Add", [x, inner])
    hop = [config.hop_length]
    pooled = graph.add("AveragePool", [x], kernel_shape=hop, strides=hop)
    codes = graph.add("Transpose", [_pointwise(graph, pooled, encoder.output)], perm=[0, 2, 1])
    return graph.model(
        inputs={"levels": ["batch", "samples"]},
        outputs={"codes": (codes, ["batch", "frames", config.code_size])},
    )


def _conv(graph: Graph, x: str, layer: TemporalConv) -> str:
    out_size = layer.dense.out_features
    shape = graph.integers(out_size, KERNEL_SIZE, -1)
    taps = graph.add("Reshape", [graph.weight(layer.dense.weight), shape])
    kernel = graph.add("Transpose", [taps], perm=[0, 2, 1])  # (out, in, taps)
    return graph.add(
        "Conv",
        [x, kernel, graph.weight(layer.dense.bias)],
        kernel_shape=[KERNEL_SIZE],
        dilations=[layer.dilation],
        pads=[layer.before, layer.after],
    )


def _pointwise(graph: Graph, x: str, layer: nn.Linear) -> str:
    kernel = graph.add("Unsqueeze", [graph.weight(layer.weight), graph.integers(-1)])
    return graph.add("Conv", [x, kernel, graph.weight(layer.bias)], kernel_shape=[1])


def _card(config: dict[str, Any], sizes: AutoencoderConfig) -> str:
    """The model card."""
    return f"""# {config["name"]}

WaveNet autoencoder of musical notes (Engel et al. 2017): audio at 16 kHz to {sizes.code_size}
numbers every {sizes.hop_length} samples, and back. Encoder: {sizes.encoder_layers} layers of
{sizes.encoder_size}; decoder: {sizes.decoder_layers} layers of {sizes.residual_size}, skip
connections of {sizes.skip_size}, receptive field {sizes.receptive_field:,} samples.{_held(config)}
{card_end(config)}"""


def _held(config: dict[str, Any]) -> str:
    if POST_FILTER not in config:
        return ""
    return f"""
A post-filter of {config[POST_FILTER]["passes"]} passes holds its sound to the mel that a small
network of {config["model"]["spectrum_size"]} units tells from the codes."""


def card_end(config: dict[str, Any]) -> str:
    """What all cards of such models end with: attribution, licence, training, validation."""
    measures = config["training"].get("validation", {})
    rows = training_rows(config)
    rows += "".join(f"| validation: {key} | {value} |\n" for key, value in measures.items())
    return f"""
{config["attribution"]}

Licence of the weights: {config["license"]}.

| training | |
|---|---|
{rows}"""

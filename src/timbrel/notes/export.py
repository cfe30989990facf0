"""The autoencoder of notes → model bundle: the encoder as ONNX, all weights as safetensors."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

import onnx
import torch
from safetensors.numpy import save
from safetensors.torch import load_file
from torch import Tensor, nn

from timbrel.bundle import (
    CARD_FILE,
    CONFIG_FILE,
    FORMAT,
    Bundle,
    check_keys,
    load_bundle,
    new_bundle,
)
from timbrel.errors import InputError
from timbrel.mel.spectrogram import MelConfig
from timbrel.notes.autoencoder import (
    KERNEL_SIZE,
    Autoencoder,
    AutoencoderConfig,
    TemporalConv,
    TemporalEncoder,
)
from timbrel.notes.baseline import SpectralBaseline
from timbrel.notes.classifier import NoteClassifier
from timbrel.notes.codec import CHUNK_FRAMES, ENCODER_FILE, KIND, WEIGHTS_FILE
from timbrel.notes.companding import HALF
from timbrel.notes.spectrum import N_FRAMES
from timbrel.onnx_graph import Graph

BASELINE_KIND, CLASSIFIER_KIND = "notes-baseline", "notes-classifier"

Spectral = TypeVar("Spectral", SpectralBaseline, NoteClassifier)


def write_autoencoder_bundle(
    model: Autoencoder,
    output: Path,
    *,
    name: str,
    license: str,
    attribution: str,
    training: dict[str, Any],
) -> None:
    """Write a bundle, its weights in half precision, to which those of `model` are rounded.

    See `timbrel.mel.export.write_mel2mel_bundle` for the parameters and errors.
    """
    config = note_bundle_config(
        model,
        KIND,
        asdict(model.config),
        name=name,
        window={"hop": CHUNK_FRAMES, "context": model.config.context_frames},
        license=license,
        attribution=attribution,
        training=training,
    )
    with new_bundle(output) as made:
        write_note_bundle(made, model, config, _card(config, model.config))
        onnx.save(encoder_graph(model.encoder), made / ENCODER_FILE)


def note_bundle_config(
    model: nn.Module,
    kind: str,
    sizes: dict[str, Any],
    *,
    name: str,
    window: dict[str, int],
    license: str,
    attribution: str,
    training: dict[str, Any],
) -> dict[str, Any]:
    """The config.json of a model of notes. Of the mel geometry it uses the sample rate only."""
    return {
        "format": FORMAT,
        "kind": kind,
        "name": name,
        "mel": asdict(MelConfig()),
        "model": sizes,
        "window": window,
        "gain": 1.0,
        "instruments": [],
        "license": license,
        "attribution": attribution,
        "training": {"parameters": sum(p.numel() for p in model.parameters()), **training},
    }


def write_note_bundle(made: Path, model: nn.Module, config: dict[str, Any], card: str) -> None:
    """Write config, card and weights; the model's are rounded to what is written."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())
    (made / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
    (made / CARD_FILE).write_text(card)
    weights = {
        key: (value.half() if value.is_floating_point() else value).numpy()
        for key, value in model.state_dict().items()
    }
    (made / WEIGHTS_FILE).write_bytes(save(weights))


def write_spectral_bundle(
    model: SpectralBaseline | NoteClassifier,
    output: Path,
    *,
    name: str,
    license: str,
    attribution: str,
    training: dict[str, Any],
) -> None:
    """Write the bundle of a spectral network, its weights in half precision; as above."""
    is_baseline = isinstance(model, SpectralBaseline)
    config = note_bundle_config(
        model,
        BASELINE_KIND if is_baseline else CLASSIFIER_KIND,
        asdict(model.config),
        name=name,
        window={"hop": N_FRAMES, "context": 0},
        license=license,
        attribution=attribution,
        training=training,
    )
    what = (
        "Spectral autoencoder of musical notes with pitch conditioning, the baseline"
        if is_baseline
        else "Classifier of the pitch and the qualities of musical notes, the judge"
    )
    card = f"# {name}\n\n{what} of Engel et al. (2017).\n{_card_end(config)}"
    with new_bundle(output) as made:
        write_note_bundle(made, model, config, card)


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
    check_keys(bundle.model, get_type_hints(config_type), bundle.file(CONFIG_FILE))
    model = model_type(config_type(**bundle.model))
    weights = {key: value.float() for key, value in load_file(bundle.file(WEIGHTS_FILE)).items()}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"{bundle.file(WEIGHTS_FILE)}: does not fit the sizes of {CONFIG_FILE} "
            f"({' '.join(str(error).split())[:200]})"
        ) from None
    return model.eval(), bundle


def encoder_graph(encoder: TemporalEncoder) -> onnx.ModelProto:
    """The encoder: levels (batch, frames · hop_length) → codes (batch, frames, code_size)."""
    config, graph = encoder.config, Graph("encoder")
    scaled = graph.add("Mul", ["levels", graph.weight(torch.tensor(1 / HALF))])
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
    weight = layer.dense.weight  # (out, taps · in)
    taps: Tensor = weight.reshape(len(weight), KERNEL_SIZE, -1).transpose(1, 2)
    return graph.add(
        "Conv",
        [x, graph.weight(taps), graph.weight(layer.dense.bias)],
        dilations=[layer.dilation],
        pads=[layer.before, layer.after],
    )


def _pointwise(graph: Graph, x: str, layer: nn.Linear) -> str:
    return graph.add("Conv", [x, graph.weight(layer.weight[..., None]), graph.weight(layer.bias)])


def _card(config: dict[str, Any], sizes: AutoencoderConfig) -> str:
    """The model card."""
    return f"""# {config["name"]}

WaveNet autoencoder of musical notes (Engel et al. 2017): audio at 16 kHz to {sizes.code_size}
numbers every {sizes.hop_length} samples, and back. Encoder: {sizes.encoder_layers} layers of
{sizes.encoder_size}; decoder: {sizes.decoder_layers} layers of {sizes.residual_size}, skip
connections of {sizes.skip_size}, receptive field {sizes.receptive_field:,} samples.
{_card_end(config)}"""


def _card_end(config: dict[str, Any]) -> str:
    training = dict(config["training"])
    measures = training.pop("validation", {})
    rows = "".join(f"| {key} | {value} |\n" for key, value in training.items())
    rows += "".join(f"| validation: {key} | {value} |\n" for key, value in measures.items())
    return f"""
{config["attribution"]}

Licence of the weights: {config["license"]}.

| training | |
|---|---|
{rows}"""

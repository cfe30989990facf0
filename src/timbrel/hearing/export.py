"""The timbre encoder → model bundle: an ONNX graph, and its weights in safetensors."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from torch import nn

from timbrel.bundles.bundle import write_bundle
from timbrel.bundles.graph import Graph, graph_files
from timbrel.bundles.weights import (
    bundle_config,
    measure_rows,
    round_to_half,
    training_rows,
)
from timbrel.geometry import MelConfig
from timbrel.hearing.encoder import BLOCK_KERNEL, TINY_SPREAD, Block, Encoder
from timbrel.hearing.sizes import (
    FLOOR_NATS,
    KIND,
    SMALLEST_DEVIATION,
    TINY_POWER,
    EncoderConfig,
)
from timbrel.hearing.stream import GRAPH_FILE, OUTPUTS

_CHANNELS_LAST = [0, 2, 3, 1]
_SWAPPED = [0, 2, 1]


def write_encoder_bundle(
    model: Encoder,
    output: Path,
    *,
    mel: MelConfig,
    mel2mel: str,
    instruments: list[dict[str, Any]],
    window_s: float,
    calibration: dict[str, float],
    **about: Any,
) -> None:
    """Write a bundle, its weights in half precision, to which those of `model` are rounded.

    Parameters
    ----------
    model
        The trained network.
    output
        The bundle's folder, which must not exist yet.
    mel
        The geometry of what it hears.
    mel2mel
        The name of the Mel2Mel whose space it speaks of.
    instruments
        That Mel2Mel's, as its bundle states them.
    window_s
        The length of the longest windows that it was trained on.
    calibration
        Fields of `timbrel.hearing.sizes.Calibration`.
    about
        What else `timbrel.bundles.weights.bundle_config` wants to know.

    Raises
    ------
    OutputError
        If the folder exists, or its parent does not.
    """
    round_to_half(model)
    config = bundle_config(
        model,
        KIND,
        mel=asdict(mel),
        mel2mel=mel2mel,
        instruments=instruments,
        window_s=window_s,
        calibration=calibration,
        **about,
    )
    files = graph_files(model, {GRAPH_FILE: encoder_graph(model)})
    write_bundle(output, config, files, card=_card(config))


def encoder_graph(model: Encoder) -> onnx.ModelProto:
    """The network over windows of one length; gives means, Cholesky factors and logits."""
    config, graph = model.config, Graph(KIND, model)
    values = graph.add("Unsqueeze", [_levelled(graph), graph.integers(1)])
    for layer in model.convolutions:
        inputs = [values, graph.weight(layer.weight), graph.weight(layer.bias)]
        margin = layer.kernel_size[0] // 2
        convolved = graph.add("Conv", inputs, strides=list(layer.stride), pads=[margin] * 4)
        values = graph.add("Relu", [convolved])
    values = graph.add("Transpose", [values], perm=_CHANNELS_LAST)
    n_features = config.n_bands * config.channels[-1]
    values = graph.add("Reshape", [values, graph.integers(0, -1, n_features)])
    values = graph.add("Relu", [graph.dense(model.inner, values)])
    for block in model.blocks:
        values = _block(graph, block, values)
    pooled = _pooled(graph, model.attention, graph.norm(model.norm, values))
    hidden = graph.add("Relu", [graph.dense(model.head, pooled)])
    factor = _factor(graph, config, graph.dense(model.triangle, hidden))
    size = config.timbre_size
    logits = graph.dense(model.logits, hidden)
    known = graph.add("Softmax", [graph.slice(logits, 0, config.n_instruments, 1)], axis=1)
    likely = graph.add("MatMul", [known, graph.constant(model.points.numpy())])
    mean = graph.add("Add", [likely, graph.dense(model.away, hidden)])
    results = {
        "mean": (mean, ["windows", size]),
        "factor": (factor, ["windows", size, size]),
        "logits": (logits, ["windows", config.n_instruments + 1]),
    }
    return graph.model(
        inputs={"mel": ["windows", "frames", config.n_mels]},
        outputs={name: results[name] for name in OUTPUTS},
    )


def _levelled(graph: Graph) -> str:
    power = graph.add("Exp", [graph.add("Mul", ["mel", graph.constant(2.0)])])
    mean = graph.add("ReduceMean", [power], axes=[1, 2], keepdims=1)
    logarithm = graph.add("Log", [graph.add("Add", [mean, graph.constant(TINY_POWER)])])
    level = graph.add("Mul", [logarithm, graph.constant(0.5)])
    shape = graph.add("Max", [graph.add("Sub", ["mel", level]), graph.constant(-FLOOR_NATS)])
    return graph.add("Add", [_scaled(graph, shape, 2 / FLOOR_NATS), graph.constant(1.0)])


def _scaled(graph: Graph, value: str, factor: float) -> str:
    return graph.add("Mul", [value, graph.constant(factor)])


def _block(graph: Graph, block: Block, values: str) -> str:
    turned = graph.add("Transpose", [graph.norm(block.norm, values)], perm=_SWAPPED)
    layer, margin = block.convolution, BLOCK_KERNEL // 2
    inputs = [turned, graph.weight(layer.weight), graph.weight(layer.bias)]
    mixed = graph.add("Relu", [graph.add("Conv", inputs, pads=[margin, margin])])
    return graph.add("Add", [values, graph.add("Transpose", [mixed], perm=_SWAPPED)])


def _pooled(graph: Graph, attention: nn.Linear, values: str) -> str:
    """The means over time as the heads weigh it, and how far values stray."""
    weights = graph.add("Softmax", [graph.dense(attention, values)], axis=1)
    turned = graph.add("Transpose", [weights], perm=_SWAPPED)
    means = graph.add("Flatten", [graph.add("MatMul", [turned, values])], axis=1)
    plain = graph.add("ReduceMean", [values], axes=[1], keepdims=1)
    strays = graph.add("Sub", [values, plain])
    squares = graph.add("ReduceMean", [graph.add("Mul", [strays, strays])], axes=[1], keepdims=0)
    spread = graph.add("Sqrt", [graph.add("Add", [squares, graph.constant(TINY_SPREAD)])])
    return graph.add("Concat", [means, spread], axis=1)


def _factor(graph: Graph, config: EncoderConfig, triangle: str) -> str:
    """The lower Cholesky factor of numbers in the order of its rows."""
    size = config.timbre_size
    # Where each element of the square comes from: the last column of zeros is above the diagonal.
    places = np.full((size, size), config.n_triangle, np.int64)
    places[np.tril_indices(size)] = np.arange(config.n_triangle)
    padding = graph.add("Mul", [graph.slice(triangle, 0, 1, 1), graph.constant(0.0)])
    padded = graph.add("Concat", [triangle, padding], axis=1)
    square = graph.add("Gather", [padded, graph.constant(places, np.int64)], axis=1)
    diagonal = np.eye(size)
    softened = graph.add("Add", [graph.add("Softplus", [square]), _small(graph)])
    return graph.add("Where", [graph.constant(diagonal, np.bool_), softened, square])


def _small(graph: Graph) -> str:
    return graph.constant(SMALLEST_DEVIATION)


def _card(config: dict[str, Any]) -> str:
    """The model card, README.md of the bundle."""
    return f"""# {config["name"]}

A timbre encoder: a sound to a distribution over the timbre space of {config["mel2mel"]}, and how
likely each of its {len(config["instruments"])} instruments is, or that it is none at all.

{config["attribution"]}

Licence of the weights: {config["license"]}.

| training | |
|---|---|
{training_rows(config)}
On the validation split, which it was not trained on: of windows of two seconds, and of excerpts of
three windows that overlap.

| measure | |
|---|---|
{measure_rows(config)}"""

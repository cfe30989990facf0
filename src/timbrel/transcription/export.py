"""The transcriber → model bundle: an ONNX graph that streams, and its weights in safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
from timbrel.constants import N_PITCHES
from timbrel.transcription.network import (
    KEYS_AT_ONCE,
    STEM_KERNEL,
    Block,
    Context,
    Stem,
    Transcriber,
    VelocityReader,
)
from timbrel.transcription.sizes import BEND, HEADS, KIND, MAX_BEND_CENTS, VELOCITY
from timbrel.transcription.stream import GRAPH_FILE

_CHANNELS_LAST = [0, 2, 3, 1]


def write_transcriber_bundle(
    model: Transcriber, output: Path, *, thresholds: dict[str, float], **about: Any
) -> None:
    """Write a bundle, its weights in half precision, to which those of `model` are rounded.

    Parameters
    ----------
    model
        The trained network.
    output
        The bundle's folder, which must not exist yet.
    thresholds
        Fields of `timbrel.transcription.decoding.Thresholds`.
    about
        What else `timbrel.bundles.weights.bundle_config` wants to know.

    Raises
    ------
    OutputError
        If the folder exists, or its parent does not.
    """
    model.requires_grad_(True)  # what was fixed in the last training is as much of the bundle
    round_to_half(model)
    config = bundle_config(model, KIND, thresholds=thresholds, **about)
    files = graph_files(model, {GRAPH_FILE: transcriber_graph(model)})
    write_bundle(output, config, files, card=_card(config, model))


def transcriber_graph(model: Transcriber) -> onnx.ModelProto:
    """The network over a block of frames, continued from its states; gives probabilities."""
    config, graph = model.config, Graph(KIND, model)
    values = stacked = _stacked(graph, model)
    read: str | None = None
    inputs = {"spectra": [1, len(config.windows), "frames", config.n_bands]}
    outputs: dict[str, tuple[str, list]] = {}
    for i, (layer, state) in enumerate(zip(model.remembering, model.states(1), strict=True)):
        inputs[f"state_{i}"] = list(state.shape)
        if isinstance(layer, Context):
            values, memory = _context(graph, layer, values, f"state_{i}")
        elif isinstance(layer, VelocityReader):
            read, memory = _read(graph, layer, stacked, values, f"state_{i}")
        else:
            joined = graph.add("Concat", [f"state_{i}", values], axis=2)
            memory = graph.slice(joined, -state.shape[2], 2**31, 2)
            if isinstance(layer, Stem):
                values = _stem(graph, layer, joined)
            else:
                values = _block(graph, layer, joined)
        outputs[f"next_{i}"] = (memory, list(state.shape))
    found = graph.add("Transpose", [_heads(graph, model, values, read)], perm=_CHANNELS_LAST)
    outputs["values"] = (found, [1, "frames", N_PITCHES, len(HEADS)])
    return graph.model(inputs=inputs, outputs=outputs)


def _stacked(graph: Graph, model: Transcriber) -> str:
    """The harmonics of each band as channels."""
    config = model.config
    n_bands, lowest = N_PITCHES * config.bands_per_semitone, min(config.shifts)
    parts = [
        graph.slice("spectra", shift - lowest, shift - lowest + n_bands, 3)
        for shift in config.shifts
    ]
    return graph.add("Concat", parts, axis=1)


def _stem(graph: Graph, layer: Stem, joined: str) -> str:
    low, high = layer.margin
    convolved = graph.add(
        "Conv",
        [joined, graph.weight(layer.convolution.weight), graph.weight(layer.convolution.bias)],
        kernel_shape=list(STEM_KERNEL),
        strides=list(layer.convolution.stride),
        pads=[0, low, 0, high],
    )
    return graph.add("Relu", [convolved])


def _block(graph: Graph, block: Block, joined: str) -> str:
    over_time = graph.add(
        "Conv",
        [joined, graph.weight(block.over_time.weight), graph.weight(block.over_time.bias)],
        kernel_shape=list(block.over_time.kernel_size),
        dilations=[block.dilation, 1],
        group=block.over_time.groups,
    )
    kernel = graph.add("Transpose", [graph.weight(block.over_keys.weight)], perm=[0, 1, 3, 2])
    n_keys = block.over_keys.kernel_size[0]
    mixed = graph.add(
        "Conv",
        [over_time, kernel, graph.weight(block.over_keys.bias)],
        kernel_shape=[1, n_keys],
        pads=[0, n_keys // 2, 0, n_keys // 2],
        group=block.over_keys.groups,
    )
    mixed = _dense(graph, block.contract, graph.add("Relu", [_dense(graph, block.expand, mixed)]))
    # The frames that the block speaks of: those of its input, but for what lies ahead.
    kept = graph.slice(joined, block.memory - block.delay, 2**31, 2)
    if block.delay:
        kept = graph.slice(kept, 0, -block.delay, 2)
    return graph.add("Add", [kept, mixed])


def _context(graph: Graph, layer: Context, values: str, state: str) -> tuple[str, str]:
    features = graph.add("Relu", [_dense(graph, layer.listen, values)])
    axis = graph.integers(3)
    total = graph.add("ReduceSum", [features, axis], keepdims=0)
    total = graph.add("Div", [total, graph.constant(KEYS_AT_ONCE)])
    most = graph.add("ReduceMax", [features], axes=[3], keepdims=0)
    pooled = graph.add("Concat", [total, most], axis=1)  # (1, features, frames)
    by_time = graph.add("Transpose", [pooled], perm=[0, 2, 1])
    start = graph.add("Unsqueeze", [state, graph.integers(0)])
    heard, memory = graph.gru(layer.remember, by_time, start)
    told = graph.add("Transpose", [graph.dense(layer.tell, heard)], perm=[0, 2, 1])
    scale, shift = graph.add("Split", [graph.add("Unsqueeze", [told, axis])], 2, axis=1)
    scaled = graph.add("Mul", [values, graph.add("Add", [scale, graph.constant(1.0)])])
    return graph.add("Add", [scaled, shift]), graph.add("Squeeze", [memory, graph.integers(0)])


def _read(
    graph: Graph, layer: VelocityReader, stacked: str, values: str, state: str
) -> tuple[str, str]:
    """A velocity's logit, and the memory."""
    n_in, n_kept, _ = layer.state_shape
    by_key = graph.add(
        "Reshape", [stacked, graph.integers(1, n_in // layer.per_key, -1, N_PITCHES, layer.per_key)]
    )
    bands = graph.add(
        "Reshape",
        [
            graph.add("Transpose", [by_key], perm=[0, 1, 4, 2, 3]),
            graph.integers(1, n_in, -1, N_PITCHES),
        ],
    )
    joined = graph.add("Concat", [state, bands], axis=2)
    read = graph.slice(joined, 0, layer.reach - n_kept, 2) if n_kept > layer.reach else joined
    heard = graph.add(
        "Conv",
        [read, graph.weight(layer.hear.weight), graph.weight(layer.hear.bias)],
        kernel_shape=list(layer.hear.kernel_size),
    )
    found = graph.add("Relu", [graph.add("Add", [heard, _dense(graph, layer.know, values)])])
    found = graph.add("Relu", [_dense(graph, layer.weigh, found)])
    return _dense(graph, layer.tell, found), graph.slice(joined, -n_kept, 2**31, 2)


def _dense(graph: Graph, layer: nn.Linear, value: str) -> str:
    """A dense layer over the channels, which are not the last axis."""
    kernel = graph.add("Unsqueeze", [graph.weight(layer.weight), graph.integers(2, 3)])
    return graph.add("Conv", [value, kernel, graph.weight(layer.bias)], kernel_shape=[1, 1])


def _heads(graph: Graph, model: Transcriber, values: str, read: str | None) -> str:
    hidden = graph.add("Relu", [_dense(graph, model.heads, values)])
    parts = graph.add("Split", [hidden], len(HEADS), axis=1)
    found = [_dense(graph, layer, part) for layer, part in zip(model.outputs, parts, strict=True)]
    if read is not None:
        found[VELOCITY] = read
    limited = [graph.add("Sigmoid", [part]) for part in found[:BEND]]
    bend = graph.add("Mul", [graph.add("Tanh", found[BEND:]), graph.constant(MAX_BEND_CENTS)])
    return graph.add("Concat", [*limited, bend], axis=1)


def _card(config: dict[str, Any], model: Transcriber) -> str:
    """The model card, README.md of the bundle."""
    return f"""# {config["name"]}

A transcriber: audio to the notes of 88 keys, with velocities, bends and a confidence for each note.
It hears all instruments as one; a note is known {model.config.latency_s:.2f} s after it began.

A note's end is the release of its key, or of the pedal that holds it, as far as it can be heard.

{config["attribution"]}

Licence of the weights: {config["license"]}.

| training | |
|---|---|
{training_rows(config)}
On the validation split, which it was not trained on, means over the instruments:

| measure | |
|---|---|
{measure_rows(config)}"""

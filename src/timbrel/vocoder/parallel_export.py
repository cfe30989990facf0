"""The parallel vocoder → model bundle: weights, and the graphs that stream."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx

from timbrel.bundles.bundle import write_bundle
from timbrel.bundles.graph import graph_files
from timbrel.bundles.weights import (
    bundle_config,
    round_to_half,
    training_rows,
)
from timbrel.geometry import MelConfig
from timbrel.vocoder.contrast import KEY as CONTRAST
from timbrel.vocoder.contrast import Contrast
from timbrel.vocoder.parallel import ParallelVocoder
from timbrel.vocoder.parallel_graph import kits_graph, streaming_graph
from timbrel.vocoder.parallel_stream import GRAPH_FILE, KITS_FILE


def write_parallel_bundle(
    model: ParallelVocoder,
    output: Path,
    *,
    mel: MelConfig,
    contrast: Contrast | None = None,
    **about: Any,
) -> None:
    """Write a bundle; its weights are stored in half precision.

    Parameters
    ----------
    model
        The trained model. Its weights are rounded to what the bundle holds.
    output
        The bundle's folder, which must not exist yet.
    mel
        The geometry of what it was trained on.
    contrast
        By which the range of mels is widened.
    about
        What else `timbrel.bundles.weights.bundle_config` wants to know.

    Raises
    ------
    OutputError
        If the folder exists, or its parent does not.
    """
    round_to_half(model)
    if contrast is not None:
        about[CONTRAST] = asdict(contrast)
    config = bundle_config(model, "parallel", mel=asdict(mel), **about)
    files = graph_files(model, graphs_of(model, mel, contrast))
    write_bundle(output, config, files, card=_card(config))


def graphs_of(
    model: ParallelVocoder, mel: MelConfig, contrast: Contrast | None
) -> dict[str, onnx.ModelProto]:
    """The graphs of a bundle, by the names of their files."""
    graphs = {GRAPH_FILE: streaming_graph(model, mel, contrast)}
    if model.config.plays_kits:
        graphs[KITS_FILE] = kits_graph(model, mel, contrast)
    return graphs


def _card(config: dict[str, Any]) -> str:
    """The model card, README.md of the bundle."""
    training = config["training"]
    rows = training_rows(config)
    measures = "".join(
        f"| {key.replace('_', ' ')} | {value} |\n"
        for key, value in training.get("validation", {}).items()
    )
    known = {
        "mel": "the mel alone",
        "roll": "the mel and the piano roll",
        "excitation": "the mel and pulse trains of the score",
        "performance": "the mel, pulse trains of the score with its bends, and strokes of kits",
    }[config["model"]["conditioning"]]
    return f"""# {config["name"]}

A parallel vocoder at {config["mel"]["sample_rate"]} Hz, conditioned on {known}.

{config["attribution"]}

Licence of the weights: {config["license"]}.

| training | |
|---|---|
{rows}
Measured on the validation split, which it was not trained on:

| measure | |
|---|---|
{measures}"""

"""The parallel student → model bundle: weights, and the graph that streams."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from timbrel.bundles.bundle import write_bundle
from timbrel.bundles.graph import graph_files
from timbrel.bundles.weights import (
    bundle_config,
    measure_rows,
    round_to_half,
    training_rows,
)
from timbrel.geometry import MelConfig
from timbrel.vocoder.post_filter import DRAWN
from timbrel.vocoder.post_filter import KEY as POST_FILTER
from timbrel.vocoder.student import Student
from timbrel.vocoder.student_graph import streaming_graph
from timbrel.vocoder.student_stream import GRAPH_FILE


def write_student_bundle(model: Student, output: Path, *, mel: MelConfig, **about: Any) -> None:
    """Write a bundle; its weights are stored in half precision.

    Parameters
    ----------
    model
        The trained model. Its weights are rounded to what the bundle holds.
    output
        The bundle's folder, which must not exist yet.
    mel
        The geometry of what it was trained on.
    about
        What else `timbrel.bundles.weights.bundle_config` wants to know.

    Raises
    ------
    OutputError
        If the folder exists, or its parent does not.
    """
    round_to_half(model)
    config = bundle_config(model, "student", mel=asdict(mel), **about)
    config[POST_FILTER] = asdict(DRAWN)
    files = graph_files(model, {GRAPH_FILE: streaming_graph(model)})
    write_bundle(output, config, files, card=_card(config))


def _card(config: dict[str, Any]) -> str:
    sizes = config["model"]
    return f"""# {config["name"]}

Parallel student (inverse autoregressive flows, Ping et al. 2019): mel spectrogram and noise to
audio at {config["mel"]["sample_rate"]} Hz, {sizes["n_flows"]} flows of {sizes["n_layers"]} layers,
{sizes["residual_size"]} residual and {sizes["skip_size"]} skip channels. Distilled from a WaveNet.
A post-filter of {config[POST_FILTER]["passes"]} passes holds its sound to the mel.

{config["attribution"]}

Licence of the weights: {config["license"]}.

| training | |
|---|---|
{training_rows(config)}
Measured on the validation split, which it was not trained on. kl is the divergence from its teacher
in nats a sample, silence_dbfs the loudness of what it makes of a silent mel:

| measure | |
|---|---|
{measure_rows(config)}"""

"""Mel2Mel → model bundle: ONNX parts for the runtime, safetensors for further training."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx

from timbrel.bundles.bundle import WINDOW, Bundle, write_bundle
from timbrel.bundles.graph import Graph, graph_files
from timbrel.bundles.weights import (
    bundle_config,
    round_to_half,
    training_rows,
)
from timbrel.geometry import MelConfig
from timbrel.mel.film import FilmSizes
from timbrel.mel.generator import ALONE_INPUT, FUTURE_FILE, MEL_FILE, PAST_FILE
from timbrel.mel.mel2mel import FiLM, Mel2Mel, TwoLayers
from timbrel.mel.note_export import levels_part, notes_part
from timbrel.mel.note_generator import FILM_INPUT, LEVELS_FILE, NOTES_FILE

MEL2MEL_SUFFIX = "-mel2mel"  # of the folder of a Mel2Mel that was trained beside another model


def write_mel2mel_bundle(
    model: Mel2Mel,
    output: Path,
    *,
    mel: MelConfig,
    instruments: dict[str, int],
    kits: dict[str, list[int]] | None = None,
    window: dict[str, int] | None = None,
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
    instruments
        Names and General MIDI programs, in the order of the embeddings.
    kits
        The keys of those that are drum kits, whose programs are the kits'.
    window
        The grid of windowed inference, as `WindowConfig` has it; `WINDOW` where it is None.
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
        "mel2mel",
        mel=asdict(mel),
        window=window or asdict(WINDOW),
        instruments=[
            {"name": instrument, "program": program, "embedding": embedding}
            | ({"keys": kits[instrument]} if kits and instrument in kits else {})
            for (instrument, program), embedding in zip(
                instruments.items(), model.embedding.weight.tolist(), strict=True
            )
        ],
        **about,
    )
    write_bundle(
        output, config, graph_files(model, graphs_of(model, mel.floor)), card=_card(config)
    )


def write_retrained(trained: Mel2Mel, output: Path, bundle: Bundle, about: dict[str, Any]) -> None:
    """Write the bundle of a Mel2Mel that began as another one and was trained beside a model.

    Parameters
    ----------
    trained
        The network, all of which counts as trained, its embeddings, too.
    output
        The bundle's folder, which must not exist yet.
    bundle
        What it began as.
    about
        Of the model beside it, whose name gets `MEL2MEL_SUFFIX`.
    """
    model = Mel2Mel(trained.config)
    model.load_state_dict(trained.state_dict())
    write_mel2mel_bundle(
        model,
        output,
        mel=bundle.mel,
        instruments={one.name: one.program for one in bundle.instruments},
        kits={one.name: list(one.keys) for one in bundle.instruments if one.is_kit},
        window=bundle.config["window"],
        gain=bundle.gain,
        **about | {"name": about["name"] + MEL2MEL_SUFFIX},
    )


def graphs_of(model: Mel2Mel, floor: float) -> dict[str, onnx.ModelProto]:
    """The graphs of a bundle, by the names of their files."""
    graphs = {
        PAST_FILE: past_part(model),
        FUTURE_FILE: future_part(model),
        MEL_FILE: mel_part(model),
    }
    if model.notes is not None:
        graphs[NOTES_FILE] = notes_part(model.notes, model)
        graphs[LEVELS_FILE] = levels_part(model.notes, model, floor)
    return graphs


def _film(graph: Graph, film: FiLM, features: str) -> str:
    """Scale and shift by the timbre, and by what is its own."""
    vectors = graph.add("Add", [graph.dense(film.dense, "timbre"), FILM_INPUT])
    if film.bent is not None:
        vectors = graph.add("Add", [vectors, _two_layers(graph, film.bent, "timbre")])
    gamma, beta = graph.add("Split", [vectors], 2, axis=-1)
    return graph.add("Add", [graph.add("Mul", [gamma, features]), beta])


def _two_layers(graph: Graph, layers: TwoLayers, value: str) -> str:
    return graph.dense(layers.down, graph.add("Relu", [graph.dense(layers.up, value)]))


def past_part(model: Mel2Mel) -> onnx.ModelProto:
    """The forward LSTM with all before it: a block of frames, continued from a state."""
    c, graph = model.config, Graph("mel2mel", model)
    inputs = graph.dense(model.input, "roll")
    features = _film(graph, model.film1, inputs)
    past, hidden, cell = graph.lstm(
        model.forward_lstm, features, ["hidden_in", "cell_in"], "forward"
    )
    state = [1, "batch", c.hidden_size]
    return graph.model(
        inputs={
            "roll": ["batch", "time", c.roll_size],
            "timbre": ["batch", "time", c.timbre_size],
            FILM_INPUT: ["batch_or_1", "time_or_1", FilmSizes.of(vars(c)).first],
            "hidden_in": state,
            "cell_in": state,
        },
        outputs={
            "past": (past, ["batch", "time", c.hidden_size]),
            "hidden": (hidden, state),
            "cell": (cell, state),
        },
    )


def future_part(model: Mel2Mel) -> onnx.ModelProto:
    """The backward LSTM with all before it, over windows."""
    c, graph = model.config, Graph("mel2mel", model)
    inputs = graph.dense(model.input, "roll")
    features = _film(graph, model.film1, inputs)
    future, _, _ = graph.lstm(model.backward_lstm, features, ["hidden_in", "cell_in"], "reverse")
    state = [1, "windows", c.hidden_size]
    return graph.model(
        inputs={
            "roll": ["windows", "window", c.roll_size],
            "timbre": ["windows", 1, c.timbre_size],
            FILM_INPUT: ["windows_or_1", 1, FilmSizes.of(vars(c)).first],
            "hidden_in": state,
            "cell_in": state,
        },
        outputs={"future": (future, ["windows", "window", c.hidden_size])},
    )


def mel_part(model: Mel2Mel) -> onnx.ModelProto:
    """The mel from what both LSTMs say."""
    c, graph = model.config, Graph("mel2mel", model)
    both = graph.add("Concat", ["past", "future"], axis=-1)
    features = _film(graph, model.film2, both)
    if model.head is not None:
        features = graph.add("Add", [features, _two_layers(graph, model.head, features)])
    mel = graph.dense(model.output, features)
    alone = {}
    if model.notes is not None:
        alone[ALONE_INPUT] = ["batch", "time", c.n_mels]
        mel = graph.add("Add", [mel, ALONE_INPUT])
    return graph.model(
        inputs={
            "past": ["batch", "time", c.hidden_size],
            "future": ["batch", "time", c.hidden_size],
            "timbre": ["batch", "time_or_1", c.timbre_size],
            FILM_INPUT: ["batch_or_1", "film_time_or_1", FilmSizes.of(vars(c)).second],
            **alone,
        },
        outputs={"mel": (mel, ["batch", "time", c.n_mels])},
    )


def _card(config: dict[str, Any]) -> str:
    """The model card, README.md of the bundle."""
    training = config["training"]
    rows = training_rows(config)
    measures = training.get("validation", {})
    instruments = "".join(
        f"| {i['name']} | {i['program']} "
        f"| {measures.get('centred_correlation/' + i['name'], float('nan')):.3f} "
        f"| {measures.get('error_db/' + i['name'], float('nan')):.1f} |\n"
        for i in config["instruments"]
    )

    def mean(key: str) -> float:
        return measures.get(key, float("nan"))

    return f"""# {config["name"]}

Mel2Mel (Kim, Bittner, Kumar, Bello 2019): piano roll and timbre to mel spectrogram,
{len(config["instruments"])} instruments in {config["model"]["timbre_size"]} dimensions.

{config["attribution"]}

Licence of the weights: {config["license"]}.

| training | |
|---|---|
{rows}
Measured on the validation split, which it was not trained on, in frames above silence:

| instrument | program | bin-centred log-mel correlation | error, dB |
|---|---|---|---|
{instruments}| mean | | {mean("centred_correlation"):.3f} | {mean("error_db"):.1f} |
"""

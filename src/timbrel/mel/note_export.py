"""The note network → ONNX: notes to codes, and the codes of all that sounds to its mel."""

from __future__ import annotations

from typing import cast

import numpy as np
import onnx
from torch import nn

from timbrel.bundles.graph import Graph
from timbrel.mel import note_network as features
from timbrel.mel.film import NOTE_FILMS, note_film_size
from timbrel.mel.note_generator import FILM_INPUT
from timbrel.mel.note_network import NoteNetwork


def notes_part(network: NoteNetwork, model: nn.Module) -> onnx.ModelProto:
    """What is computed once for a note, `NoteNetwork.codes`.

    Parameters
    ----------
    network
        The network.
    model
        What it is part of, whose parameters have the names that the bundle stores.
    """
    c, graph = network.config, Graph("notes", model)
    space = _space(graph, network)
    kept = graph.add("Split", ["notes"], 4, axis=1)
    index = graph.add("Cast", [graph.add("Squeeze", [kept[0], graph.integers(1)])], to=7)
    struck = graph.add(
        "Add",
        [
            graph.dense(network.note, _note_features(graph, *kept[1:])),
            graph.add("Gather", [graph.weight(network.key.weight), index], axis=0),
        ],
    )
    own = graph.add("Split", [FILM_INPUT], NOTE_FILMS, axis=1)
    films = [
        graph.add("Add", [graph.dense(cast(nn.Linear, film), space), more])
        for film, more in zip(network.films, own, strict=True)
    ]
    values = graph.gelu(_modulated(graph, struck, films[0], 1))
    for layer, film in zip(network.layers, films[1:], strict=True):
        dense = graph.dense(cast(nn.Linear, layer), values)
        inner = graph.gelu(_modulated(graph, dense, film, 1))
        values = graph.add("Add", [values, inner])
    spectra, gains = graph.dense(network.spectra, values), graph.dense(network.gains, values)
    return graph.model(
        inputs={
            "notes": ["notes", 4],
            "timbre": ["notes", c.timbre_size],
            FILM_INPUT: ["notes_or_1", note_film_size(c.note_units)],
        },
        outputs={
            "spectra": (spectra, ["notes", (c.n_spectra + 1) * c.n_mels]),
            "gains": (gains, ["notes", 2 * c.time_units]),
        },
    )


def levels_part(network: NoteNetwork, model: nn.Module, floor: float) -> onnx.ModelProto:
    """The mel of notes that sound together: `NoteNetwork.levels` of each, and their sum.

    Parameters
    ----------
    network, model
        As of `notes_part`.
    floor
        Of the mels' magnitude.
    """
    c, graph = network.config, Graph("levels", model)
    of_note = graph.add("Cast", ["of_note"], to=7)
    gains = graph.add("Gather", ["gains", of_note], axis=0)
    gains = graph.add("Unsqueeze", [gains, graph.integers(1)])
    units = _modulated(graph, graph.dense(network.time, _time_features(graph)), gains, 2)
    weights = graph.dense(network.weights, graph.gelu(units))
    shape = graph.integers(-1, c.n_spectra + 1, c.n_mels)
    spectra = graph.add("Gather", [graph.add("Reshape", ["spectra", shape]), of_note], axis=0)
    first = graph.slice(spectra, 0, 1, 1)
    weighted = graph.add("MatMul", [weights, graph.slice(spectra, 1, c.n_spectra + 1, 1)])
    levels = graph.add("Add", [first, weighted])
    bounded = graph.add("Min", [levels, graph.constant(features.LOUDEST)])
    power = graph.add("Exp", [graph.add("Mul", [bounded, graph.constant(2.0)])])
    # A product with ones and zeros sums in one order, whatever the threads.
    flat = graph.add("Flatten", [power], axis=1)
    total = graph.add("MatMul", ["places", flat])
    total = graph.add("Add", [total, graph.constant(floor**2)])
    log = graph.add("Mul", [graph.add("Log", [total]), graph.constant(0.5)])
    mel = graph.add("Reshape", [log, graph.integers(0, -1, c.n_mels)])
    return graph.model(
        inputs={
            "spectra": ["notes", (c.n_spectra + 1) * c.n_mels],
            "gains": ["notes", 2 * c.time_units],
            "of_note": ["rows"],
            "times_s": ["rows", "stretch", 2],
            "places": ["places", "rows"],
        },
        outputs={"mel": (mel, ["places", "stretch", c.n_mels])},
    )


def _space(graph: Graph, network: NoteNetwork) -> str:
    scaled = graph.add("Div", ["timbre", graph.constant(features.TIMBRE_SCALE)])
    first = graph.gelu(graph.dense(network.timbre1, scaled))
    return graph.add("Add", [first, graph.gelu(graph.dense(network.timbre2, first))])


def _modulated(graph: Graph, values: str, vectors: str, axis: int) -> str:
    gamma, beta = graph.add("Split", [vectors], 2, axis=axis)
    scaled = graph.add("Mul", [values, graph.add("Add", [gamma, graph.constant(1.0)])])
    return graph.add("Add", [scaled, beta])


def _bumps(graph: Graph, value: str, places: np.ndarray, width: float) -> str:
    away = graph.add("Sub", [value, graph.constant(places)])
    away = graph.add("Div", [away, graph.constant(width)])
    return graph.add("Exp", [graph.add("Neg", [graph.add("Mul", [away, away])])])


def _note_features(graph: Graph, pitch: str, velocity: str, kit: str) -> str:
    def scaled(value: str, factor: float) -> str:
        return graph.add("Mul", [value, graph.constant(factor)])

    share = scaled(velocity, 1 / 127)
    moved = graph.add("Add", [share, graph.constant(features.LEAST_SHARE)])
    return graph.add(
        "Concat",
        [
            _bumps(graph, pitch, features.PITCHES.numpy(), features.PITCH_WIDTH),
            share,
            graph.add("Mul", [share, share]),
            scaled(graph.add("Log", [moved]), 0.25),
            scaled(graph.add("Sub", [pitch, graph.constant(60.0)]), 1 / 24),
            scaled(graph.add("Sub", [pitch, graph.add("Round", [pitch])]), 2.0),
            kit,
        ],
        axis=1,
    )


def _time_features(graph: Graph) -> str:
    age, released = graph.add("Split", ["times_s"], 2, axis=2)

    def limited(value: str, low: float, high: float, divisor: float = 1.0) -> str:
        clipped = graph.add("Clip", [value, graph.constant(low), graph.constant(high)])
        return graph.add("Div", [clipped, graph.constant(divisor)])

    def bumps(value: str, places: np.ndarray, width: float) -> str:
        positive = graph.add("Max", [value, graph.constant(0.0)])
        moved = graph.add("Add", [positive, graph.constant(features.SHORTEST_S)])
        return _bumps(graph, graph.add("Log", [moved]), places, width)

    zero = graph.constant(0.0)
    begun = graph.add("Cast", [graph.add("GreaterOrEqual", [age, zero])], to=1)
    over = graph.add("Cast", [graph.add("Greater", [released, zero])], to=1)
    since_onset = bumps(age, features.SINCE_ONSET.numpy(), features.ONSET_WIDTH)
    since_release = bumps(released, features.SINCE_RELEASE.numpy(), features.RELEASE_WIDTH)
    near = features.NEAR_S
    return graph.add(
        "Concat",
        [
            graph.add("Mul", [since_onset, begun]),
            graph.add("Mul", [since_release, over]),
            begun,
            over,
            limited(age, -near, near, near),
            limited(released, -near, near, near),
            limited(age, 0.0, features.LONGEST_S),
            limited(released, 0.0, features.LONGEST_RELEASE_S),
        ],
        axis=2,
    )

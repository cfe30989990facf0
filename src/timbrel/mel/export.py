"""Mel2Mel → model bundle: ONNX parts for the runtime, safetensors for further training."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save
from torch import Tensor

from timbrel.bundle import CARD_FILE, CONFIG_FILE, FORMAT, write_sums
from timbrel.errors import OutputError
from timbrel.mel.generator import CONTEXT_FRAMES, FUTURE_FILE, HOP_FRAMES, PAST_FILE
from timbrel.mel.mel2mel import WEIGHTS_FILE, Mel2Mel, n_parameters
from timbrel.mel.spectrogram import MelConfig

_OPSET, _IR_VERSION = 17, 8


def write_mel2mel_bundle(
    model: Mel2Mel,
    output: Path,
    *,
    name: str,
    mel: MelConfig,
    gain: float,
    instruments: dict[str, int],
    license: str,
    attribution: str,
    training: dict[str, Any],
) -> None:
    """Write a bundle; its weights are stored in half precision.

    Parameters
    ----------
    model
        The trained model. Its weights are rounded to what the bundle holds.
    output
        The bundle's folder, which must not exist yet.
    name
        The model's name.
    mel, gain
        The geometry, and FluidSynth's gain, of what it was trained on.
    instruments
        Names and General MIDI programs, in the order of the embeddings.
    license, attribution
        Of the weights, for the card.
    training
        A summary of the training run, for the card.

    Raises
    ------
    OutputError
        If the folder exists, or its parent does not.
    """
    if output.exists():
        raise OutputError(f"{output}: exists; remove it, or export to another folder")
    if not output.parent.is_dir():
        raise OutputError(f"{output}: the folder {output.parent} does not exist; create it first")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    config = {
        "format": FORMAT,
        "kind": "mel2mel",
        "name": name,
        "mel": asdict(mel),
        "model": asdict(model.config),
        "window": {"hop": HOP_FRAMES, "context": CONTEXT_FRAMES},
        "gain": gain,
        "instruments": [
            {"name": instrument, "program": program, "embedding": embedding}
            for (instrument, program), embedding in zip(
                instruments.items(), model.embedding.weight.tolist(), strict=True
            )
        ],
        "license": license,
        "attribution": attribution,
        "training": {"parameters": n_parameters(model), **training},
    }
    # Made beside the target and then renamed, so that there is never half a bundle.
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=output.parent) as folder:
        made = Path(folder, "bundle")
        made.mkdir()
        (made / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
        (made / CARD_FILE).write_text(_card(config))
        weights = {
            key: value.half().numpy()
            for key, value in model.state_dict().items()
            if "bias_hh" not in key
        }
        (made / WEIGHTS_FILE).write_bytes(save(weights))
        onnx.save(past_part(model), made / PAST_FILE)
        onnx.save(future_part(model), made / FUTURE_FILE)
        write_sums(made)
        made.rename(output)


class _Graph:
    """Builds an ONNX graph whose weights are stored in half precision and used in single."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(
        self, operator: str, inputs: Sequence[str], n_outputs: int = 1, **attributes: Any
    ) -> Any:
        name = f"{operator.lower()}_{len(self.nodes)}"
        outputs = [name if i == 0 else f"{name}_{i}" for i in range(n_outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, **attributes))
        return outputs[0] if n_outputs == 1 else outputs

    def weight(self, tensor: Tensor) -> str:
        name = f"weight_{len(self.weights)}"
        array = tensor.detach().numpy().astype(np.float16)
        self.weights.append(numpy_helper.from_array(array, name))
        return self.add("Cast", [name], to=TensorProto.FLOAT)

    def integers(self, *values: int) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def dense(self, layer: torch.nn.Linear, value: str) -> str:
        product = self.add("MatMul", [value, self.weight(layer.weight.T)])
        return self.add("Add", [product, self.weight(layer.bias)])

    def film(self, dense: torch.nn.Linear, features: str, timbre: str) -> str:
        gamma, beta = self.add("Split", [self.dense(dense, timbre)], 2, axis=-1)
        return self.add("Add", [self.add("Mul", [gamma, features]), beta])

    def lstm(
        self, lstm: torch.nn.LSTM, values: str, state: Sequence[str], direction: str
    ) -> tuple[str, str, str]:
        """An LSTM over (batch, time, size); gives hidden states and the last state."""
        size = lstm.hidden_size

        def reordered(weight: Tensor) -> Tensor:  # PyTorch's gates i f g o → ONNX's i o f g
            i, f, g, o = weight.split(size)
            return torch.cat([i, o, f, g])

        weights = dict(lstm.named_parameters())
        bias = torch.cat([reordered(weights["bias_ih_l0"]), reordered(weights["bias_hh_l0"])])
        inputs = [
            self.add("Transpose", [values], perm=[1, 0, 2]),  # (time, batch, size)
            self.weight(reordered(weights["weight_ih_l0"])[None]),
            self.weight(reordered(weights["weight_hh_l0"])[None]),
            self.weight(bias[None]),
            "",
            *state,
        ]
        hidden, last_hidden, last_cell = self.add(
            "LSTM", inputs, 3, hidden_size=size, direction=direction
        )  # (time, 1, batch, size)
        squeezed = self.add("Squeeze", [hidden, self.integers(1)])
        return self.add("Transpose", [squeezed], perm=[1, 0, 2]), last_hidden, last_cell

    def model(
        self, inputs: dict[str, list], outputs: dict[str, tuple[str, list]]
    ) -> onnx.ModelProto:
        for name, (value, _) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [name]))
        graph = helper.make_graph(
            self.nodes,
            "mel2mel",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
            [
                helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
                for n, (_, s) in outputs.items()
            ],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model


def past_part(model: Mel2Mel) -> onnx.ModelProto:
    """The forward LSTM with all before it: a block of frames, continued from a state."""
    c, graph = model.config, _Graph()
    features = graph.film(model.film1.dense, graph.dense(model.input, "roll"), "timbre")
    past, hidden, cell = graph.lstm(
        model.forward_lstm, features, ["hidden_in", "cell_in"], "forward"
    )
    state = [1, "batch", c.hidden_size]
    return graph.model(
        inputs={
            "roll": ["batch", "time", c.roll_size],
            "timbre": ["batch", "time", c.timbre_size],
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
    """The backward LSTM over a hop and its right context, then the mel of the hop."""
    c, graph = model.config, _Graph()
    film1 = graph.film(model.film1.dense, graph.dense(model.input, "roll"), "timbre")
    future, _, _ = graph.lstm(model.backward_lstm, film1, ["hidden_in", "cell_in"], "reverse")
    n_frames = graph.add("Shape", ["past"], start=1, end=2)
    future = graph.add("Slice", [future, graph.integers(0), n_frames, graph.integers(1)])
    both = graph.add("Concat", ["past", future], axis=-1)
    mel = graph.dense(model.output, graph.film(model.film2.dense, both, "timbre"))
    state = [1, "windows", c.hidden_size]
    return graph.model(
        inputs={
            "roll": ["windows", "window", c.roll_size],
            "timbre": ["windows", 1, c.timbre_size],
            "past": ["windows", "hop", c.hidden_size],
            "hidden_in": state,
            "cell_in": state,
        },
        outputs={"mel": (mel, ["windows", "hop", c.n_mels])},
    )


def _card(config: dict[str, Any]) -> str:
    """The model card, README.md of the bundle."""
    training = config["training"]
    rows = "".join(
        f"| {key} | {value} |\n" for key, value in training.items() if key != "validation"
    )
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

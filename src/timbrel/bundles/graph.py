"""ONNX graphs built node by node, so that the graph that runs is written down, not traced.

A graph holds no weights: it refers to those in the bundle's safetensors file, which are stored
once, in half precision, for training and for all graphs. They are converted to single precision,
and transposed as the operators need them, when the graph is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, helper, numpy_helper
from torch import Tensor, nn

from timbrel.bundles.weights import WEIGHTS_FILE, packed_weights

_OPSET, _IR_VERSION = 17, 8


class Graph:
    """Builds an ONNX graph for a network with trained weights."""

    def __init__(self, name: str, network: nn.Module) -> None:
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}
        self._names = {id(parameter): key for key, parameter in network.named_parameters()}

    def add(
        self, operator: str, inputs: Sequence[str], n_outputs: int = 1, **attributes: Any
    ) -> Any:
        name = f"{operator.lower()}_{len(self.nodes)}"
        outputs = [name if i == 0 else f"{name}_{i}" for i in range(n_outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, **attributes))
        return outputs[0] if n_outputs == 1 else outputs

    def weight(self, parameter: Tensor | None) -> str:
        """A parameter of the network, in single precision."""
        assert parameter is not None
        name = self._names[id(parameter)]
        if name not in self.weights:
            array = parameter.detach().numpy().astype(np.float16)
            self.weights[name] = numpy_helper.from_array(array, name)
        return self.add("Cast", [name], to=TensorProto.FLOAT)

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """An array that is stored in the graph."""
        name = f"constant_{len(self.weights)}"
        self.weights[name] = numpy_helper.from_array(np.array(value, dtype), name)
        return name

    def sparse(self, matrix: np.ndarray) -> str:
        """A matrix of which the graph stores what is not zero."""
        places = np.argwhere(matrix)
        zeros = self.add("ConstantOfShape", [self.integers(*matrix.shape)])
        values = [self.constant(places, np.int64), self.constant(matrix[tuple(places.T)])]
        return self.add("ScatterND", [zeros, *values])

    def integers(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def slice(self, value: str, start: int | str, stop: int | str, axis: int) -> str:
        """A part of an axis; ends are numbers or the names of tensors of one integer."""
        ends = [end if isinstance(end, str) else self.integers(end) for end in (start, stop)]
        return self.add("Slice", [value, *ends, self.integers(axis)])

    def norm(self, layer: nn.LayerNorm, value: str) -> str:
        weights = [self.weight(layer.weight), self.weight(layer.bias)]
        return self.add("LayerNormalization", [value, *weights], axis=-1, epsilon=float(layer.eps))

    def gelu(self, value: str) -> str:
        scaled = self.add("Div", [value, self.constant(np.sqrt(2.0))])
        grown = self.add("Add", [self.add("Erf", [scaled]), self.constant(1.0)])
        return self.add("Mul", [self.add("Mul", [value, grown]), self.constant(0.5)])

    def dense(self, layer: nn.Linear, value: str) -> str:
        turned = self.add("Transpose", [self.weight(layer.weight)], perm=[1, 0])
        product = self.add("MatMul", [value, turned])
        return self.add("Add", [product, self.weight(layer.bias)])

    def lstm(
        self, lstm: nn.LSTM, values: str, state: Sequence[str], direction: str
    ) -> tuple[str, str, str]:
        """An LSTM over (batch, time, size); gives hidden states and the last state."""
        size = lstm.hidden_size

        def reordered(weight: str) -> str:  # PyTorch's gates i f g o → ONNX's i o f g
            return self._gates(weight, (0, 3, 1, 2))

        weights = dict(lstm.named_parameters())
        # There is one bias for each gate; ONNX wants a second one as well.
        bias = reordered(self.weight(weights["bias_ih_l0"]))
        second = self.constant(np.zeros((1, 4 * size)))
        inputs = [
            self.add("Transpose", [values], perm=[1, 0, 2]),  # (time, batch, size)
            reordered(self.weight(weights["weight_ih_l0"])),
            reordered(self.weight(weights["weight_hh_l0"])),
            self.add("Concat", [bias, second], axis=1),
            "",
            *state,
        ]
        hidden, last_hidden, last_cell = self.add(
            "LSTM", inputs, 3, hidden_size=size, direction=direction
        )  # (time, 1, batch, size)
        squeezed = self.add("Squeeze", [hidden, self.integers(1)])
        return self.add("Transpose", [squeezed], perm=[1, 0, 2]), last_hidden, last_cell

    def gru(self, gru: nn.GRU, values: str, state: str) -> tuple[str, str]:
        """A GRU over (batch, time, size); gives hidden states and the last, (1, batch, size)."""

        def reordered(weight: str) -> str:  # PyTorch's gates r z n → ONNX's z r n
            return self._gates(weight, (1, 0, 2))

        weights = {name: self.weight(part) for name, part in gru.named_parameters()}
        biases = [reordered(weights[f"bias_{gate}_l0"]) for gate in ("ih", "hh")]
        inputs = [
            self.add("Transpose", [values], perm=[1, 0, 2]),  # (time, batch, size)
            *(reordered(weights[f"weight_{gate}_l0"]) for gate in ("ih", "hh")),
            self.add("Concat", biases, axis=1),
            "",
            state,
        ]
        # PyTorch applies the reset gate to what the hidden state has become.
        size = gru.hidden_size
        hidden, last = self.add("GRU", inputs, 2, hidden_size=size, linear_before_reset=1)
        squeezed = self.add("Squeeze", [hidden, self.integers(1)])  # of (time, 1, batch, size)
        return self.add("Transpose", [squeezed], perm=[1, 0, 2]), last

    def _gates(self, weight: str, order: Sequence[int]) -> str:
        """The gates of a recurrent layer in another order, as of one direction."""
        gates = self.add("Split", [weight], len(order), axis=0)
        joined = self.add("Concat", [gates[i] for i in order], axis=0)
        return self.add("Unsqueeze", [joined, self.integers(0)])

    def model(
        self, inputs: dict[str, list], outputs: dict[str, tuple[str, list]]
    ) -> onnx.ModelProto:
        for name, (value, _) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [name]))
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
            [
                helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
                for n, (_, s) in outputs.items()
            ],
            list(self.weights.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model


def graph_files(model: nn.Module, graphs: Mapping[str, onnx.ModelProto]) -> dict[str, bytes]:
    """The files of a bundle: a model's weights, and graphs by their names, which refer to them.

    The weights have to be rounded already (`timbrel.bundles.weights.round_to_half`).
    """
    weights = packed_weights(model)
    files = {name: _without_weights(graph, weights, WEIGHTS_FILE) for name, graph in graphs.items()}
    return files | {WEIGHTS_FILE: weights}


def _without_weights(model: onnx.ModelProto, weights: bytes, file: str) -> bytes:
    """Serialise a graph that refers to the weights of a safetensors file.

    Parameters
    ----------
    model
        The graph; its own copies of the weights are given up.
    weights
        The content of the file.
    file
        Its name, in the folder where the graph will lie.
    """
    header_length = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + header_length])
    for tensor in model.graph.initializer:
        if tensor.name in header:
            start, stop = header[tensor.name]["data_offsets"]
            external_data_helper.set_external_data(
                tensor, file, offset=8 + header_length + start, length=stop - start
            )
            tensor.ClearField("raw_data")
    return model.SerializeToString()

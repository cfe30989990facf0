"""The parallel student as an ONNX graph that streams.

A step takes some frames of mel, with those around them that a WaveNet's samples mix, and the shaped
noise of these frames, and gives their audio. Each flow has two states, inputs and outputs of the
graph: `past_i`, the last inputs of its layers, one after the other along the time, and `last_i`,
the last sample that it has read.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import onnx
from torch import Tensor, nn

from timbrel.bundles.graph import Graph
from timbrel.vocoder.mel_scale import N_AROUND
from timbrel.vocoder.student import LOG_SCALE_LIMIT, Student
from timbrel.vocoder.wavenet import WaveNet, WaveNetLayer

_END = np.iinfo(np.int64).max


def streaming_graph(model: Student) -> onnx.ModelProto:
    """The network as a step of a stream; `StudentStream` says what goes in and out."""
    config, graph = model.config, _Streaming(model)
    level = graph.log_level()
    x = graph.add("Mul", ["shaped", graph.add("Exp", [graph.add("Neg", [level])])])
    states: dict[str, tuple[str, list]] = {}
    for i, flow in enumerate(model.flows):
        assert isinstance(flow, WaveNet)
        x, past, last = graph.flow(flow, x, f"past_{i}", f"last_{i}")
        n_past, size = sum(flow.config.dilations), flow.config.residual_size
        states[f"past_{i}"] = past, ["tracks", n_past, size]
        states[f"last_{i}"] = last, ["tracks", 1]
    audio = graph.add("Mul", [x, graph.add("Exp", [level])])
    inputs: dict[str, list] = {
        "mel": ["tracks", "mel_frames", config.n_mels],
        "shaped": ["tracks", "samples"],
    }
    inputs |= {name: shape for name, (_, shape) in states.items()}
    outputs = {"audio": (audio, ["tracks", "samples"])}
    outputs |= {f"{name}_out": state for name, state in states.items()}
    return graph.model(inputs, outputs)


class _Streaming(Graph):
    """Parts of the graph, in (track, time, channel)."""

    def __init__(self, model: Student) -> None:
        super().__init__("student", model)
        self._model = model
        mel_frames = self.add("Shape", ["mel"], start=1, end=2)
        self._n_frames = self.add("Sub", [mel_frames, self.integers(N_AROUND - 1)])
        self._n_samples = self.add("Shape", ["shaped"], start=1, end=2)

    def log_level(self) -> str:
        """As `Student.log_level`."""
        config = self._model.mel
        half = self.constant(-config.log_floor / 2)
        natural = self.add("Mul", [self.add("Sub", ["mel", self.constant(1.0)]), half])
        squares = self.add("Exp", [self.add("Mul", [natural, self.constant(2.0)])])
        powers = self.constant(self._model.powers.numpy()[:, None])
        level = self.add("Log", [self.add("MatMul", [squares, powers])])
        level = self.add("Mul", [level, self.constant(0.5)])  # (tracks, mel_frames, 1)
        before, after = (self._shifted(level, i) for i in (1, 2))
        hop = self._model.config.hop_length
        share = self.constant(np.arange(hop) / hop)
        grown = self.add("Mul", [self.add("Sub", [after, before]), share])
        return self.add("Reshape", [self.add("Add", [before, grown]), self.integers(0, -1)])

    def flow(self, flow: WaveNet, noise: str, past: str, last: str) -> tuple[str, str, str]:
        """What a flow makes of noise (tracks, samples); gives its new states as well."""
        dilations = flow.config.dilations
        before = self.add("Concat", [last, noise], axis=1)
        given = self.add("Unsqueeze", [self.slice(before, 0, -1, 1), self.integers(2)])
        x = self.dense(cast(nn.Linear, flow.input.dense), given)
        kernel = self.constant(flow.interpolation().detach().numpy().T)  # (hop, N_AROUND)
        pasts = self.add("Split", [past, self.integers(*dilations)], len(dilations), axis=1)
        pasts = [pasts] if isinstance(pasts, str) else pasts
        skip, kept = "", []
        for layer, old in zip(flow.layers, pasts, strict=True):
            assert isinstance(layer, WaveNetLayer)
            both = self.add("Concat", [old, x], axis=1)
            kept.append(self.slice(both, -layer.dilation, _END, 1))
            z = self._gated(layer, both, x, kernel)
            more = self.add("MatMul", [z, self._turned(layer.skip.weight)])
            if layer.skip.bias is not None:
                more = self.add("Add", [more, self.weight(layer.skip.bias)])
            skip = self.add("Add", [skip, more]) if skip else more
            if layer.residual is not None:
                x = self.add("Add", [x, self.dense(layer.residual, z)])
        hidden = self.add("Relu", [self.dense(flow.hidden, self.add("Relu", [skip]))])
        parts = self.add("Split", [self.dense(flow.last, hidden)], 2, axis=-1)
        mean, log_scale = (self.add("Squeeze", [part, self.integers(2)]) for part in parts)
        scaled = self.add("Mul", [noise, self.add("Exp", [self._limited(log_scale)])])
        audio = self.add("Add", [scaled, mean])
        return audio, self.add("Concat", kept, axis=1), self.slice(before, -1, _END, 1)

    def _gated(self, layer: WaveNetLayer, both: str, x: str, kernel: str) -> str:
        older = self.slice(both, 0, self._n_samples, 1)
        # One product of both taps is faster than two.
        taps = [self._turned(tap.weight) for tap in layer.taps]
        weights = self.add("Concat", taps, axis=0)
        gates = self.add("MatMul", [self.add("Concat", [older, x], axis=2), weights])
        gates = self.add("Add", [gates, self._interpolated(layer, kernel)])
        tanh, sigmoid = self.add("Split", [gates], 2, axis=-1)
        return self.add("Mul", [self.add("Tanh", [tanh]), self.add("Sigmoid", [sigmoid])])

    def _interpolated(self, layer: WaveNetLayer, kernel: str) -> str:
        """The condition of a layer at each sample: (tracks, samples, 2 · residual_size)."""
        frames = self.dense(layer.condition, "mel")
        axis = self.integers(2)
        shifted = [self.add("Unsqueeze", [self._shifted(frames, i), axis]) for i in range(N_AROUND)]
        around = self.add("Concat", shifted, axis=2)  # (tracks, frames, N_AROUND, size)
        samples = self.add("MatMul", [kernel, around])
        size = self.integers(0, -1, 2 * self._model.config.residual_size)
        return self.add("Reshape", [samples, size])

    def _shifted(self, frames: str, i: int) -> str:
        """The step's frames of (tracks, mel_frames, …), `i` frames later than the first ones."""
        return self.slice(frames, i, self.add("Add", [self._n_frames, self.integers(i)]), 1)

    def _limited(self, log_scale: str) -> str:
        limit = self.constant(LOG_SCALE_LIMIT)
        bounded = self.add("Tanh", [self.add("Div", [log_scale, limit])])
        return self.add("Mul", [bounded, limit])

    def _turned(self, weight: Tensor | nn.Module) -> str:
        return self.add("Transpose", [self.weight(cast(Tensor, weight))], perm=[1, 0])

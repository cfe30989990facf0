"""Codes → audio, one sample after another: the decoder with queues of past values, in NumPy.

Each layer keeps the values that its older taps still need, so that a sample costs one step of each
layer (Le Paine et al., "Fast Wavenet Generation Algorithm", 2016). Any number of streams run side
by side and share the weights; they can be interrupted and continued between any two frames.

`Decoder` is the interface that the rest of Timbrel uses; a faster engine has the same two methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from timbrel.engine.companding import HALF, N_LEVELS, expand
from timbrel.errors import InputError


class DecoderStream(Protocol):
    """Sounds on their way: their past, and where each is."""

    def process(self, codes: np.ndarray) -> np.ndarray:
        """Sample the next frames.

        Parameters
        ----------
        codes : ndarray of float32, shape (streams, frames, code_size)

        Returns
        -------
        ndarray of float32, shape (streams, frames · hop_length)
        """


class Decoder(Protocol):
    """A decoder with its weights."""

    def stream(
        self, numbers: Sequence[int], *, seed: int = 0, temperature: float = 1.0
    ) -> DecoderStream:
        """Begin some sounds.

        Parameters
        ----------
        numbers
            One for each sound. With the seed it decides every draw, however the sounds are grouped
            and their codes are cut.
        seed
            A number ≥ 0.
        temperature
            Divides the logits; 0 always takes the likeliest level.
        """


def check_codes(codes: np.ndarray, n_streams: int, code_size: int) -> None:
    """Refuse codes that are not (n_streams, frames, code_size), or not finite."""
    if codes.ndim != 3 or (codes.shape[0], codes.shape[2]) != (n_streams, code_size):
        raise InputError(
            f"the decoder wants codes of shape ({n_streams}, frames, {code_size}), "
            f"not {codes.shape}"
        )
    if not np.isfinite(codes).all():
        raise InputError("the codes hold numbers that are not finite")


def dense_layer(weights: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """What a layer multiplies inputs with, (inputs, outputs), and its bias."""
    weight = np.ascontiguousarray(weights[f"{name}.weight"].T, np.float32)
    return weight, weights[f"{name}.bias"].astype(np.float32)


class Conditioning:
    """What the decoder is given for a code: it, and how near it is to each prototype, if any.

    Parameters
    ----------
    weights
        As `timbrel.notes.autoencoder.Decoder` names them.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self._prototypes = None
        self.n_prototypes = 0
        if "prototypes.weight" in weights:
            self._prototypes = dense_layer(weights, "prototypes")
            self.n_prototypes = len(self._prototypes[1])

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """From (streams, frames, code_size) to (streams, frames, condition_size)."""
        if self._prototypes is None:
            return codes
        weight, bias = self._prototypes
        nearness = np.broadcast_to(bias, (*codes.shape[:2], len(bias)))
        for number, row in enumerate(weight):
            # One order of sums, however the codes are grouped and cut.
            nearness = nearness + codes[..., number, None] * row
        nearness = np.exp(nearness - nearness.max(axis=-1, keepdims=True))
        nearness /= nearness.sum(axis=-1, keepdims=True)
        return np.concatenate([codes, nearness], axis=-1)


class QueueDecoder:
    """The decoder in NumPy.

    Parameters
    ----------
    weights
        As `timbrel.notes.autoencoder.Decoder` names them.
    dilations
        Of the layers.
    hop_length
        Samples that share a code.
    """

    def __init__(
        self, weights: Mapping[str, np.ndarray], *, dilations: list[int], hop_length: int
    ) -> None:
        self.dilations, self.hop_length = dilations, hop_length

        dense = partial(dense_layer, weights)
        self.conditioning = Conditioning(weights)
        self.input = dense("input.dense")
        start, skip_bias = dense("skip_start")
        self.skip_start = start
        self.layers = []
        self.conditions = []
        for i in range(len(dilations)):
            taps, bias = dense(f"layers.{i}.dilated.dense")
            condition, condition_bias = dense(f"layers.{i}.condition")
            # σ(x) = ½ + ½ tanh(x / 2): with its half scaled, one tanh serves both halves.
            scale = np.repeat(np.array([0.5, 1.0], np.float32), taps.shape[1] // 2)
            self.conditions.append((condition * scale, (bias + condition_bias) * scale))
            residual, residual_bias = dense(f"layers.{i}.residual")
            skip, bias = dense(f"layers.{i}.skip")
            skip_bias = skip_bias + bias  # one sum of biases serves all layers
            both = np.concatenate([residual, skip], axis=1)
            self.layers.append((taps * scale, both, residual_bias))
        self.skip_bias = skip_bias
        self.hidden, hidden_bias = dense("hidden")
        condition, condition_bias = dense("hidden_condition")
        self.hidden_condition = (condition, hidden_bias + condition_bias)
        self.logits = dense("logits")
        self.code_size = condition.shape[0] - self.conditioning.n_prototypes

    def stream(
        self, numbers: Sequence[int], *, seed: int = 0, temperature: float = 1.0
    ) -> QueueStream:
        """Begin some sounds; see `Decoder`."""
        return QueueStream(self, numbers, seed=seed, temperature=temperature)


class QueueStream:
    """The state of a `QueueDecoder` on its way through some sounds."""

    def __init__(
        self, decoder: QueueDecoder, numbers: Sequence[int], *, seed: int, temperature: float
    ) -> None:
        n_streams = len(numbers)
        if temperature < 0:
            raise InputError(f"a temperature of {temperature} is below 0")
        self._decoder, self._temperature = decoder, temperature
        size = decoder.input[0].shape[1]
        # Of each layer the inputs of the last 2 · dilation samples, in a ring.
        self._rings = [np.zeros((2 * d, n_streams, size), np.float32) for d in decoder.dilations]
        self._recent = np.zeros((n_streams, 3), np.float32)  # samples that the input layer sees
        self._time = 0
        self._random = [
            np.random.Generator(np.random.Philox(key=[seed, number])) for number in numbers
        ]

    def process(self, codes: np.ndarray) -> np.ndarray:
        """Sample the next frames; see `DecoderStream`."""
        check_codes(codes, len(self._recent), self._decoder.code_size)
        n_streams, n_frames, _ = codes.shape
        hop = self._decoder.hop_length
        levels = np.zeros((n_streams, n_frames * hop), np.int64)
        for frame in range(n_frames):
            conditions = self._conditions(codes[:, frame])
            uniform = np.stack([random.random(hop) for random in self._random])
            for i in range(hop):
                drawn = self._draw(self._step(conditions), uniform[:, i])
                self._append(drawn)
                levels[:, frame * hop + i] = drawn
        return expand(levels)

    def teacher_forced(self, levels: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Logits (streams, samples, 256) along given levels (streams, samples)."""
        check_codes(codes, len(self._recent), self._decoder.code_size)
        n_frames = codes.shape[1]
        hop = self._decoder.hop_length
        logits = np.zeros((*levels.shape, N_LEVELS), np.float32)
        for frame in range(n_frames):
            conditions = self._conditions(codes[:, frame])
            for t in range(frame * hop, (frame + 1) * hop):
                logits[:, t] = self._step(conditions)
                self._append(levels[:, t])
        return logits

    def _conditions(self, codes: np.ndarray) -> list[np.ndarray]:
        """What a frame's codes (streams, code_size) add in each layer, and in the hidden one."""
        decoder = self._decoder
        given = decoder.conditioning(codes[:, None])[:, 0]
        return [given @ w + b for w, b in (*decoder.conditions, decoder.hidden_condition)]

    def _step(self, conditions: list[np.ndarray]) -> np.ndarray:
        """Logits of the next sample; every layer's ring moves on."""
        decoder, time = self._decoder, self._time
        weight, bias = decoder.input
        x = self._recent @ weight + bias
        size = x.shape[1]
        skip = x @ decoder.skip_start + decoder.skip_bias
        for i, dilation in enumerate(decoder.dilations):
            taps, both, residual_bias = decoder.layers[i]
            ring = self._rings[i]
            oldest = ring[time % (2 * dilation)]
            older = ring[(time + dilation) % (2 * dilation)]
            gates = np.concatenate([oldest, older, x], axis=1) @ taps
            gates += conditions[i]
            np.tanh(gates, out=gates)
            oldest[:] = x
            z = (0.5 + 0.5 * gates[:, :size]) * gates[:, size:]
            out = z @ both
            x = x + out[:, :size] + residual_bias
            skip += out[:, size:]
        self._time += 1
        hidden = np.maximum(skip, 0) @ decoder.hidden + conditions[-1]
        weight, bias = decoder.logits
        return np.maximum(hidden, 0) @ weight + bias

    def _append(self, levels: np.ndarray) -> None:
        self._recent[:, :-1] = self._recent[:, 1:]
        self._recent[:, -1] = levels / np.float32(HALF)

    def _draw(self, logits: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Levels (streams,) by inverting each stream's distribution."""
        if self._temperature == 0:
            return logits.argmax(axis=1) - HALF
        scaled = logits.astype(np.float64) / self._temperature
        cumulative = np.exp(scaled - scaled.max(axis=1, keepdims=True)).cumsum(axis=1)
        # The draw is scaled by the last sum, not by one: the search cannot run off the end.
        drawn = (cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(axis=1)
        return np.minimum(drawn, N_LEVELS - 1) - HALF

"""The parallel vocoder → model bundle: one ONNX graph that streams, for Python and the browser.

A step takes some frames of mel and returns as many hops of audio, `latency_frames` later. The
states that it needs are inputs and outputs:

- `history`, the last inputs of each convolution;
- `mel_tail`, the mels whose spectra have not been computed yet;
- `audio_tail`, the overlap to which later spectra will be added;
- and with the score `pulse_tail`, the last pulses, and `mask_tail`, the spectra of pulses whose
  masks are not known yet.

Transforms are matrix products, so the graph contains everything between mel and sound. The matrices
are computed from integers when the graph is loaded, and are not stored.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from timbrel.bundles.bundle import write_bundle
from timbrel.bundles.graph import Graph, without_weights
from timbrel.bundles.weights import (
    WEIGHTS_FILE,
    bundle_config,
    packed_weights,
    round_to_half,
    training_rows,
)
from timbrel.constants import N_PITCHES
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import hann_window
from timbrel.vocoder.excitation import A4_HZ, ENVELOPES, SMALLEST_SINE
from timbrel.vocoder.mel_scale import spread_of
from timbrel.vocoder.parallel import (
    A4_KEY,
    FAINT,
    FAINT_SHARE,
    LARGEST_LOG_MAGNITUDE,
    QUIETEST_KEY,
    SMALLEST_SQUARE,
    Block,
    ParallelVocoder,
    TimeConvolution,
)
from timbrel.vocoder.parallel_stream import GRAPH_FILE


def write_parallel_bundle(
    model: ParallelVocoder,
    output: Path,
    *,
    mel: MelConfig,
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
    about
        What else `timbrel.bundles.weights.bundle_config` wants to know.

    Raises
    ------
    OutputError
        If the folder exists, or its parent does not.
    """
    round_to_half(model)
    config = bundle_config(model, "parallel", mel=asdict(mel), **about)
    weights = packed_weights(model)
    graph = without_weights(streaming_graph(model, mel), weights, WEIGHTS_FILE)
    files = {WEIGHTS_FILE: weights, GRAPH_FILE: graph}
    write_bundle(output, config, files, card=_card(config))


def streaming_graph(model: ParallelVocoder, mel: MelConfig) -> onnx.ModelProto:
    """The network as a step of a stream; `ParallelStream` says what goes in and out."""
    config, graph = model.config, _Streaming(model)
    knows_score = config.conditioning == "excitation"
    # As `timbrel.vocoder.mel_scale.normalised`:
    scaled = graph.add("Div", ["mel", graph.constant(-mel.log_floor / 2)])
    x = graph.dense(model.mel, graph.add("Add", [scaled, graph.constant(1.0)]))
    spread = graph.constant(spread_of(mel, config.n_fft))
    states: dict[str, tuple[str, list]] = {}
    real = imaginary = ""
    if knows_score:
        assert model.score is not None
        real, imaginary, states["pulse_tail"] = graph.spectrum_of_pulses()
        real, imaginary = graph.whitened(real, imaginary, spread)
        x = graph.add("Add", [x, graph.dense(model.score, graph.keys())])
    x = graph.norm(model.first_norm, graph.convolved(model.first, x)[0])
    for block in model.blocks:
        assert isinstance(block, Block)
        x = graph.block(block, x)
    head = graph.dense(model.head, graph.norm(model.last_norm, x))
    log_noise, *parts = graph.add("Split", [head], model.n_parts, axis=-1)
    noise_phase = graph.add("Mul", ["noise", graph.constant(2 * np.pi)])
    envelope, states["mel_tail"] = graph.delayed_envelope(spread)
    noise = graph.exponential(log_noise, envelope)
    total = [
        graph.add("Mul", [noise, graph.add(function, [noise_phase])]) for function in ("Cos", "Sin")
    ]
    masked = [graph.polar(envelope, *parts[3 * i : 3 * i + 3]) for i in range(model.n_sources)]
    if knows_score:
        spectra, states["mask_tail"] = graph.delayed_spectra(real, imaginary)
        masked = [graph.product(*pair) for pair in zip(masked, spectra, strict=True)]
    for part in masked:
        total = [graph.add("Add", pair) for pair in zip(total, part, strict=True)]
    audio, states["audio_tail"] = graph.audio(*total)
    states["history"] = graph.history()
    return graph.finished(audio, states)


class _Streaming(Graph):
    """The parts of the graph."""

    def __init__(self, model: ParallelVocoder) -> None:
        super().__init__("parallel vocoder", model)
        self.config = model.config
        self._histories: list[str] = []
        self._n_frames = self.add("Shape", ["mel"], start=1, end=2)

    def convolved(self, layer: TimeConvolution, x: str) -> tuple[str, str]:
        """A convolution of what came before with x, and x as late as its output is."""
        c = self.config
        index, past = len(self._histories), c.kernel_size - 1
        history = self.add(
            "Squeeze", [self.slice("history", index, index + 1, 1), self.integers(1)]
        )
        both = self.add("Concat", [history, x], axis=1)  # (tracks, past + frames, width)
        self._histories.append(self.slice(both, -past, np.iinfo(np.int64).max, 1))
        delay = past - layer.lookahead
        delayed = self.slice(both, delay, delay - past, 1) if layer.lookahead else x
        turned = self.add("Transpose", [both], perm=[0, 2, 1])
        convolution = layer.convolution
        weights = [self.weight(convolution.weight), self.weight(convolution.bias)]
        y = self.add("Conv", [turned, *weights], group=convolution.groups)
        return self.add("Transpose", [y], perm=[0, 2, 1]), delayed

    def block(self, block: Block, x: str) -> str:
        mixed, delayed = self.convolved(block.depthwise, x)
        hidden = self.gelu(self.dense(block.up, self.norm(block.norm, mixed)))
        change = self.add("Mul", [self.dense(block.down, hidden), self.weight(block.scale)])
        return self.add("Add", [delayed, change])

    def history(self) -> tuple[str, list]:
        parts = [self.add("Unsqueeze", [part, self.integers(1)]) for part in self._histories]
        c = self.config
        shape = ["tracks", c.n_blocks + 1, c.kernel_size - 1, c.width]
        return self.add("Concat", parts, axis=1), shape

    def delayed_envelope(self, spread: str) -> tuple[str, tuple[str, list]]:
        """The mels of the frames that the head speaks of, drawn out over the bins."""
        c = self.config
        both = self.add("Concat", ["mel_tail", "mel"], axis=1)
        now, tail = self.divided(both, 1)
        envelope = self.add("MatMul", [now, spread])
        return envelope, (tail, ["tracks", c.lookahead, c.n_mels])

    def divided(self, value: str, axis: int) -> tuple[str, str]:
        """The step's first frames of an axis, and the rest."""
        end = self.integers(np.iinfo(np.int64).max)
        now = self.slice(value, self.integers(0), self._n_frames, axis)
        return now, self.slice(value, self._n_frames, end, axis)

    def exponential(self, log_magnitude: str, envelope: str) -> str:
        total = self.add("Add", [log_magnitude, envelope])
        return self.add("Exp", [self.add("Min", [total, self.constant(LARGEST_LOG_MAGNITUDE)])])

    def power(self, real: str, imaginary: str) -> str:
        return self.add("Add", [self.add("Mul", [part, part]) for part in (real, imaginary)])

    def magnitude(self, real: str, imaginary: str, more: float = 0.0) -> str:
        total = self.power(real, imaginary)
        if more:
            total = self.add("Add", [total, self.constant(more)])
        return self.add("Sqrt", [total])

    def polar(self, envelope: str, log_magnitude: str, cosine: str, sine: str) -> tuple[str, str]:
        length = self.magnitude(cosine, sine, SMALLEST_SQUARE)
        scale = self.add("Div", [self.exponential(log_magnitude, envelope), length])
        return self.add("Mul", [scale, cosine]), self.add("Mul", [scale, sine])

    def product(self, x: tuple[str, str], y: tuple[str, str]) -> tuple[str, str]:
        """Product of complex numbers."""
        (a, b), (c, d) = x, y
        products = [self.add("Mul", pair) for pair in ((a, c), (b, d), (a, d), (b, c))]
        return self.add("Sub", products[:2]), self.add("Add", products[2:])

    def spectrum_of_pulses(self) -> tuple[str, str, tuple[str, list]]:
        """Spectra of the score at the mel's frames; its pulses reach half a window further."""
        c = self.config
        overlap = c.n_fft // c.hop_length
        both = self.add("Concat", ["pulse_tail", self.pulses()], axis=2)
        tail = self.slice(both, -(c.n_fft - c.hop_length), np.iinfo(np.int64).max, 2)
        hops = self.add("Reshape", [both, self.integers(0, 0, -1, c.hop_length)])
        shifted = []
        for i in range(overlap):
            stop = self.add("Add", [self._n_frames, self.integers(i)])
            shifted.append(self.slice(hops, self.integers(i), stop, 2))
        frames = self.add("Concat", shifted, axis=3)  # (tracks, envelopes, frames, n_fft)
        window = self.constant(hann_window(c.n_fft)[:, None])
        real, imaginary = (
            self.add("MatMul", [frames, self.add("Mul", [self.harmonic(function), window])])
            for function in ("Cos", "Sin")
        )
        shape = ["tracks", len(ENVELOPES), c.n_fft - c.hop_length]
        return real, self.add("Neg", [imaginary]), (tail, shape)

    def whitened(self, real: str, imaginary: str, spread: str) -> tuple[str, str]:
        """As loud in every band, as `ParallelVocoder.whitened`."""
        power = self.power(real, imaginary)
        # As `timbrel.vocoder.mel_scale.smoothing_of`, made when the graph loads.
        total = self.add("ReduceSum", [spread, self.integers(1)], keepdims=1)
        mean = self.add("Div", [spread, self.add("Max", [total, self.constant(1e-9)])])
        banded = self.add("MatMul", [power, self.add("Transpose", [mean], perm=[1, 0])])
        whole = self.add("ReduceMean", [power], axes=[-1], keepdims=1)
        faint = self.add("Mul", [whole, self.constant(FAINT_SHARE)])
        faint = self.add("Add", [faint, self.constant(FAINT)])
        level = self.add("Add", [self.add("MatMul", [banded, spread]), faint])
        scale = self.add("Reciprocal", [self.add("Sqrt", [level])])
        return self.add("Mul", [real, scale]), self.add("Mul", [imaginary, scale])

    def delayed_spectra(
        self, real: str, imaginary: str
    ) -> tuple[list[tuple[str, str]], tuple[str, list]]:
        """The pulses' spectra at the frames whose masks are known, the lookahead ago."""
        c = self.config
        both = self.add("Concat", [real, imaginary], axis=3)
        both = self.add("Concat", ["mask_tail", both], axis=2)
        now, tail = self.divided(both, 2)
        spectra = []
        for i in range(len(ENVELOPES)):
            one = self.add("Squeeze", [self.slice(now, i, i + 1, 1), self.integers(1)])
            spectra.append(tuple(self.add("Split", [one], 2, axis=-1)))
        return spectra, (tail, ["tracks", len(ENVELOPES), c.lookahead, 2 * c.n_bins])

    def audio(self, real: str, imaginary: str) -> tuple[str, tuple[str, list]]:
        """Inverse transform and overlap-add, on the tail of what came before."""
        c = self.config
        overlap = c.n_fft // c.hop_length
        window = hann_window(c.n_fft)
        # Each bin but the first and the last stands for itself and its mirror image. The windows'
        # squares add up to the same for all samples.
        share = np.full(c.n_bins, 2.0)
        share[[0, -1]] = 1.0
        weight = window / c.n_fft / np.square(window)[:: c.hop_length].sum()
        parts = []
        for part, function, sign in ((real, "Cos", 1), (imaginary, "Sin", -1)):
            turned = self.add("Transpose", [self.harmonic(function)], perm=[1, 0])
            matrix = self.add("Mul", [turned, self.constant(sign * share[:, None])])
            parts.append(self.add("MatMul", [part, matrix]))
        frames = self.add("Mul", [self.add("Add", parts), self.constant(weight)])
        total = self.add("Concat", ["audio_tail", self.silence()], axis=1)
        hops = self.add("Reshape", [total, self.integers(0, -1, c.hop_length)])
        pieces = self.add("Split", [frames], overlap, axis=-1)
        for i, piece in enumerate(pieces):
            # Frame k's i-th piece falls on hop k + i.
            behind = overlap - 1 - i
            padded = self.add("Pad", [piece, self.integers(0, i, 0, 0, behind, 0)])
            hops = self.add("Add", [hops, padded])
        finished, rest = self.divided(hops, 1)
        flat = self.integers(0, -1)
        tail = self.add("Reshape", [rest, flat]), ["tracks", c.n_fft - c.hop_length]
        return self.add("Reshape", [finished, flat]), tail

    def silence(self) -> str:
        """Zeros (tracks, frames · hop_length)."""
        n_tracks = self.add("Shape", ["mel"], start=0, end=1)
        n_samples = self.add("Mul", [self._n_frames, self.integers(self.config.hop_length)])
        shape = self.add("Concat", [n_tracks, n_samples], axis=0)
        return self.add("Expand", [self.constant([0.0]), shape])

    def harmonic(self, function: str) -> str:
        """The matrix (n_fft, n_bins) of cos or sin 2π n k / n_fft, made when the graph loads."""
        c = self.config
        ranges = [
            self.add("Range", [self.constant(v, np.int64) for v in (0, n, 1)])
            for n in (c.n_fft, c.n_bins)
        ]
        columns = self.add("Unsqueeze", [ranges[0], self.integers(1)])
        turns = self.add("Mod", [self.add("Mul", [columns, ranges[1]]), self.integers(c.n_fft)])
        cycles = self.add("Cast", [turns], to=TensorProto.FLOAT)
        return self.add(function, [self.add("Mul", [cycles, self.constant(2 * np.pi / c.n_fft)])])

    def pulses(self) -> str:
        """The excitation, as `timbrel.vocoder.excitation.pulses`: (tracks, envelopes, samples)."""
        last = self.integers(-1)
        phase, step, harmonics, first = (
            self.add("Unsqueeze", [name, last]) for name in ("phase", "step", "harmonics", "first")
        )
        samples = self.constant(np.arange(self.config.hop_length))
        cycles = self.add("Add", [phase, self.add("Mul", [step, samples])])
        rest = self.add("Sub", [cycles, self.add("Round", [cycles])])
        half = self.add("Mul", [rest, self.constant(np.pi)])
        sine = self.add("Sin", [half])
        limit = self.add("Less", [self.add("Abs", [sine]), self.constant(SMALLEST_SINE)])
        two, one = self.constant(2.0), self.constant(1.0)
        order = self.add("Add", [self.add("Mul", [harmonics, two]), one])
        above = self.add("Sin", [self.add("Mul", [order, half])])
        below = self.add("Where", [limit, one, self.add("Mul", [sine, two])])
        ratio = self.add("Sub", [self.add("Div", [above, below]), self.constant(0.5)])
        train = self.add("Where", [limit, harmonics, ratio])
        amplitude = self.add("Sqrt", [self.add("Div", [two, harmonics])])
        begun = self.add("GreaterOrEqual", [samples, first])
        sounding = self.add("Where", [begun, amplitude, self.constant(0.0)])
        notes = self.add("Mul", [train, sounding])  # (tracks, notes, frames, hop_length)
        notes = self.add("Transpose", [notes], perm=[0, 2, 1, 3])
        gain = self.add("Transpose", ["gain"], perm=[0, 2, 3, 1])  # (…, envelopes, notes)
        total = self.add("MatMul", [gain, notes])  # (tracks, frames, envelopes, hop_length)
        total = self.add("Transpose", [total], perm=[0, 2, 1, 3])
        return self.add("Reshape", [total, self.integers(0, 0, -1)])

    def keys(self) -> str:
        """What the network reads of the notes: (tracks, frames, envelopes · 88)."""
        per_sample = self.constant(self.config.sample_rate / A4_HZ)
        a4s = self.add("Mul", [self.add("Squeeze", ["step", self.integers(2)]), per_sample])
        log = self.add("Log", [self.add("Max", [a4s, self.constant(2.0**-6)])])
        semitones = self.add("Round", [self.add("Mul", [log, self.constant(12 / np.log(2))])])
        key = self.add("Add", [semitones, self.constant(A4_KEY)])
        key = self.add("Cast", [key], to=TensorProto.INT64)
        levels = self.constant([0.0, 1.0])
        of_key = self.add("OneHot", [key, self.integers(N_PITCHES), levels], axis=-1)
        of_key = self.add("Unsqueeze", [of_key, self.integers(1)])  # (tracks, 1, notes, 88)
        gain = self.add("Transpose", ["gain"], perm=[0, 2, 3, 1])
        total = self.add("MatMul", [gain, of_key])  # (tracks, frames, envelopes, 88)
        relative = self.add("Div", [total, self.constant(QUIETEST_KEY)])
        feature = self.add("Log", [self.add("Add", [relative, self.constant(1.0)])])
        return self.add("Reshape", [feature, self.integers(0, 0, -1)])

    def finished(self, audio: str, states: dict[str, tuple[str, list]]) -> onnx.ModelProto:
        c = self.config
        inputs: dict[str, list] = {
            "mel": ["tracks", "frames", c.n_mels],
            "noise": ["tracks", "frames", c.n_bins],
        }
        if c.conditioning == "excitation":
            inputs |= {
                "phase": ["tracks", "notes", "frames"],
                "step": ["tracks", "notes", 1],
                "harmonics": ["tracks", "notes", 1],
                "gain": ["tracks", "notes", "frames", len(ENVELOPES)],
                "first": ["tracks", "notes", "frames"],
            }
        inputs |= {name: shape for name, (_, shape) in states.items()}
        outputs = {"audio": (audio, ["tracks", "samples"])}
        outputs |= {f"{name}_out": state for name, state in states.items()}
        return self.model(inputs, outputs)


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

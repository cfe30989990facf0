"""The parallel vocoder as ONNX graphs that stream, for Python and the browser.

A step takes some frames of mel and returns as many hops of audio, `latency_frames` later. The
states that it needs are inputs and outputs:

- `history`, the last inputs of each convolution;
- `mel_tail`, the mels whose spectra have not been computed yet;
- `audio_tail`, the overlap to which later spectra will be added;
- and with the score `pulse_tail`, the last pulses, and `mask_tail`, the spectra of pulses whose
  masks are not known yet.

Kits have a graph of their own, whose sources are computed outside the graph, and which has a second
overlap, `attack_tail`, because the attacks pass through a gate.

Transforms are matrix products (`timbrel.vocoder.fourier_graph`), so the graph contains everything
between mel and sound.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto

from timbrel.constants import A4_HZ, A4_PITCH
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import hann_window
from timbrel.score.performance_roll import N_KEYS
from timbrel.vocoder.contrast import Contrast
from timbrel.vocoder.excitation import ENVELOPES, SMALLEST_HALF_ANGLE
from timbrel.vocoder.fourier_graph import FourierGraph
from timbrel.vocoder.masks import LARGEST_LOG_MAGNITUDE, SMALLEST_SQUARE
from timbrel.vocoder.mel_scale import spread_of
from timbrel.vocoder.parallel import (
    FAINT,
    FAINT_SHARE,
    QUIETEST_KEY,
    SMALLEST_BAND,
    Block,
    ParallelVocoder,
    TimeConvolution,
)
from timbrel.vocoder.strokes import (
    AGES_S,
    ATTACK_NOISE,
    BODY_IMPULSES,
    BODY_NOISE,
    IMPULSE,
    N_SOURCES,
)

_END = np.iinfo(np.int64).max


def streaming_graph(
    model: ParallelVocoder, mel: MelConfig, contrast: Contrast | None = None
) -> onnx.ModelProto:
    """The network as a step of a stream; `ParallelStream` says what goes in and out."""
    config, graph = model.config, _Streaming(model, mel, contrast)
    x = graph.read_mel()
    real = imaginary = ""
    if config.knows_pulses:
        assert model.score is not None
        real, imaginary = graph.spectra_of(graph.pulses(), len(ENVELOPES))
        x = graph.add("Add", [x, graph.dense(model.score, graph.keys())])
    head = graph.dense(model.head, graph.trunk(x))
    log_noise, *parts = graph.add("Split", [head], model.n_parts, axis=-1)
    noise_phase = graph.add("Mul", ["noise", graph.constant(2 * np.pi)])
    envelope = graph.delayed_envelope()
    noise = graph.exponential(log_noise, envelope)
    total = [
        graph.add("Mul", [noise, graph.add(function, [noise_phase])]) for function in ("Cos", "Sin")
    ]
    masked = [graph.polar(envelope, *parts[3 * i : 3 * i + 3]) for i in range(model.n_sources)]
    if config.knows_pulses:
        spectra = graph.delayed_spectra(real, imaginary, len(ENVELOPES))
        masked = [graph.product(*pair) for pair in zip(masked, spectra, strict=True)]
    for part in masked:
        total = [graph.add("Add", pair) for pair in zip(total, part, strict=True)]
    inputs: dict[str, list] = {"noise": ["tracks", "frames", config.n_bins]}
    if config.knows_pulses:
        varying = "frames" if config.plays_kits else 1
        inputs |= {
            "phase": ["tracks", "notes", "frames"],
            "step": ["tracks", "notes", varying],
            "harmonics": ["tracks", "notes", varying],
            "gain": ["tracks", "notes", "frames", len(ENVELOPES)],
            "first": ["tracks", "notes", "frames"],
        }
    audio = graph.audio(total, "audio_tail", lowest_bin=config.lowest_bin)
    return graph.finished(audio, inputs)


def kits_graph(
    model: ParallelVocoder, mel: MelConfig, contrast: Contrast | None = None
) -> onnx.ModelProto:
    """The network for kits as a step of a stream."""
    assert model.strokes is not None
    assert model.kit_head is not None
    graph = _Streaming(model, mel, None if contrast is None else contrast.of_kits)
    real, imaginary = graph.spectra_of("sources", N_SOURCES)
    ages = graph.dense(model.strokes, graph.faded("keys"))
    head = graph.dense(model.kit_head, graph.trunk(graph.add("Add", [graph.read_mel(), ages])))
    log_noise, *parts = graph.add("Split", [head], model.n_parts, axis=-1)
    envelope = graph.delayed_envelope()
    masks = [graph.polar(envelope, *parts[3 * i : 3 * i + 3]) for i in range(model.n_sources)]
    spectra = graph.delayed_spectra(real, imaginary, N_SOURCES)
    loudness = graph.exponential(log_noise, envelope)
    sums = []
    for pair in (
        (graph.product(masks[0], spectra[IMPULSE]), graph.product(masks[1], spectra[ATTACK_NOISE])),
        (
            graph.product(masks[2], spectra[BODY_IMPULSES]),
            tuple(graph.add("Mul", [loudness, part]) for part in spectra[BODY_NOISE]),
        ),
    ):
        sums.append([graph.add("Add", parts) for parts in zip(*pair, strict=True)])
    attack, body = (
        graph.audio(total, tail)
        for total, tail in zip(sums, ("attack_tail", "audio_tail"), strict=True)
    )
    audio = graph.add("Add", [body, graph.add("Mul", [attack, "gate"])])
    inputs: dict[str, list] = {
        "sources": ["tracks", N_SOURCES, "samples"],
        "gate": ["tracks", "samples"],
        "keys": ["tracks", "frames", len(AGES_S) * N_KEYS],
    }
    return graph.finished(audio, inputs)


class _Streaming(FourierGraph):
    """The parts of the graph."""

    def __init__(
        self, model: ParallelVocoder, mel: MelConfig, contrast: Contrast | None = None
    ) -> None:
        super().__init__("parallel vocoder", model, model.config.n_fft)
        self.config = model.config
        self._network, self._mel_config = model, mel
        self._histories: list[str] = []
        self._states: dict[str, tuple[str, list]] = {}
        self._n_frames = self.add("Shape", ["mel"], start=1, end=2)
        self._spread = self.sparse(spread_of(mel, self.config.n_fft))
        self._mel = "mel" if contrast is None else self._widened(contrast)

    def _widened(self, contrast: Contrast) -> str:
        """The mel with its range widened; silence stays what it is."""
        scaled = self.add("Mul", ["mel", self.constant(contrast.factor)])
        moved = self.add("Add", [scaled, self.constant(contrast.offset)])
        return self.add("Max", [moved, self.constant(self._mel_config.log_floor)])

    def read_mel(self) -> str:
        """What the network reads of the mel."""
        # As `timbrel.vocoder.mel_scale.normalised`:
        scaled = self.add("Div", [self._mel, self.constant(-self._mel_config.log_floor / 2)])
        return self.dense(self._network.mel, self.add("Add", [scaled, self.constant(1.0)]))

    def trunk(self, x: str) -> str:
        model = self._network
        x = self.norm(model.first_norm, self.convolved(model.first, x)[0])
        for block in model.blocks:
            assert isinstance(block, Block)
            x = self.block(block, x)
        return self.norm(model.last_norm, x)

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
        # The scale is multiplied into the weights when the graph is loaded.
        turned = self.add("Transpose", [self.weight(block.down.weight)], perm=[1, 0])
        scale = self.weight(block.scale)
        weights, bias = (
            self.add("Mul", [one, scale]) for one in (turned, self.weight(block.down.bias))
        )
        change = self.add("Add", [self.add("MatMul", [hidden, weights]), bias])
        return self.add("Add", [delayed, change])

    def history(self) -> tuple[str, list]:
        parts = [self.add("Unsqueeze", [part, self.integers(1)]) for part in self._histories]
        c = self.config
        shape = ["tracks", c.n_blocks + 1, c.kernel_size - 1, c.width]
        return self.add("Concat", parts, axis=1), shape

    def delayed_envelope(self) -> str:
        """The mels of the frames that the head speaks of, drawn out over the bins."""
        c = self.config
        both = self.add("Concat", ["mel_tail", self._mel], axis=1)
        now, tail = self.divided(both, 1)
        self._states["mel_tail"] = tail, ["tracks", c.lookahead, c.n_mels]
        return self.add("MatMul", [now, self._spread])

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

    def spectra_of(self, sources: str, n_sources: int) -> tuple[str, str]:
        """Whitened spectra of sources at the mel's frames.

        The sources reach half a window further than the mel.
        """
        c = self.config
        overlap = c.n_fft // c.hop_length
        both = self.add("Concat", ["pulse_tail", sources], axis=2)
        tail = self.slice(both, -(c.n_fft - c.hop_length), _END, 2)
        self._states["pulse_tail"] = tail, ["tracks", n_sources, c.n_fft - c.hop_length]
        hops = self.add("Reshape", [both, self.integers(0, 0, -1, c.hop_length)])
        shifted = []
        for i in range(overlap):
            stop = self.add("Add", [self._n_frames, self.integers(i)])
            shifted.append(self.slice(hops, self.integers(i), stop, 2))
        frames = self.add("Concat", shifted, axis=3)  # (tracks, sources, frames, n_fft)
        frames = self.add("Mul", [frames, self.constant(hann_window(c.n_fft))])
        bins = self.integers(c.n_bins)
        shape = self.add("Concat", [self.integers(-1, n_sources), self._n_frames, bins], axis=0)
        return self.whitened(*self.transformed(frames, shape))

    def whitened(self, real: str, imaginary: str) -> tuple[str, str]:
        """As loud in every band, as `ParallelVocoder.whitened`."""
        power = self.power(real, imaginary)
        # As `timbrel.vocoder.parallel.band_means`, made when the graph loads.
        total = self.add("ReduceSum", [self._spread, self.integers(1)], keepdims=1)
        smallest = self.constant(SMALLEST_BAND)
        mean = self.add("Div", [self._spread, self.add("Max", [total, smallest])])
        banded = self.add("MatMul", [power, self.add("Transpose", [mean], perm=[1, 0])])
        whole = self.add("ReduceMean", [power], axes=[-1], keepdims=1)
        faint = self.add("Mul", [whole, self.constant(FAINT_SHARE)])
        faint = self.add("Add", [faint, self.constant(FAINT)])
        level = self.add("Add", [self.add("MatMul", [banded, self._spread]), faint])
        scale = self.add("Reciprocal", [self.add("Sqrt", [level])])
        return self.add("Mul", [real, scale]), self.add("Mul", [imaginary, scale])

    def delayed_spectra(self, real: str, imaginary: str, n_sources: int) -> list[tuple[str, str]]:
        """The sources' spectra at the frames whose masks are known, the lookahead ago."""
        c = self.config
        both = self.add("Concat", [real, imaginary], axis=3)
        both = self.add("Concat", ["mask_tail", both], axis=2)
        now, tail = self.divided(both, 2)
        self._states["mask_tail"] = tail, ["tracks", n_sources, c.lookahead, 2 * c.n_bins]
        spectra = []
        for i in range(n_sources):
            one = self.add("Squeeze", [self.slice(now, i, i + 1, 1), self.integers(1)])
            spectra.append(tuple(self.add("Split", [one], 2, axis=-1)))
        return spectra

    def audio(self, spectrum: Sequence[str], tail_name: str, *, lowest_bin: int = 0) -> str:
        """Inverse transform and overlap-add, on the tail of what came before."""
        c = self.config
        overlap = c.n_fft // c.hop_length
        window = hann_window(c.n_fft)
        # The windows' squares add up to the same for all samples.
        weight = window / c.n_fft / np.square(window)[:: c.hop_length].sum()
        shape = [self.integers(-1), self._n_frames, self.integers(c.n_fft)]
        real, imaginary = spectrum
        frames = self.transformed_back(
            real, imaginary, self.add("Concat", shape, axis=0), lowest_bin=lowest_bin
        )
        frames = self.add("Mul", [frames, self.constant(weight)])
        total = self.add("Concat", [tail_name, self.silence()], axis=1)
        hops = self.add("Reshape", [total, self.integers(0, -1, c.hop_length)])
        pieces = self.add("Split", [frames], overlap, axis=-1)
        for i, piece in enumerate(pieces):
            # Frame k's i-th piece falls on hop k + i.
            behind = overlap - 1 - i
            padded = self.add("Pad", [piece, self.integers(0, i, 0, 0, behind, 0)])
            hops = self.add("Add", [hops, padded])
        finished, rest = self.divided(hops, 1)
        flat = self.integers(0, -1)
        tail = self.add("Reshape", [rest, flat])
        self._states[tail_name] = tail, ["tracks", c.n_fft - c.hop_length]
        return self.add("Reshape", [finished, flat])

    def silence(self) -> str:
        """Zeros (tracks, frames · hop_length)."""
        n_tracks = self.add("Shape", ["mel"], start=0, end=1)
        n_samples = self.add("Mul", [self._n_frames, self.integers(self.config.hop_length)])
        shape = self.add("Concat", [n_tracks, n_samples], axis=0)
        return self.add("Expand", [self.constant([0.0]), shape])

    def pulses(self) -> str:
        """The excitation, as `timbrel.vocoder.excitation.pulses`: (tracks, envelopes, samples)."""
        # (tracks, frames, notes, 1)
        phase, step, harmonics, first = (
            self.add(
                "Unsqueeze",
                [self.add("Transpose", [name], perm=[0, 2, 1]), self.integers(-1)],
            )
            for name in ("phase", "step", "harmonics", "first")
        )
        samples = self.constant(np.arange(self.config.hop_length))
        cycles = self.add("Add", [phase, self.add("Mul", [step, samples])])
        rest = self.add("Sub", [cycles, self.add("Round", [cycles])])
        half = self.add("Abs", [self.add("Mul", [rest, self.constant(np.pi)])])
        half = self.add("Max", [half, self.constant(SMALLEST_HALF_ANGLE)])
        two, one = self.constant(2.0), self.constant(1.0)
        order = self.add("Add", [self.add("Mul", [harmonics, two]), one])
        # sin(order · half) / sin(half) − 1 is twice the sum of cosines; it is even in `half`.
        above = self.add("Sin", [self.add("Mul", [order, half])])
        train = self.add("Sub", [self.add("Div", [above, self.add("Sin", [half])]), one])
        begun = self.add("GreaterOrEqual", [samples, first])
        notes = self.add("Mul", [train, self.add("Cast", [begun], to=TensorProto.FLOAT)])
        # Of each note, √(2 / harmonics), and half of what is twice as much.
        amplitude = self.add("Sqrt", [self.add("Div", [self.constant(0.5), harmonics])])
        gain = self.add("Transpose", ["gain"], perm=[0, 2, 1, 3])  # (…, notes, envelopes)
        gain = self.add("Transpose", [self.add("Mul", [gain, amplitude])], perm=[0, 1, 3, 2])
        total = self.add("MatMul", [gain, notes])  # (tracks, frames, envelopes, hop_length)
        total = self.add("Transpose", [total], perm=[0, 2, 1, 3])
        return self.add("Reshape", [total, self.integers(0, 0, -1)])

    def keys(self) -> str:
        """What the network reads of the notes: (tracks, frames, envelopes · keys)."""
        c = self.config
        per_sample = self.constant(c.sample_rate / A4_HZ)
        a4s = self.add("Mul", ["step", per_sample])
        log = self.add("Log", [self.add("Max", [a4s, self.constant(2.0**-6)])])
        semitones = self.add("Round", [self.add("Mul", [log, self.constant(12 / np.log(2))])])
        key = self.add("Add", [semitones, self.constant(A4_PITCH - c.lowest_key)])
        key = self.add("Cast", [key], to=TensorProto.INT64)
        levels = self.constant([0.0, 1.0])
        of_key = self.add("OneHot", [key, self.integers(c.n_keys), levels], axis=-1)
        of_key = self.add("Transpose", [of_key], perm=[0, 2, 1, 3])  # (…, 1 or frames, notes, keys)
        gain = self.add("Transpose", ["gain"], perm=[0, 2, 3, 1])
        total = self.add("MatMul", [gain, of_key])  # (tracks, frames, envelopes, keys)
        return self.add("Reshape", [self.faded(total), self.integers(0, 0, -1)])

    def faded(self, gain: str) -> str:
        """How far sounds have faded, as the network reads it."""
        relative = self.add("Div", [gain, self.constant(QUIETEST_KEY)])
        return self.add("Log", [self.add("Add", [relative, self.constant(1.0)])])

    def finished(self, audio: str, score: dict[str, list]) -> onnx.ModelProto:
        """The whole graph, whose audio depends on the mel and on what is known of the score."""
        self._states["history"] = self.history()
        inputs: dict[str, list] = {"mel": ["tracks", "frames", self.config.n_mels]} | score
        inputs |= {name: shape for name, (_, shape) in self._states.items()}
        outputs = {"audio": (audio, ["tracks", "samples"])}
        outputs |= {f"{name}_out": state for name, state in self._states.items()}
        return self.model(inputs, outputs)

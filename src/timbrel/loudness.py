"""Loudness and true peak, as ITU-R BS.1770-4 measures them, block by block and in fixed memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

STEP_S = 0.1  # between the beginnings of gating blocks
STEPS_PER_BLOCK = 4  # of 400 ms
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OFFSET_LU = -0.691

# K-weighting, as analogue prototypes that the standard's coefficients at 48 kHz come from (they
# are the bilinear transform of these): a shelf for the head, and a high pass.
SHELF_HZ, SHELF_Q, SHELF_DB = 1681.974450955533, 0.7071752369554196, 3.999843853973347
SHELF_BAND_EXPONENT = 0.4996667741545416
HIGH_PASS_HZ, HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773
KERNEL_S = 0.1  # after so long the filters' response lies 200 dB down

OVERSAMPLING = 4
REACH = 12  # samples on both sides that an oversampled value is made of
KAISER_BETA = 8.0

_LEVEL_LU = 0.01  # blocks so near each other are gated as one
_N_LEVELS = 10_000  # of blocks from the absolute gate up to +30 LUFS
_SIZE = 1 << 16  # of the transforms that filter
_STRETCH = 512  # samples that are looked at together for whether peaks can lie between them


@dataclass(frozen=True)
class Loudness:
    """What meters say of some sound."""

    integrated_lufs: float  # −inf where all of it lies below the absolute gate
    true_peak_dbtp: float  # −inf where it is silent

    @property
    def is_silent(self) -> bool:
        return self.integrated_lufs == -math.inf


class LoudnessMeter:
    """Measures the integrated loudness and the true peak of sound that comes in blocks.

    Blocks of 400 ms that overlap by three quarters are weighted and gated as BS.1770-4 says. What
    is shorter than one block is measured with silence behind it.

    Parameters
    ----------
    sample_rate
        In Hz.
    channels
        1 or 2.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._kernel = weighting_kernel(sample_rate)
        self._response = np.fft.rfft(self._kernel, _SIZE)
        self._chunk = _SIZE - len(self._kernel) + 1  # samples that are filtered at a time
        self._before = np.zeros((channels, len(self._kernel) - 1))
        self._gating = Gating()
        self._step = round(STEP_S * sample_rate)
        self._squares = np.zeros(0)  # of a step that is not complete
        self._near = np.zeros((2 * REACH, channels), np.float32)
        self._peak = 0.0

    def add(self, block: np.ndarray) -> None:
        """Hear the next samples, (samples, channels)."""
        for start in range(0, len(block), self._chunk):
            chunk = block[start : start + self._chunk]
            self._add_loudness(chunk)
            near = np.concatenate([self._near, chunk])
            peaks = true_peaks(near, above=self._peak)
            self._peak = max(self._peak, float(peaks.max(initial=0.0)))
            self._near = near[-2 * REACH :]

    @property
    def measured(self) -> Loudness:
        """The loudness and the peak of what was heard until now."""
        rest = np.concatenate([self._near, np.zeros((REACH, self._near.shape[1]), np.float32)])
        peak = max(self._peak, float(true_peaks(rest).max(initial=0.0)))
        power = self._gating.power
        if not self._gating.n_blocks:
            short = self._gating.sum_of_steps + self._squares.sum() / self._step
            power = gated_power(np.array([short / STEPS_PER_BLOCK]))
        return Loudness(lufs(power), 20 * math.log10(peak) if peak > 0 else -math.inf)

    def _add_loudness(self, chunk: np.ndarray) -> None:
        samples = np.concatenate([self._before, chunk.T], axis=1)
        self._before = samples[:, len(chunk) :]
        n_samples = samples.shape[1]
        size = 1 << (n_samples - 1).bit_length()
        # Every so many values of the spectrum are that of a shorter transform.
        spectrum = np.fft.rfft(samples, size) * self._response[:: _SIZE // size]
        weighted = np.fft.irfft(spectrum, size)
        heard = weighted[:, len(self._kernel) - 1 : n_samples]
        squares = np.concatenate([self._squares, np.square(heard).sum(axis=0)])
        n_steps = len(squares) // self._step
        self._squares = squares[n_steps * self._step :]
        self.add_steps(squares[: n_steps * self._step].reshape(n_steps, self._step).mean(axis=1))

    def add_steps(self, steps: np.ndarray) -> None:
        """Take the K-weighted powers of the next 100 ms each, (steps,)."""
        self._gating.add(steps)


class Gating:
    """Steps of 100 ms → the mean power of the blocks that the two gates let through."""

    def __init__(self) -> None:
        self.n_blocks = 0
        self._last = np.zeros(0)  # steps of blocks that are not complete
        self._counts = np.zeros(_N_LEVELS, np.int64)
        self._powers = np.zeros(_N_LEVELS)

    @property
    def sum_of_steps(self) -> float:
        """Of those that wait for a block to be complete."""
        return float(self._last.sum())

    def add(self, steps: np.ndarray) -> None:
        """Take the K-weighted powers of some steps, in order."""
        steps = np.concatenate([self._last, steps])
        self._last = steps[max(len(steps) - STEPS_PER_BLOCK + 1, 0) :]
        if len(steps) < STEPS_PER_BLOCK:
            return
        blocks = np.lib.stride_tricks.sliding_window_view(steps, STEPS_PER_BLOCK).mean(axis=1)
        self.n_blocks += len(blocks)
        heard = blocks[blocks > power_of(ABSOLUTE_GATE_LUFS)]
        levels = (OFFSET_LU + 10 * np.log10(heard) - ABSOLUTE_GATE_LUFS) / _LEVEL_LU
        levels = np.minimum(levels.astype(np.int64), _N_LEVELS - 1)
        np.add.at(self._counts, levels, 1)
        np.add.at(self._powers, levels, heard)

    @property
    def power(self) -> float:
        """0 where no block is loud enough."""
        there = self._counts > 0
        return _above_gate(self._powers[there] / self._counts[there], self._counts[there])


def gated_power(blocks: np.ndarray) -> float:
    """The mean power of those of some blocks that the gates let through; 0 where none is."""
    blocks = blocks[blocks > power_of(ABSOLUTE_GATE_LUFS)]
    return _above_gate(blocks, np.ones(len(blocks)))


def _above_gate(powers: np.ndarray, counts: np.ndarray) -> float:
    if not len(powers):
        return 0.0
    gate = np.average(powers, weights=counts) * 10 ** (RELATIVE_GATE_LU / 10)
    loud = powers > gate
    return float(np.average(powers[loud], weights=counts[loud]))


def lufs(power: float) -> float:
    """The loudness of a K-weighted power, a mean square summed over channels."""
    return OFFSET_LU + 10 * math.log10(power) if power > 0 else -math.inf


def power_of(loudness_lufs: float) -> float:
    """The K-weighted power of a loudness."""
    return 10 ** ((loudness_lufs - OFFSET_LU) / 10)


@cache
def weighting_kernel(sample_rate: int) -> np.ndarray:
    """The impulse response of K-weighting at a sample rate, (samples,)."""
    size = 1 << math.ceil(2 * KERNEL_S * sample_rate).bit_length()
    delay = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones(len(delay), complex)
    for above, below in (_shelf(sample_rate), _high_pass(sample_rate)):
        response *= np.polyval(above[::-1], delay) / np.polyval(below[::-1], delay)
    return np.fft.irfft(response, size)[: math.ceil(KERNEL_S * sample_rate)]


def _shelf(sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    k = math.tan(math.pi * SHELF_HZ / sample_rate)
    high = 10 ** (SHELF_DB / 20)
    band = high**SHELF_BAND_EXPONENT
    above = np.array(
        [high + band * k / SHELF_Q + k * k, 2 * (k * k - high), high - band * k / SHELF_Q + k * k]
    )
    return above, _poles(k, SHELF_Q)


def _high_pass(sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    k = math.tan(math.pi * HIGH_PASS_HZ / sample_rate)
    below = _poles(k, HIGH_PASS_Q)
    # The standard's coefficients are 1, −2, 1 with poles whose first coefficient is 1.
    return below[0] * np.array([1.0, -2.0, 1.0]), below


def _poles(k: float, q: float) -> np.ndarray:
    return np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])


@cache
def interpolation_kernels() -> np.ndarray:
    """Filters of the values between two samples, (OVERSAMPLING − 1, 2 · REACH), float32."""
    between = np.arange(1, OVERSAMPLING)[:, None] / OVERSAMPLING
    offsets = between - np.arange(1 - REACH, REACH + 1)  # from the samples around
    window = np.i0(KAISER_BETA * np.sqrt(1 - np.square(offsets / REACH))) / np.i0(KAISER_BETA)
    kernels = np.sinc(offsets) * window
    return (kernels / kernels.sum(axis=1, keepdims=True)).astype(np.float32)


@cache
def _swing() -> float:
    """How far a value between two samples can exceed both, as a factor of the largest step around.

    What is interpolated is a straight line and a sum of steps from sample to sample.
    """
    between = np.arange(1, OVERSAMPLING)[:, None] / OVERSAMPLING
    straight = np.zeros((OVERSAMPLING - 1, 2 * REACH))
    straight[:, REACH - 1 : REACH + 1] = np.hstack([1 - between, between])
    steps = np.cumsum(interpolation_kernels() - straight, axis=1)
    return float(np.abs(steps).sum(axis=1).max())


def true_peaks(samples: np.ndarray, *, above: float = 0.0) -> np.ndarray:
    """The loudest value from each sample up to the next one, of all channels.

    Parameters
    ----------
    samples
        (samples, channels); the first `REACH` − 1 and the last `REACH` are there for their
        neighbours' sake.
    above
        The caller does not need to know by how much a peak stays below this: where none can reach
        it, the samples' own values are given.

    Returns
    -------
    peaks : ndarray of float32, shape (max(samples − 2 · REACH + 1, 0),)
    """
    n = max(len(samples) - 2 * REACH + 1, 0)
    peaks = np.zeros(n, np.float32)
    if not n:
        return peaks
    for channel in np.asarray(samples, np.float32).T:
        magnitudes = np.abs(channel)
        np.maximum(peaks, magnitudes[REACH - 1 : REACH - 1 + n], out=peaks)
        for first, last in _where_louder(channel, magnitudes, n, above):
            here = peaks[first:last]
            near = channel[first : last + 2 * REACH - 1]
            for kernel in interpolation_kernels():
                np.maximum(here, np.abs(np.correlate(near, kernel, "valid")), out=here)
    return peaks


def _where_louder(
    samples: np.ndarray, magnitudes: np.ndarray, n: int, above: float
) -> list[tuple[int, int]]:
    """Stretches of n peaks, first and last + 1, in which one between samples can lie above that."""
    starts = np.arange(0, n, _STRETCH)
    steps = np.abs(np.diff(samples))
    loudest, steepest = (np.maximum.reduceat(one, starts) for one in (magnitudes, steps))
    for most in (loudest, steepest):
        # What the last peaks of a stretch are interpolated from lies in the next one.
        most[:-1] = np.maximum(most[:-1], most[1:])
    possible = loudest + _swing() * steepest > above
    edges = np.diff(np.concatenate([[False], possible, [False]]).astype(np.int8))
    firsts, lasts = ((np.flatnonzero(edges == step) * _STRETCH).tolist() for step in (1, -1))
    return [(first, min(last, n)) for first, last in zip(firsts, lasts, strict=True)]

"""The loudness meter against the standard's numbers and against another implementation."""

from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pytest
from scipy.signal import resample_poly

from timbrel.loudness import Loudness, LoudnessMeter, true_peaks, weighting_kernel

# The filters' coefficients at 48 kHz as the standard prints them, tables 1 and 2.
SHELF = (
    [1.53512485958697, -2.69169618940638, 1.19839281085285],
    [1.0, -1.69065929318241, 0.73248077421585],
)
HIGH_PASS = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])


def measured(audio: np.ndarray, rate: int, *, block: int = 7001) -> Loudness:
    meter = LoudnessMeter(rate, audio.shape[1])
    for start in range(0, len(audio), block):
        meter.add(audio[start : start + block])
    return meter.measured


def tone(level_db: float, seconds: float, rate: int, *, hz: float = 997.0) -> np.ndarray:
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def music(rate: int, channels: int, *, seed: int = 0) -> np.ndarray:
    """Noise of all colours in bursts of all levels, with silence between."""
    random = np.random.default_rng(seed)
    bursts = []
    for _ in range(24):
        burst = random.standard_normal((rate // 2, channels))
        if random.random() < 0.5:
            burst = np.cumsum(burst, axis=0) / 50
        bursts.append(10 ** random.uniform(-3, -0.8) * burst)
        bursts.append(np.zeros((int(random.integers(0, rate // 2)), channels)))
    return np.concatenate(bursts)


def test_the_filter_is_the_standards() -> None:
    kernel = weighting_kernel(48_000)
    impulse = np.zeros(len(kernel))
    impulse[0] = 1
    for above, below in (SHELF, HIGH_PASS):
        out = np.zeros(len(impulse))
        for n in range(len(impulse)):
            heard = sum(b * impulse[n - k] for k, b in enumerate(above) if n >= k)
            out[n] = heard - sum(a * out[n - k] for k, a in enumerate(below) if n >= k and k)
        impulse = out
    np.testing.assert_allclose(kernel, impulse, atol=1e-8)
    assert np.abs(kernel[-480:]).max() < 1e-9  # nothing is cut off


@pytest.mark.parametrize("rate", [48_000, 44_100, 16_000])
def test_a_sine_of_full_scale_has_minus_three_lufs(rate: int) -> None:
    one = tone(0, 2, rate)[:, None]
    assert measured(one, rate).integrated_lufs == pytest.approx(-3.01, abs=0.05)
    both = one.repeat(2, axis=1)
    assert measured(both, rate).integrated_lufs == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_it_agrees_with_pyloudnorm(rate: int, channels: int) -> None:
    audio = music(rate, channels, seed=rate)
    found = measured(audio, rate).integrated_lufs
    # This one has the same filters; the usual one rounds the prototypes' numbers.
    exact = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(audio)
    assert found == pytest.approx(exact, abs=0.05)
    assert found == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(audio), abs=0.2)


def test_what_is_soft_does_not_count() -> None:
    rate = 16_000
    loud, soft, below = (tone(level, 10, rate) for level in (-20.0, -28.0, -36.0))
    quiet = tone(-75.0, 10, rate)
    # Blocks that lie 10 LU below the mean of all are left out, and those below −70 LUFS at once.
    for parts, wanted in (
        ([loud], -23.01),
        ([loud, quiet], -23.01),
        ([loud, below, quiet], -23.01),
        ([loud, soft], -23.01 + 10 * math.log10((1 + 10**-0.8) / 2)),
    ):
        found = measured(np.concatenate(parts)[:, None], rate).integrated_lufs
        assert found == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.39, 30.0])
def test_silence_has_no_loudness(seconds: float) -> None:
    found = measured(np.zeros((round(16_000 * seconds), 2)), 16_000)
    assert found == Loudness(-math.inf, -math.inf)
    assert found.is_silent
    faint = measured(tone(-80, 2, 16_000)[:, None], 16_000)
    assert faint.is_silent
    assert faint.true_peak_dbtp == pytest.approx(-80, abs=0.1)


def test_what_is_shorter_than_a_block_is_measured_with_silence_behind_it() -> None:
    rate = 16_000
    short = tone(-10, 0.25, rate)[:, None]
    padded = np.pad(short, ((0, round(0.4 * rate) - len(short)), (0, 0)))
    wanted = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(padded)
    assert measured(short, rate).integrated_lufs == pytest.approx(wanted, abs=0.05)


@pytest.mark.parametrize("block", [1, 333, 1600, 6400, 100_000])
def test_blocks_do_not_change_the_result(block: int) -> None:
    audio = music(16_000, 2)[: 16_000 if block == 1 else None]
    found, whole = (measured(audio, 16_000, block=n) for n in (block, len(audio)))
    assert found.integrated_lufs == pytest.approx(whole.integrated_lufs, abs=1e-6)
    assert found.true_peak_dbtp == pytest.approx(whole.true_peak_dbtp, abs=1e-5)


@pytest.mark.parametrize("above", [0.1, 0.3, 0.5, 1.0, 3.0])
def test_peaks_that_reach_a_level_are_all_found(above: float) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, (5000, 2)).astype(np.float32)
    exact, found = true_peaks(sound), true_peaks(sound, above=above)
    reaching = exact > above
    assert (found[reaching] == exact[reaching]).all()
    assert (found[~reaching] <= above).all()


@pytest.mark.parametrize("place", [0, 500, 511, 512, 520, 1023, 4990])
@pytest.mark.parametrize("length", [5000, 1024 + 23, 1024 + 24, 1024 + 40])
def test_a_peak_between_loud_samples_is_found_wherever_it_is(place: int, length: int) -> None:
    sound = np.zeros((length, 1), np.float32)
    place = min(place, length - 4)
    sound[place : place + 4, 0] = (0.5, 0.9, 0.9, 0.5)
    exact, found = true_peaks(sound), true_peaks(sound, above=0.9)
    reaching = exact > 0.9
    assert (found[reaching] == exact[reaching]).all()
    assert (found[~reaching] <= 0.9).all()


def test_true_peaks_lie_between_samples() -> None:
    rate = 16_000
    crests = np.sin(np.pi / 2 * np.arange(rate) + np.pi / 4)[:, None]
    assert measured(crests, rate).true_peak_dbtp == pytest.approx(0.0, abs=0.3)
    single = np.zeros((1000, 2))
    single[-1, 1] = 0.5  # at the very end
    assert measured(single, rate).true_peak_dbtp == pytest.approx(20 * math.log10(0.5), abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_true_peaks_are_those_of_finer_measurements(seed: int) -> None:
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal((16_000, 2)), axis=0)
    spectrum[5000:] = 0  # up to 5 kHz
    audio = 0.1 * np.fft.irfft(spectrum, axis=0)
    padded = np.pad(audio, ((500, 500), (0, 0)))
    wanted = 20 * np.log10(np.abs(resample_poly(padded, 16, 1)).max())
    assert measured(audio, 16_000).true_peak_dbtp == pytest.approx(wanted, abs=0.15)

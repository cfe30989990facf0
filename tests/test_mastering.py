"""The gain that gives a mix its loudness, and where it has to stay quieter."""

from __future__ import annotations

import math

import numpy as np
import pytest

from timbrel.loudness import Loudness
from timbrel.mastering import (
    MAX_LIMITING_DB,
    Mastering,
    fitted_mastering,
    mastered,
    measured_loudness,
)

RATE = 16_000


def noise(*, level: float, peaks: float = 0.0, seconds: float = 4.0) -> np.ndarray:
    """Noise below 3 kHz, and some short peaks in it, (samples, 2)."""
    random = np.random.default_rng(0)
    n = round(seconds * RATE)
    spectrum = np.fft.rfft(random.standard_normal((n, 2)), axis=0)
    spectrum[3 * n // 16 :] = 0
    audio = level * np.fft.irfft(spectrum, n, axis=0)
    bump = np.hanning(33)[:, None]
    for start in range(4000, n - 100, 9000):
        audio[start : start + len(bump)] += peaks * bump
    return audio.astype(np.float32)


def fit(audio: np.ndarray, loudness_lufs: float) -> tuple[Mastering, Loudness]:
    """What is said of the result, and what is measured of it."""
    blocks = np.array_split(audio, 7)
    measured = measured_loudness(blocks, RATE, 2)
    mastering = fitted_mastering(measured, lambda: blocks, RATE, 2, loudness_lufs=loudness_lufs)
    made = list(mastered(blocks, RATE, 2, gain_db=mastering.gain_db))
    assert sum(map(len, made)) == len(audio)
    return mastering, measured_loudness(made, RATE, 2)


@pytest.mark.parametrize("level", [0.0005, 0.02, 0.3])
@pytest.mark.parametrize("loudness_lufs", [-16.0, -30.0])
def test_without_peaks_a_gain_is_enough(level: float, loudness_lufs: float) -> None:
    mastering, result = fit(noise(level=level), loudness_lufs)
    assert result.integrated_lufs == pytest.approx(loudness_lufs, abs=0.02)
    assert mastering.result.integrated_lufs == pytest.approx(result.integrated_lufs, abs=0.02)
    assert mastering.result.true_peak_dbtp == pytest.approx(result.true_peak_dbtp, abs=0.02)
    assert mastering.remark == ""


def test_what_the_limiter_takes_is_given_back() -> None:
    audio = noise(level=0.02, peaks=0.14)
    mastering, result = fit(audio, -16.0)
    quiet = measured_loudness([audio], RATE, 2)
    assert mastering.gain_db > -16 - quiet.integrated_lufs + 0.05
    assert quiet.true_peak_dbtp + mastering.gain_db > -1
    assert result.integrated_lufs == pytest.approx(-16.0, abs=0.15)
    assert result.true_peak_dbtp <= -1
    assert mastering.remark == ""


def test_the_limiter_takes_six_db_at_most() -> None:
    audio = noise(level=0.003, peaks=0.5)
    mastering, result = fit(audio, -16.0)
    peak_db = measured_loudness([audio], RATE, 2).true_peak_dbtp + mastering.gain_db
    assert peak_db == pytest.approx(-1.25 + MAX_LIMITING_DB, abs=0.01)
    assert result.true_peak_dbtp <= -1
    assert result.integrated_lufs < -18
    assert mastering.shortfall_lu == pytest.approx(-16 - result.integrated_lufs, abs=0.02)
    quieter = f"{mastering.shortfall_lu:.1f} dB quieter than asked for"
    assert mastering.remark.startswith(f"stays at −{-result.integrated_lufs:.1f} LUFS, {quieter}")


@pytest.mark.parametrize("level", [0.0, 1e-5])
def test_silence_is_left_as_it_is(level: float) -> None:
    mastering, result = fit(noise(level=level), -16.0)
    assert mastering.gain_db == 0
    assert result.integrated_lufs == -math.inf
    assert "is silent (below −70 LUFS)" in mastering.remark

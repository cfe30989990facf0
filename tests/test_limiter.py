"""The limiter: heard only where it has to be, and never late."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import resample_poly

from timbrel.limiter import CEILING_DBTP, LOOKAHEAD_S, MARGIN_DB, Limiter
from timbrel.loudness import REACH

RATE = 16_000
CEILING = 10 ** ((CEILING_DBTP - MARGIN_DB) / 20)
LOOKAHEAD = round(LOOKAHEAD_S * RATE)


def noise(n_samples: int, *, level: float, seed: int = 0) -> np.ndarray:
    """Uniform noise below 5 kHz, (samples, 2)."""
    random = np.random.default_rng(seed)
    white = random.uniform(-level, level, (n_samples, 2))
    spectrum = np.fft.rfft(white, axis=0)
    spectrum[round(len(spectrum) * 5 / 8) :] = 0
    return np.fft.irfft(spectrum, n_samples, axis=0).astype(np.float32)


def limited(
    sound: np.ndarray, cuts: list[int] | None = None, *, gain_db: float = 0.0, channels: int = 2
) -> np.ndarray:
    limiter = Limiter(RATE, channels, gain_db=gain_db)
    blocks = np.split(sound, sorted(cuts or []))
    last = len(blocks) - 1
    return np.concatenate([limiter.process(b, last=i == last) for i, b in enumerate(blocks)])


def true_peak_db(sound: np.ndarray, *, oversampling: int = 16) -> float:
    """Found by other means than the limiter's own."""
    padded = np.pad(sound, ((200, 200), (0, 0)))
    return 20 * np.log10(np.abs(resample_poly(padded, oversampling, 1)).max())


def test_sound_below_the_ceiling_passes_with_the_gain_alone() -> None:
    sound = noise(5000, level=0.2)
    np.testing.assert_array_equal(limited(sound), sound)
    louder = limited(sound, gain_db=6.0)
    np.testing.assert_allclose(louder, 10 ** (6 / 20) * sound, rtol=1e-6)


@pytest.mark.parametrize("gain_db", [3.0, 12.0, 40.0])
def test_no_true_peak_passes_minus_one_db(gain_db: float) -> None:
    for seed in range(4):
        out = limited(noise(RATE, level=0.9, seed=seed), gain_db=gain_db)
        assert true_peak_db(out) <= -1.0
        assert true_peak_db(out) > -1.6


def test_a_peak_between_samples_counts() -> None:
    # At a quarter of the rate and 45 degrees, all samples lie 3 dB below the crests.
    tone = np.sin(np.pi / 2 * np.arange(RATE) + np.pi / 4)[:, None].repeat(2, axis=1)
    assert np.abs(tone).max() < 0.71
    out = limited(tone.astype(np.float32), gain_db=2.5)
    assert np.abs(out[1000:-1000]).max() == pytest.approx(CEILING / np.sqrt(2), rel=1e-3)


@pytest.mark.parametrize("n_samples", [1, 5, 50, 80, 81, 5000])
def test_single_peaks_are_held_wherever_they_are(n_samples: int) -> None:
    for position in range(0, n_samples, max(n_samples // 40, 1)):
        sound = np.zeros((n_samples, 2), np.float32)
        sound[position, 0] = 5.0
        out = limited(sound)
        assert out.shape == sound.shape
        assert out[position, 0] == pytest.approx(CEILING, rel=1e-4)


def test_it_lets_go_after_a_peak() -> None:
    sound = np.full((3 * RATE, 2), 0.4, np.float32)
    sound[RATE // 2] = 2.0
    gain = limited(sound)[:, 0] / sound[:, 0]
    np.testing.assert_array_equal(gain[: RATE // 2 - LOOKAHEAD - REACH - 1], 1.0)
    assert gain[RATE // 2] == pytest.approx(CEILING / 2, rel=0.02)
    after = gain[RATE // 2 + 100 :]
    assert (np.diff(after) >= -1e-6).all()
    assert after[round(0.2 * RATE)] == pytest.approx(1 - (1 - CEILING / 2) / np.e, abs=0.02)
    assert after[-1] > 0.9999


@pytest.mark.parametrize("seed", range(6))
def test_blocks_do_not_change_the_result(seed: int) -> None:
    random = np.random.default_rng(seed)
    sound = noise(RATE, level=3.0, seed=seed)
    sound[5000:9000] *= 0.02  # so that it lets go, too
    whole = limited(sound)
    cuts = random.integers(0, RATE + 1, 12).tolist()
    some_small = [*cuts, *range(100, 160), 200, 200, 200, RATE, RATE]
    for blocks in (cuts, some_small, list(range(0, RATE, 128)), list(range(0, 4000, 3))):
        np.testing.assert_allclose(limited(sound, blocks), whole, atol=1e-6)


def test_further_columns_get_the_same_gains_and_are_not_listened_to() -> None:
    left, right = noise(RATE, level=0.9).T, noise(RATE, level=9.0, seed=1).T
    first, second = left * 0.75, left * 0.25
    sound = np.stack([*left, *first, *second, *right], axis=1)
    out = limited(sound, gain_db=9.0)
    np.testing.assert_array_equal(out[:, :2], limited(left.T, gain_db=9.0))
    np.testing.assert_allclose(out[:, 2:4] + out[:, 4:6], out[:, :2], atol=1e-6)
    assert np.abs(out[:, 6:]).max() > 5


def test_until_the_last_block_the_newest_five_milliseconds_are_kept_back() -> None:
    limiter = Limiter(RATE, 2)
    assert len(limiter.process(noise(60, level=0.1))) == 0
    assert len(limiter.process(noise(1000, level=0.1))) == 1060 - LOOKAHEAD - REACH
    assert len(limiter.process(np.zeros((0, 2), np.float32), last=True)) == LOOKAHEAD + REACH


def test_silence_stays_silence() -> None:
    assert not limited(np.zeros((1000, 2), np.float32), gain_db=60).any()

"""The measures, on cases whose values are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import EXAMPLES
from timbrel.corpus.soundfont import render_score
from timbrel.engine.mulaw import mu_law_decode, mu_law_encode
from timbrel.errors import InputError
from timbrel.measures.correlation import (
    DB_PER_NEPER,
    N_CQT_BINS,
    LogCqtCorrelation,
    log_cqt,
    log_mel_measures,
)
from timbrel.score.midi import read_midi


def mel(seed: int, n_frames: int = 2000) -> np.ndarray:
    """Independent numbers around a spectrum that falls."""
    random = np.random.default_rng(seed)
    return (random.standard_normal((n_frames, 80)) - np.linspace(0, 5, 80)).astype(np.float32)


def noise(seed: int, seconds: float = 6) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 0.1 * random.standard_normal(round(seconds * 16_000), np.float32)


def test_equal_mels_agree() -> None:
    found = log_mel_measures(mel(0), mel(0))
    assert found.correlation == pytest.approx(1, abs=1e-12)
    assert found.centred_correlation == pytest.approx(1, abs=1e-12)
    assert found.error_db == 0
    assert found.n_frames == 2000


def test_independent_mels_agree_in_their_mean_spectrum_alone() -> None:
    found = log_mel_measures(mel(0), mel(1))
    # 160,000 independent numbers: three standard deviations are 0.0075.
    assert abs(found.centred_correlation) < 0.0075
    # The variance of a slope from 0 to −5 beside noise of 1: 25/12 · (81/79) of it and 1.
    slope = np.linspace(0, 5, 80).var()
    assert found.correlation == pytest.approx(slope / (slope + 1), abs=0.01)


def test_offset_of_each_bin_is_not_held_against_the_centred_correlation() -> None:
    offsets = np.random.default_rng(2).normal(0, 3, 80).astype(np.float32)
    found = log_mel_measures(mel(0), mel(0) + offsets)
    assert found.centred_correlation == pytest.approx(1, abs=1e-6)
    assert found.correlation < 0.8
    expected = np.abs(offsets).mean() * 20 / np.log(10)
    assert found.error_db == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gain_db", [-12.0, 0.5, 6.0])
def test_error_is_in_db_of_amplitude(gain_db: float) -> None:
    louder = mel(0) + np.log(10 ** (gain_db / 20))
    assert log_mel_measures(mel(0), louder).error_db == pytest.approx(abs(gain_db), rel=1e-5)
    assert pytest.approx(20 / np.log(10)) == DB_PER_NEPER


def test_predictor_of_the_means_is_the_measure_of_them() -> None:
    true = mel(0)
    means = np.broadcast_to(true.mean(axis=0), true.shape)
    found = log_mel_measures(true, means)
    assert found.centred_correlation == pytest.approx(0, abs=1e-6)
    assert found.correlation == pytest.approx(found.mean_correlation, abs=1e-6)
    assert found.error_db == pytest.approx(found.mean_error_db, abs=1e-5)
    # The mean distance of a normal variable from its mean is √(2/π).
    assert found.error_db == pytest.approx(DB_PER_NEPER * np.sqrt(2 / np.pi), rel=0.01)
    assert found.mean_correlation == pytest.approx(np.sqrt(2.13 / 3.13), abs=0.01)


def test_silent_frames_do_not_count() -> None:
    true, predicted = mel(0), mel(0) + 1
    silent = np.full((500, 80), true.max() - 60 / DB_PER_NEPER - 0.01, np.float32)
    audible = silent + 0.02
    garbage = np.random.default_rng(3).normal(0, 9, silent.shape).astype(np.float32)
    alone = log_mel_measures(true, predicted)
    beside_silence = log_mel_measures(
        np.concatenate([silent, true]), np.concatenate([garbage, predicted])
    )
    assert beside_silence == alone
    beside_sound = log_mel_measures(
        np.concatenate([audible, true]), np.concatenate([garbage, predicted])
    )
    assert beside_sound.n_frames == 2500
    assert beside_sound.error_db > alone.error_db + 1


def test_one_bin_is_enough_to_be_heard() -> None:
    true = mel(0)
    true[7, :] = -100
    assert log_mel_measures(true, true).n_frames == 1999
    true[7, 30] = 0
    assert log_mel_measures(true, true).n_frames == 2000


@pytest.mark.parametrize("shape", [(1999, 80), (2000, 79), (80, 2000)])
def test_mels_of_other_shapes_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"of shapes \(2000, 80\) and .* differ"):
        log_mel_measures(mel(0), np.zeros(shape, np.float32))


def test_no_frames_are_refused() -> None:
    with pytest.raises(InputError, match="no frame above silence"):
        log_mel_measures(np.zeros((0, 80)), np.zeros((0, 80)))


def test_cqt_of_a_tone_is_loudest_in_its_bin() -> None:
    time = np.arange(3 * 16_000) / 16_000
    for note in (9, 33, 57):  # A1, A3, A5, from C1
        tone = 0.5 * np.sin(2 * np.pi * 32.703 * 2 ** (note / 12) * time).astype(np.float32)
        spectrum = log_cqt(tone)
        assert spectrum.shape == (N_CQT_BINS, 1 + len(tone) // 512)
        assert spectrum[:, 40].argmax() == note


def test_cqt_has_its_floor_at_minus_100_db() -> None:
    assert np.all(log_cqt(np.zeros(32_000, np.float32)) == -100)
    soft = log_cqt(1e-3 * noise(0, 2))
    assert log_cqt(noise(0, 2))[50, 10] - soft[50, 10] == pytest.approx(60, abs=0.01)


def test_clip_correlates_with_itself() -> None:
    pool = LogCqtCorrelation()
    pool.add(noise(0), noise(0))
    np.testing.assert_allclose(pool.by_bin(), 1, atol=1e-9)
    np.testing.assert_allclose(pool.by_octave(), 1, atol=1e-9)
    assert pool.mean() == pytest.approx(1, abs=1e-9)


def test_attenuated_copy_correlates_fully() -> None:
    """As long as nothing reaches the floor: 20 dB less is an offset."""
    clip = noise(0)
    assert log_cqt(0.1 * clip).min() > -100
    pool = LogCqtCorrelation()
    pool.add(clip, 0.1 * clip)
    np.testing.assert_allclose(pool.by_bin(), 1, atol=1e-4)


def test_independent_noise_does_not_correlate() -> None:
    pool = LogCqtCorrelation()
    for seed in range(3):
        pool.add(noise(seed), noise(seed + 10))
    # In the lowest bins a window is half a second, so that few frames are independent.
    assert abs(pool.mean()) < 0.05
    assert np.abs(pool.by_octave()).max() < 0.15


def test_octaves_are_means_of_twelve_bins() -> None:
    random = np.random.default_rng(5)
    a, b = random.standard_normal((2, N_CQT_BINS, 4000))
    share = np.repeat(np.linspace(0, 1, 7), 12)[:, None]
    pool = LogCqtCorrelation()
    pool.add_spectra(a, share * a + np.sqrt(1 - share**2) * b)
    assert pool.by_octave().shape == (7,)
    np.testing.assert_allclose(pool.by_octave(), np.linspace(0, 1, 7), atol=0.02)
    assert pool.mean() == pytest.approx(0.5, abs=0.01)
    expected = [np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)]
    pool = LogCqtCorrelation()
    pool.add_spectra(a, b)
    np.testing.assert_allclose(pool.by_bin(), expected, atol=1e-9)


def test_pools_added_are_the_pool_of_all_clips() -> None:
    random = np.random.default_rng(6)
    clips = [random.standard_normal((2, N_CQT_BINS, n)) - 40 for n in (50, 80, 31)]
    whole, first, rest = LogCqtCorrelation(), LogCqtCorrelation(), LogCqtCorrelation()
    for i, (a, b) in enumerate(clips):
        whole.add_spectra(a, b)
        (first if i == 0 else rest).add_spectra(a, b)
    first += rest
    np.testing.assert_allclose(first.by_bin(), whole.by_bin(), atol=1e-12)
    joined = np.concatenate(clips, axis=2)
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(*joined, strict=True)]
    np.testing.assert_allclose(whole.by_bin(), expected, atol=1e-9)
    # Not the mean of the clips' own correlations.
    assert abs(rest.by_bin() - whole.by_bin()).max() > 0.01


@pytest.mark.parametrize("level_db", [-100.0, -37.123, -0.1])
def test_bin_that_never_changes_correlates_with_nothing(level_db: float) -> None:
    random = np.random.default_rng(7)
    for other_db in (level_db, level_db / 3, None):
        pool = LogCqtCorrelation()
        for n_frames in (469, 17, 300, 41):
            constant = np.full((N_CQT_BINS, n_frames), level_db)
            changing = random.normal(-50, 10, constant.shape)
            other = changing if other_db is None else np.full_like(constant, other_db)
            pool.add_spectra(constant, other)
        assert np.all(pool.by_bin() == 0)


def test_clips_of_other_lengths_are_refused() -> None:
    with pytest.raises(InputError, match=r"of shapes \(96000,\) and \(95999,\) differ"):
        LogCqtCorrelation().add(noise(0), noise(0)[:-1])


def test_mu_law_is_heard_a_little(soundfont: Path) -> None:
    """The published row is .979 in the mean, .96 to .997 by octaves."""
    score = read_midi(EXAMPLES / "duet.mid").excerpt(2, 6)
    pool = LogCqtCorrelation()
    for program in (0, 56):
        audio = render_score(score, program, soundfont, sample_rate=16_000, gain=0.5, tail_s=0)
        pool.add(audio, mu_law_decode(mu_law_encode(audio)))
    assert 0.9 < pool.mean() < 0.999
    assert np.all(pool.by_octave() < 1)
    # Nothing sounds in the first octave but what the rounding adds.
    assert pool.by_octave()[0] == pool.by_octave().min() > 0.7
    assert np.all(pool.by_octave()[1:] > 0.95)

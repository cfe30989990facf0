"""Measures of sound, on cases whose values are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.signal

from conftest import EXAMPLES
from timbrel.corpus.soundfont import render_score
from timbrel.errors import InputError
from timbrel.measures import sound as sound_metrics
from timbrel.measures.sound import (
    SPECTRAL_SCALES,
    audible_frames,
    centroid_error,
    click_places,
    clicks_per_minute,
    energy_error_db,
    flatness_error_db,
    frame_levels_db,
    high_band_flatness_db,
    level_db,
    level_error_db,
    silence_floor_db,
    sound_measures,
    spectral_centroids_hz,
    spectral_distance,
)
from timbrel.score.midi import read_midi

RATE = 16_000


def noise(seed: int, seconds: float = 4, level: float = 0.1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return level * random.standard_normal(round(seconds * RATE), np.float32)


def sine(frequency_hz: float, seconds: float = 4, level: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)


def decaying(seconds: float = 4) -> np.ndarray:
    """Noise that falls by 10 dB a second."""
    return noise(0, seconds) * (10 ** (-np.arange(round(seconds * RATE)) / RATE / 2)).astype("f4")


def test_equal_clips_have_no_errors() -> None:
    found = sound_measures(noise(0), noise(0))
    assert found.spectral_distance == 0
    assert found.level_error_db == 0
    assert found.energy_error_db == 0
    assert found.centroid_error == 0
    assert (found.flatness_error_db, found.flatness_bias_db) == (0, 0)
    assert np.isnan(found.silence_floor_db)
    assert found.clicks_per_minute == 0


@pytest.mark.parametrize("gain", [0.9, 0.5, 0.1])
def test_attenuated_copy_is_as_far_as_its_gain(gain: float) -> None:
    clip = noise(0)
    found = sound_measures(clip, gain * clip)
    magnitudes = sum(
        np.abs(scipy.signal.stft(clip, nperseg=n, noverlap=n - n // 4, scaling="psd")[2]).mean()
        # scipy's "psd" divides by the root of rate · Σ window², 3/8 of the samples for Hann.
        * np.sqrt(3 / 8 * n)
        for n in SPECTRAL_SCALES
    )
    expected = 6 * -np.log(gain) + (1 - gain) * magnitudes
    assert found.spectral_distance == pytest.approx(expected, rel=0.02)
    assert found.level_error_db == pytest.approx(20 * np.log10(gain), abs=1e-4)
    assert found.energy_error_db == pytest.approx(-20 * np.log10(gain), abs=1e-3)
    assert found.centroid_error == pytest.approx(0, abs=1e-5)
    assert found.flatness_error_db == pytest.approx(0, abs=1e-4)


def test_softer_copy_is_nearer_in_spectral_distance_than_other_noise() -> None:
    clip = noise(0)
    near, far = (spectral_distance(clip, other) for other in (0.9 * clip, noise(1)))
    assert 0 < near < far
    assert spectral_distance(clip, noise(1)) == pytest.approx(spectral_distance(noise(1), clip))


def test_levels_are_of_rms() -> None:
    assert level_db(sine(1000, level=1.0)) == pytest.approx(-3.0103, abs=1e-3)
    assert level_db(np.full(5000, -0.1)) == pytest.approx(-20)
    assert level_db(np.zeros(5000)) == level_db(np.zeros(0)) == -100
    assert level_error_db(np.full(5000, 0.1), np.full(5000, 0.2)) == pytest.approx(6.0206)
    assert level_error_db(np.full(5000, 0.2), np.full(5000, 0.1)) == pytest.approx(-6.0206)


def test_frames_levels_are_those_of_their_samples() -> None:
    clip = noise(0, 1)
    levels = frame_levels_db(clip)
    assert levels.shape == (125,)
    for k in (20, 77):
        part = clip[128 * k - 512 : 128 * k + 512]
        assert levels[k] == pytest.approx(level_db(part), abs=1e-6)
    # Half of the first frame lies before the clip.
    assert levels[0] == pytest.approx(level_db(clip[:512]) - 3.0103, abs=1e-3)
    assert np.all(frame_levels_db(np.zeros(RATE)) == -100)


def test_audible_frames_are_those_of_the_last_60_db() -> None:
    levels = np.array([-10.0, -69.9, -70.1, -100.0])
    np.testing.assert_array_equal(audible_frames(levels), [True, True, False, False])
    assert not audible_frames(np.full(4, -100.0)).any()
    assert np.isnan(energy_error_db(np.zeros(RATE), noise(0, 1)))


def test_delayed_copy_is_off_by_what_the_sound_falls_meanwhile() -> None:
    clip = decaying()
    delay = RATE // 2  # 5 dB at 10 dB a second
    late = np.concatenate([np.zeros(delay, np.float32), clip[:-delay]])
    tail = slice(delay + RATE // 4, None)
    assert energy_error_db(clip[tail], late[tail]) == pytest.approx(5, abs=0.3)
    assert level_error_db(clip[tail], late[tail]) == pytest.approx(5, abs=0.3)


@pytest.mark.parametrize("frequency_hz", [500.0, 2000.0, 3300.0])
def test_centroid_of_a_tone_is_its_frequency(frequency_hz: float) -> None:
    middle = spectral_centroids_hz(sine(frequency_hz))[10:-10]
    np.testing.assert_allclose(middle, frequency_hz, rtol=0.01)
    assert centroid_error(sine(frequency_hz), sine(2 * frequency_hz)) == pytest.approx(1, abs=0.05)
    assert centroid_error(sine(2 * frequency_hz), sine(frequency_hz)) == pytest.approx(
        0.5, abs=0.03
    )


def test_centroid_of_white_noise_is_in_the_middle() -> None:
    assert spectral_centroids_hz(noise(0)).mean() == pytest.approx(4000, rel=0.01)
    assert np.isnan(spectral_centroids_hz(np.zeros(RATE))).all()


def test_flatness_of_noise_is_that_of_an_exponential_distribution() -> None:
    """Powers of noise are exponentially distributed: e to the minus Euler's constant, −2.51 dB.

    Over the 257 bins of one frame the arithmetic mean varies a little, which adds 0.02 dB.
    """
    flatness, level = high_band_flatness_db(noise(0))
    assert flatness[8:-8].mean() == pytest.approx(10 * np.log10(np.exp(-np.euler_gamma)), abs=0.05)
    # A sine of amplitude 1 is 0 dB in its bin; noise of variance 1 has 4 · Σw²/N² = 4 · 3/8/N.
    expected = 10 * np.log10(0.1**2 * 4 * 4 * 3 / 8 / 1024)
    assert level[8:-8].mean() == pytest.approx(expected, abs=0.1)


def test_flatness_tells_hiss_from_buzz() -> None:
    buzz = sum(sine(frequency_hz, level=0.05) for frequency_hz in range(4100, 8000, 400))
    error, bias = flatness_error_db(buzz, noise(0))
    assert bias > 20
    assert error == bias
    error, bias = flatness_error_db(noise(0), buzz)
    assert bias < -20
    assert error == -bias
    error, bias = flatness_error_db(noise(0), noise(1))
    assert 0 < error < 0.6
    assert abs(bias) < 0.05


def test_flatness_does_not_look_where_nothing_sounds() -> None:
    low = scipy.signal.sosfilt(scipy.signal.butter(16, 2000, fs=RATE, output="sos"), noise(0))
    assert np.isnan(flatness_error_db(1e-3 * low, 1e-3 * low)).all()
    half = noise(0).copy()
    half[len(half) // 2 :] = 0
    assert flatness_error_db(noise(0), half)[1] == pytest.approx(0, abs=0.05)


def test_silence_floor_is_the_level_between_the_sounds() -> None:
    original = noise(0)
    original[RATE : 2 * RATE] = 5e-5
    synthesis = noise(1)
    synthesis[RATE : 2 * RATE] = noise(2, 1, level=1e-3)
    assert silence_floor_db(original, synthesis) == pytest.approx(-60, abs=0.2)
    # Sounds may reach a window into the silence.
    near = synthesis.copy()
    near[RATE : RATE + 1000] = near[2 * RATE - 1000 : 2 * RATE] = 0.5
    assert silence_floor_db(original, near) == pytest.approx(-60, abs=0.2)
    near[RATE + 1500] = 0.9
    assert silence_floor_db(original, near) > -50
    assert silence_floor_db(np.zeros(RATE), np.zeros(RATE)) == -100
    assert np.isnan(silence_floor_db(noise(0), np.zeros(len(noise(0)))))


@pytest.mark.parametrize("background", ["noise", "chord", "silence"])
def test_clicks_are_found_where_they_are(background: str) -> None:
    clip = {
        "noise": np.random.default_rng(0).uniform(-0.02, 0.02, 6 * RATE).astype(np.float32),
        "chord": sine(220, 6, 0.2) + sine(277.2, 6, 0.2) + noise(0, 6, level=1e-4),
        "silence": np.zeros(6 * RATE, np.float32),
    }[background]
    assert clicks_per_minute(clip) == 0
    # On the borders of frames, too; two of them 10 samples apart are one.
    places = np.array([700, 7936, 8192 + 5, 30_000, 61_111, 95_000])
    clip[places] += 0.2
    clip[30_010] -= 0.2
    found = click_places(clip)
    assert len(found) == len(places)
    assert np.abs(found - places).max() <= 10
    assert clicks_per_minute(clip) == pytest.approx(60)


def test_steps_and_gaps_are_clicks() -> None:
    clip = sine(220, 4, 0.3)
    clip[20_000:] *= -1
    assert len(click_places(clip)) in (1, 2)
    assert abs(click_places(clip)[0] - 20_000) < 3


def test_noise_has_almost_no_clicks() -> None:
    """8 median deviations are 5.4 standard deviations; frames' deviations vary by a twentieth."""
    assert len(click_places(noise(3, 4 * 60))) <= 5


def test_soft_clicks_are_not_heard() -> None:
    clip = np.zeros(RATE, np.float32)
    clip[8000] = 0.9e-4
    assert clicks_per_minute(clip) == 0
    clip[8000] = 1.1e-4
    assert clicks_per_minute(clip) == 60


def test_prediction_is_that_of_the_normal_equations() -> None:
    order = sound_metrics._PREDICTION_ORDER
    frames = np.stack([noise(0)[:1024], np.cumsum(noise(1)[:1024]), sine(440)[:1024] + noise(2)[0]])
    lags = np.stack([np.correlate(f, f, "full")[1023 : 1024 + order] for f in frames.astype("f8")])
    lags[:, 0] *= 1 + 1e-6
    found = sound_metrics._prediction_filters(lags)
    for row, filters in zip(lags, found, strict=True):
        expected = scipy.linalg.solve_toeplitz(row[:-1], -row[1:])
        np.testing.assert_allclose(filters[1:], expected, rtol=1e-3, atol=1e-4)


def test_music_can_be_measured(soundfont: Path) -> None:
    """A trumpet that is 1 dB too loud, in 16 bits, beside itself; clicks are the original's."""
    score = read_midi(EXAMPLES / "duet.mid").excerpt(2, 5)
    audio = render_score(score, 56, soundfont, sample_rate=RATE, gain=0.3, tail_s=2)
    found = sound_measures(audio, np.round(audio * 10 ** (1 / 20) * 32768) / 32768)
    assert found.level_error_db == pytest.approx(1, abs=0.01)
    assert found.energy_error_db == pytest.approx(1, abs=0.05)
    assert found.centroid_error < 0.02
    assert found.clicks_per_minute == pytest.approx(clicks_per_minute(audio), rel=0.1)
    assert found.silence_floor_db < -85


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InputError, match=r"of shapes \(64000,\) and \(63999,\) differ"):
        sound_measures(noise(0), noise(0)[:-1])
    with pytest.raises(InputError, match="2000 samples is too short"):
        spectral_distance(np.zeros(2000), np.zeros(2000))
    with pytest.raises(InputError, match="1000 samples is too short"):
        clicks_per_minute(np.zeros(1000))

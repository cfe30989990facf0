"""Spectra of notes, there and back."""

from __future__ import annotations

import numpy as np

from support.notes_data import sine
from timbrel.notes.measures import spectrum_error_db, tracked_pitch
from timbrel.notes.spectrum import log_spectrum, peak_magnitude, spectrum_to_audio, steady_phases


def test_shape_range_and_padding() -> None:
    spectrum = log_spectrum(sine(60, 5))
    assert spectrum.shape == (512, 256)
    assert spectrum.max() == 1.0
    assert spectrum.min() == 0.0
    assert not spectrum[:, 250:].any()
    assert not log_spectrum(np.zeros(64_000, np.float32)).any()


def test_a_tenth_of_the_amplitude_is_20_of_120_db_less() -> None:
    time_s = np.arange(64_000) / 16_000
    tone = np.sin(2 * np.pi * 1_000 * time_s)  # in the middle of bin 64
    audio = np.where(time_s < 2, tone, 0.1 * tone)
    spectrum = log_spectrum(audio)
    assert spectrum[64, 50] == np.float32(1.0)
    np.testing.assert_allclose(spectrum[64, 200], 1 - 20 / 120, atol=1e-4)
    # Loudness does not count, only what is relative to the peak.
    np.testing.assert_allclose(log_spectrum(0.3 * audio), spectrum, atol=1e-4)


def test_audio_comes_back_from_its_spectrum() -> None:
    audio = sine(60, 5)
    found = spectrum_to_audio(
        log_spectrum(audio), peak=peak_magnitude(audio), n_samples=len(audio), iterations=30
    )
    assert found.shape == audio.shape
    error = np.abs(log_spectrum(found) - log_spectrum(audio))[:200, 2:240]
    loud = log_spectrum(audio)[:200, 2:240] > 0.6
    assert error[loud].mean() < 0.02  # 2.4 dB
    np.testing.assert_allclose(np.std(found), np.std(audio), rtol=0.1)


def test_a_partial_goes_on_at_its_frequency() -> None:
    """One of 1,003 Hz, between bins 64 and 65: its phase, and those of the bins beside it."""
    tone = np.sin(2 * np.pi * 1_003 * np.arange(16_000) / 16_000).astype(np.float32)
    phases = steady_phases(10 ** (6 * (log_spectrum(tone)[:, 5:50] - 1)))
    turns = np.diff(phases[64]) / (2 * np.pi)
    np.testing.assert_allclose(turns, 1_003 * 256 / 16_000, atol=0.005)
    np.testing.assert_allclose(phases[65] - phases[64], np.pi, atol=1e-9)
    assert not steady_phases(np.zeros((513, 3))).any()


def test_the_first_phases_are_good_already() -> None:
    audio = sine(69, 4)
    spectrum = log_spectrum(audio)
    errors = []
    for iterations in (0, 16):
        found = spectrum_to_audio(
            spectrum, peak=peak_magnitude(audio), n_samples=len(audio), iterations=iterations
        )
        assert abs(tracked_pitch(found) - 69) < 0.1
        errors.append(spectrum_error_db(spectrum, log_spectrum(found)))
    assert errors[0] < 6
    assert errors[1] < 0.6 * errors[0]

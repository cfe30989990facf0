"""Spectra of notes, there and back."""

from __future__ import annotations

import numpy as np

from support.notes_data import sine
from timbrel.notes.spectrum import log_spectrum, peak_magnitude, spectrum_to_audio


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

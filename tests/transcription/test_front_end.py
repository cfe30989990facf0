"""The front end: where a sine lies, how loud it is, and that blocks change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from timbrel.constants import LOWEST_PITCH
from timbrel.transcription.front_end import FrontEnd
from timbrel.transcription.sizes import TranscriberConfig
from timbrel.transcription.torch_front_end import TorchFrontEnd

CONFIG = TranscriberConfig()


def sine(pitch: float, amplitude: float, duration_s: float = 1.0) -> np.ndarray:
    times_s = np.arange(round(duration_s * CONFIG.sample_rate)) / CONFIG.sample_rate
    hz = 440 * 2 ** ((pitch - 69) / 12)
    return (amplitude * np.sin(2 * np.pi * hz * times_s)).astype(np.float32)


@pytest.mark.parametrize(("pitch", "window"), [(60, 0), (69, 0), (90, 0), (90, 1), (105, 1)])
def test_a_sine_lies_in_the_middle_band_of_its_key(pitch: int, window: int) -> None:
    spectra = FrontEnd(CONFIG).push(sine(pitch, 0.5))[window, 30]
    band = (pitch - LOWEST_PITCH) * CONFIG.bands_per_semitone + 1 - min(CONFIG.shifts)
    assert spectra.argmax() == band
    assert CONFIG.band_pitches()[band] == pytest.approx(pitch)
    # A magnitude of half of full scale, give or take how the peak lies between the bins.
    assert spectra[band] == pytest.approx(np.log1p(CONFIG.scale * 0.5), abs=0.25)


def test_every_key_has_its_bands_and_all_harmonics_are_there() -> None:
    pitches = np.array(CONFIG.band_pitches())
    assert len(pitches) == CONFIG.n_bands
    for harmonic, shift in zip(CONFIG.harmonics, CONFIG.shifts, strict=True):
        bands = 1 - min(CONFIG.shifts) + shift + 3 * np.arange(88)
        true = np.arange(21, 109) + 12 * np.log2(harmonic)
        assert np.abs(pitches[bands] - true).max() < 0.5 / CONFIG.bands_per_semitone


@pytest.mark.parametrize("size", [1, 255, 256, 4000])
def test_blocks_change_nothing(size: int) -> None:
    audio = np.random.default_rng(0).standard_normal(20_000 if size > 1 else 6000)
    whole = FrontEnd(CONFIG).push(audio)
    stream = FrontEnd(CONFIG)
    parts = [stream.push(audio[i : i + size]) for i in range(0, len(audio), size)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)
    # A frame is known once its longest window is whole.
    assert whole.shape[1] == (len(audio) - max(CONFIG.windows) // 2) // CONFIG.hop_length + 1


def test_silence_and_what_lies_beyond_half_of_the_sample_rate_is_next_to_nothing() -> None:
    spectra = FrontEnd(CONFIG).push(np.zeros(8000, np.float32))
    assert 0 < spectra.max() < 0.011
    loud = FrontEnd(CONFIG).push(np.random.default_rng(0).standard_normal(8000))
    high = np.array(CONFIG.band_pitches()) > 69 + 12 * np.log2(8000 / 440)
    assert loud[..., high].max() < 0.011


def test_pytorch_computes_the_same() -> None:
    audio = np.random.default_rng(1).standard_normal((2, 12_000)).astype(np.float32)
    margin = max(CONFIG.windows) // 2
    found = TorchFrontEnd(CONFIG)(torch.from_numpy(np.pad(audio, ((0, 0), (margin, 0))))).numpy()
    for i in range(2):
        expected = FrontEnd(CONFIG).push(audio[i])
        np.testing.assert_allclose(found[i], expected, atol=2e-4)

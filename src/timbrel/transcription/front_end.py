"""Audio → spectra on a logarithmic frequency axis, in NumPy: what the network hears.

The magnitudes of several short-time transforms, scaled so that a sine of amplitude 1 has a
magnitude of 1, are gathered in bands of a third of a semitone and compressed by a logarithm.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from timbrel.constants import A4_HZ, A4_PITCH
from timbrel.mel.spectrogram import hann_window
from timbrel.transcription.sizes import TranscriberConfig

TINY_POWER = 1e-12  # below which a band is silent; keeps the gradient of the root finite
_BLOCK_FRAMES = 512


@lru_cache(maxsize=16)
def scaled_window(n_fft: int) -> np.ndarray:
    """A Hann window with which a sine of amplitude 1 has a magnitude of 1, float32."""
    window = hann_window(n_fft)
    return window * np.float32(2 / window.sum())


@lru_cache(maxsize=16)
def band_filters(config: TranscriberConfig, n_fft: int) -> np.ndarray:
    """Triangles with a peak of 1 for the powers of a transform, (n_fft / 2 + 1, n_bands), float32.

    They are as wide as the bands, or as the bins of the transform where these are wider: between
    two bins a band then is interpolated. Bands beyond half of the sample rate are empty.
    """
    pitches = np.array(config.band_pitches())
    centres_hz = A4_HZ * 2 ** ((pitches - A4_PITCH) / 12)
    widths_hz = centres_hz * (2 ** (1 / (12 * config.bands_per_semitone)) - 1)
    bin_hz = config.sample_rate / n_fft
    bins_hz = np.arange(n_fft // 2 + 1)[:, None] * bin_hz
    filters = 1 - np.abs(bins_hz - centres_hz) / np.maximum(widths_hz, bin_hz)
    filters = np.maximum(filters, 0) * (centres_hz < config.sample_rate / 2)
    return filters.astype(np.float32)


class FrontEnd:
    """Makes spectra of a stream of audio; frame k is centred on sample k · hop_length.

    Before the first sample there is silence.
    """

    def __init__(self, config: TranscriberConfig) -> None:
        self._config = config
        self._margin = max(config.windows) // 2
        self._heard = np.zeros(self._margin, np.float32)

    def push(self, audio: np.ndarray) -> np.ndarray:
        """Hear more samples; gives the spectra of the frames that are whole now.

        Parameters
        ----------
        audio : ndarray, shape (samples,)

        Returns
        -------
        spectra : ndarray of float32, shape (windows, frames, bands)
        """
        config, hop = self._config, self._config.hop_length
        heard = np.concatenate([self._heard, audio.astype(np.float32, copy=False)])
        n_frames = max((len(heard) - 2 * self._margin) // hop + 1, 0)
        spectra = np.empty((len(config.windows), n_frames, config.n_bands), np.float32)
        for first in range(0, n_frames, _BLOCK_FRAMES):
            last = min(first + _BLOCK_FRAMES, n_frames)
            for i, size in enumerate(config.windows):
                start = first * hop + self._margin - size // 2
                part = heard[start : start + (last - 1 - first) * hop + size]
                spectra[i, first:last] = _spectra(config, part, size)
        self._heard = heard[n_frames * hop :]
        return spectra


def _spectra(config: TranscriberConfig, audio: np.ndarray, size: int) -> np.ndarray:
    """The bands of all whole windows of some audio, (frames, bands)."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, size)[:: config.hop_length]
    transformed = np.fft.rfft(frames * scaled_window(size), axis=-1)
    power = (transformed.real**2 + transformed.imag**2).astype(np.float32)
    magnitude = np.sqrt(power @ band_filters(config, size) + np.float32(TINY_POWER))
    return np.log1p(np.float32(config.scale) * magnitude)

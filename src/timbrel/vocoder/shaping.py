"""Noise with the spectrum that a mel tells, through causal filters of minimum phase.

Each sample is normally distributed, given the noise before it: its deviation is the filter's first
tap. So this is an inverse autoregressive flow without weights. Of all causal filters with the same
magnitudes, that of minimum phase has the largest first tap, which is the error of the best linear
prediction (Kolmogorov).
"""

from __future__ import annotations

import numpy as np

from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import hann_window, mel_filters
from timbrel.vocoder.mel_scale import spread_of

_NARROWEST = 0.5  # bins that a band has at least
_MEAN_MAGNITUDE = np.sqrt(np.pi) / 2  # of a complex normal number whose mean square is one


def band_widths(config: MelConfig) -> np.ndarray:
    """How many bins each band of a mel adds up, (n_mels,)."""
    return np.maximum(mel_filters(config).sum(0), _NARROWEST)


def noise_power(config: MelConfig) -> float:
    """Mean square of a bin's magnitude where the sound is noise of a deviation of one."""
    return float(np.square(hann_window(config.n_fft)).sum())


def n_taps(config: MelConfig) -> int:
    """Taps of the filters."""
    return config.n_fft


def filters_of(mel: np.ndarray, config: MelConfig) -> np.ndarray:
    """Filters that give white noise the spectrum of each frame: (…, frames, n_taps).

    Parameters
    ----------
    mel
        Natural logarithm, shape (…, frames, n_mels).
    """
    n_fft = config.n_fft
    log_gain = (mel - np.log(band_widths(config))) @ spread_of(config, n_fft)
    log_gain = log_gain - np.log(_MEAN_MAGNITUDE * np.sqrt(noise_power(config)))
    # The cepstrum, folded, is that of the filter of minimum phase.
    cepstrum = np.fft.irfft(log_gain, n_fft)
    cepstrum[..., 1 : n_fft // 2] *= 2
    cepstrum[..., n_fft // 2 + 1 :] = 0
    taps = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), n_fft)
    # The end of a long response wraps around; a deviation must stay more than zero.
    taps[..., 0] = np.exp(cepstrum[..., 0])
    return taps


def shaped(noise: np.ndarray, filters: np.ndarray, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Filtered noise, and the logarithm of each sample's deviation.

    Parameters
    ----------
    noise
        Shape (tracks, n_taps - 1 + frames · hop): what came before, and that of the frames.
    filters
        Shape (tracks, frames + 1, n_taps). A sample lies between two frames, and its filter on the
        straight line between theirs.
    hop
        Samples of a frame.

    Returns
    -------
    shaped, log_deviation : ndarray of float32, each of shape (tracks, frames · hop)
    """
    taps = filters.shape[-1]
    size = taps - 1 + 2 * hop
    around = np.pad(noise, ((0, 0), (hop, hop)))
    segments = np.lib.stride_tricks.sliding_window_view(around, size, axis=-1)[:, ::hop]
    spectra = np.fft.rfft(segments) * np.fft.rfft(filters, size)
    # What wraps around in a circular convolution falls on the first samples. Each filter makes the
    # hop before its frame and the hop after it.
    found = np.fft.irfft(spectra, size)[..., taps - 1 :]
    share = np.arange(hop) / hop
    total = found[:, :-1, hop:] * (1 - share) + found[:, 1:, :hop] * share
    first = filters[..., :1]
    deviation = first[:, :-1] * (1 - share) + first[:, 1:] * share
    flat = len(noise), -1
    return (
        total.reshape(flat).astype(np.float32),
        np.log(deviation).reshape(flat).astype(np.float32),
    )

"""Audio → mel spectrogram, with the only short-time Fourier transform of the NumPy code.

Magnitudes (not powers) pass through triangular filters on the HTK mel scale, each with a peak of 1;
the natural logarithm is floored at −100 dB. Frame `k` is centred on sample ``k · hop_length``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from timbrel.errors import InputError
from timbrel.geometry import MelConfig

_BLOCK_FRAMES = 4096


def n_frames_of(n_samples: int, config: MelConfig) -> int:
    """Frames of a clip: one for each whole hop, so 65,536 samples make 512."""
    return n_samples // config.hop_length


@lru_cache(maxsize=8)
def hann_window(n_fft: int) -> np.ndarray:
    """The periodic Hann window, float32, shape (n_fft,)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)


def band_edges_hz(config: MelConfig) -> np.ndarray:
    """Edges of the bands, evenly spaced on the HTK mel scale, (n_mels + 2,).

    A band's triangle begins at one edge, peaks at the next and ends at the one after that.
    """

    def to_mel(hz: float) -> float:
        return 2595.0 * np.log10(1.0 + hz / 700.0)

    mels = np.linspace(to_mel(config.f_min_hz), to_mel(config.f_max_hz), config.n_mels + 2)
    return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)


@lru_cache(maxsize=8)
def mel_filters(config: MelConfig) -> np.ndarray:
    """Triangular filters on the HTK mel scale, float32, shape (n_fft / 2 + 1, n_mels)."""
    edges_hz = band_edges_hz(config)
    bins_hz = np.arange(config.n_fft // 2 + 1) * config.sample_rate / config.n_fft
    lower, centre, upper = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz[:, None] - lower) / (centre - lower)
    falling = (upper - bins_hz[:, None]) / (upper - centre)
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def stft(audio: np.ndarray, *, n_fft: int, hop_length: int) -> np.ndarray:
    """Short-time Fourier transform with a Hann window, zeros around the clip.

    Parameters
    ----------
    audio : ndarray, shape (samples,)

    Returns
    -------
    spectrum : ndarray of complex64, shape (samples // hop_length, n_fft / 2 + 1)
        Row `k` is centred on sample ``k · hop_length``.
    """
    n_frames = len(audio) // hop_length
    if n_frames == 0:
        return np.zeros((0, n_fft // 2 + 1), np.complex64)
    padded = np.pad(audio.astype(np.float32, copy=False), n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length][:n_frames]
    return np.fft.rfft(frames * hann_window(n_fft), axis=-1)


def mel_spectrogram(audio: np.ndarray, config: MelConfig | None = None) -> np.ndarray:
    """Natural-log mel spectrogram of a clip.

    Parameters
    ----------
    audio : ndarray, shape (samples,)
        In [-1, 1], at the sample rate of `config`.
    config
        The geometry; Timbrel's default if None.

    Returns
    -------
    mel : ndarray of float32, shape (samples // hop_length, n_mels)

    Raises
    ------
    InputError
        If the audio has more than one channel, or samples that are not finite.
    """
    config = config or MelConfig()
    if audio.ndim != 1:
        raise InputError(f"a mel spectrogram is made of one channel, not of shape {audio.shape}")
    if not np.isfinite(audio).all():
        raise InputError("the audio holds samples that are not finite")
    filters = mel_filters(config)
    n_frames = n_frames_of(len(audio), config)
    mel = np.empty((n_frames, config.n_mels), np.float32)
    margin = -(-config.n_fft // 2 // config.hop_length)  # hops that a window reaches to each side
    for start in range(0, n_frames, _BLOCK_FRAMES):
        stop = min(start + _BLOCK_FRAMES, n_frames)
        first = max(start - margin, 0)
        block = audio[first * config.hop_length : (stop + margin) * config.hop_length]
        spectrum = stft(block, n_fft=config.n_fft, hop_length=config.hop_length)
        mel[start:stop] = np.abs(spectrum[start - first : stop - first]) @ filters
    return np.log(np.maximum(mel, config.floor))

"""Notes as input of the spectral networks: log power of 512 bins × 256 frames, from 0 to 1."""

from __future__ import annotations

import numpy as np

from timbrel.mel.spectrogram import stft

N_FFT, HOP_LENGTH = 1024, 256
N_BINS, N_FRAMES = 512, 256  # without the highest bin; four seconds have 250 frames
RANGE_DB = 120.0


def log_spectrum(audio: np.ndarray) -> np.ndarray:
    """Log power of a note relative to its peak, float32, shape (512, 256): −120 dB is 0, 0 dB 1.

    Frames beyond the note's end are 0.
    """
    magnitude = np.abs(stft(audio, n_fft=N_FFT, hop_length=HOP_LENGTH))[:N_FRAMES, :N_BINS].T
    peak = magnitude.max(initial=0.0)
    level_db = 20 * np.log10(np.maximum(magnitude, 1e-10) / max(peak, 1e-10))
    scaled = np.clip(level_db / RANGE_DB + 1, 0, 1) * (peak > 0)
    return np.pad(scaled, ((0, 0), (0, N_FRAMES - scaled.shape[1]))).astype(np.float32)


def peak_magnitude(audio: np.ndarray) -> float:
    """The magnitude that `log_spectrum` takes as 0 dB."""
    return float(np.abs(stft(audio, n_fft=N_FFT, hop_length=HOP_LENGTH)).max(initial=0.0))


def spectrum_to_audio(
    spectrum: np.ndarray, *, peak: float, n_samples: int, iterations: int = 1000, seed: int = 0
) -> np.ndarray:
    """Audio of a log spectrum (512, 256), its phases found by Griffin and Lim's iteration.

    Parameters
    ----------
    peak
        Magnitude at 0 dB; see `peak_magnitude`.
    n_samples
        Length of the result.
    iterations
        1,000 as published.
    """
    import librosa

    magnitude = peak * 10 ** ((np.clip(spectrum, 0, 1) - 1) * RANGE_DB / 20) * (spectrum > 0)
    magnitude = np.pad(magnitude, ((0, 1), (0, 0)))
    audio = librosa.griffinlim(
        magnitude,
        n_iter=iterations,
        hop_length=HOP_LENGTH,
        momentum=0.99,
        pad_mode="constant",
        random_state=seed,
    )
    audio = audio[:n_samples]
    return np.pad(audio, (0, n_samples - len(audio))).astype(np.float32)

"""Notes as input of the spectral networks: log power of 512 bins × 256 frames, from 0 to 1."""

from __future__ import annotations

import numpy as np

from timbrel.mel.spectrogram import stft

N_FFT, HOP_LENGTH = 1024, 256
N_BINS, N_FRAMES = 512, 256  # without the highest bin; four seconds have 250 frames
RANGE_DB = 120.0
_MOMENTUM, _TINY = 0.99, 1e-10


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
    spectrum: np.ndarray, *, peak: float, n_samples: int, iterations: int
) -> np.ndarray:
    """Audio of a log spectrum (512, 256), its phases found by Griffin and Lim's iteration.

    It begins with phases that go on from frame to frame, so that partials are steady from the
    start. The published one begins with random phases, needs 1,000 iterations for that, and leaves
    lines at the frame rate where no sound has just this spectrum.

    Parameters
    ----------
    peak
        Magnitude at 0 dB; see `peak_magnitude`.
    n_samples
        Length of the result.
    iterations
        Of Griffin and Lim, with the momentum of Perraudin, Balazs and Søndergaard (2013).
    """
    import librosa

    magnitude = peak * 10 ** ((np.clip(spectrum, 0, 1) - 1) * RANGE_DB / 20) * (spectrum > 0)
    magnitude = np.pad(magnitude, ((0, 1), (0, 0)))
    magnitude = magnitude.astype(np.float32)
    found = magnitude * np.exp(1j * steady_phases(magnitude)).astype(np.complex64)
    before = np.zeros_like(found)
    for _ in range(iterations):
        audio = librosa.istft(found, hop_length=HOP_LENGTH)
        consistent = librosa.stft(audio, n_fft=N_FFT, hop_length=HOP_LENGTH, pad_mode="constant")
        moved = consistent + _MOMENTUM * (consistent - before)
        before = consistent
        found = magnitude * moved / (np.abs(moved) + _TINY)
    audio = librosa.istft(found, hop_length=HOP_LENGTH)[:n_samples]
    return np.pad(audio, (0, n_samples - len(audio))).astype(np.float32)


def steady_phases(magnitude: np.ndarray) -> np.ndarray:
    """Phases of partials that go on from frame to frame: shape (bins, frames), as `magnitude`.

    Each peak of a frame is a partial, whose frequency a parabola through the levels around it
    gives; the bins that are nearest to it go with it (Beauregard, Harish and Wyse 2015).
    """
    bins = np.arange(len(magnitude))
    levels = np.log(np.maximum(magnitude, _TINY))
    phases = np.zeros(magnitude.shape)
    now = np.zeros(len(magnitude))
    for frame, level in enumerate(levels.T):
        rises = np.diff(level) > 0
        peaks = np.flatnonzero(rises[:-1] & ~rises[1:]) + 1
        if len(peaks):
            below, top, above = level[peaks - 1], level[peaks], level[peaks + 1]
            offset = (above - below) / 2 / (2 * top - below - above)
            at_peaks = now[peaks] + 2 * np.pi * HOP_LENGTH / N_FFT * (peaks + offset)
            nearest = np.searchsorted((peaks[1:] + peaks[:-1]) / 2, bins)
            # Around a peak the phases of a window that is not centred at 0 alternate.
            now = at_peaks[nearest] + np.pi * ((bins - peaks[nearest]) % 2)
        phases[:, frame] = now
    return phases

"""Measures of reconstructed and morphed notes; pure functions of arrays."""

from __future__ import annotations

import numpy as np

from timbrel.constants import A4_HZ, A4_PITCH, SAMPLE_RATE
from timbrel.notes.spectrum import HOP_LENGTH, N_FFT, RANGE_DB

_LOWEST_HZ, _HIGHEST_HZ = 30.0, 4_500.0
_TRACKER_FRAME = 2048
_HEARD = 0.1  # of the loudest frame's level: what the pitch tracker is asked about
_AUDIBLE = 0.5  # of the log spectrum's range: bins 60 dB below the peak and louder
_PITCH_TOLERANCE = 0.5  # semitones
_RIDGE = 1e-3  # of the mean variance


def f1_score(true: np.ndarray, predicted: np.ndarray) -> float:
    """F1 of labels 0 and 1 of any shape, all of them pooled; 0 where there is nothing right."""
    hits = float((true * predicted).sum())
    found_or_there = float(true.sum() + predicted.sum())
    return 2 * hits / found_or_there if found_or_there else 0.0


def majority_floor(
    train_pitches: np.ndarray,
    train_qualities: np.ndarray,
    test_pitches: np.ndarray,
    test_qualities: np.ndarray,
) -> dict[str, float]:
    """What a judge reaches that always says what is most frequent in the training split."""
    pitch = np.bincount(train_pitches).argmax()
    qualities = (train_qualities.mean(axis=0) > 0.5).astype(int)
    said = np.broadcast_to(qualities, test_qualities.shape)
    return {
        "pitch_accuracy": float((test_pitches == pitch).mean()),
        "quality_accuracy": float((said == test_qualities).mean()),
        "quality_f1": f1_score(test_qualities, said),
    }


def linear_probe(
    train_codes: np.ndarray,
    train_labels: np.ndarray,
    test_codes: np.ndarray,
    test_labels: np.ndarray,
) -> float:
    """Accuracy of a linear classifier of codes (notes, features), fitted by least squares.

    Ridge regression of one-hot labels on standardised features; the largest output is the label.
    """
    mean, deviation = train_codes.mean(axis=0), train_codes.std(axis=0) + 1e-8

    def features(codes: np.ndarray) -> np.ndarray:
        scaled = (codes - mean) / deviation
        return np.concatenate([scaled, np.ones((len(codes), 1))], axis=1)

    labels = np.unique(train_labels)
    targets = (train_labels[:, None] == labels).astype(np.float64)
    x = features(train_codes)
    penalty = _RIDGE * len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(x.T @ x + penalty, x.T @ targets)
    found = labels[(features(test_codes) @ weights).argmax(axis=1)]
    return float((found == test_labels).mean())


def spectrum_error_db(true: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute difference of log spectra where the true one is within 60 dB of its peak."""
    audible = true > _AUDIBLE
    if not audible.any():
        return 0.0
    return float(np.abs(true - predicted)[audible].mean() * RANGE_DB)


def spectral_centroid_hz(audio: np.ndarray) -> float:
    """Power-weighted mean frequency of a sound, of its whole length."""
    power = np.abs(np.fft.rfft(audio.astype(np.float64))) ** 2
    hz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    return float((power * hz).sum() / max(power.sum(), 1e-30))


def tracked_pitch(audio: np.ndarray) -> float:
    """The pitch of a sound as a MIDI number with fractions, found by YIN; NaN if it is silent.

    The median over the frames that are not much softer than the loudest.
    """
    import librosa

    hz = librosa.yin(
        audio.astype(np.float32),
        fmin=_LOWEST_HZ,
        fmax=_HIGHEST_HZ,
        sr=SAMPLE_RATE,
        frame_length=_TRACKER_FRAME,
        hop_length=HOP_LENGTH,
    )
    level = librosa.feature.rms(y=audio, frame_length=N_FFT, hop_length=HOP_LENGTH)[0]
    n = min(len(hz), len(level))
    heard = level[:n] > max(_HEARD * level.max(), 1e-5)
    if not heard.any():
        return float("nan")
    return float(np.median(A4_PITCH + 12 * np.log2(hz[:n][heard] / A4_HZ)))


def is_at(audio: np.ndarray, pitch: int) -> bool:
    """Whether the pitch tracker hears a pitch."""
    return abs(tracked_pitch(audio) - pitch) <= _PITCH_TOLERANCE

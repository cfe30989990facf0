"""Measures of how close a synthesis is to its original; pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrel.constants import SAMPLE_RATE
from timbrel.errors import InputError

DB_PER_NEPER = 20 / np.log(10)
N_CQT_BINS = 84  # librosa's default: seven octaves from C1
SILENCE_DB = 60.0  # frames whose loudest bin lies so far below the loudest of all are silent


@dataclass(frozen=True)
class LogMelMeasures:
    """Agreement of two log-mel spectrograms over the frames that are not silent."""

    correlation: float
    centred_correlation: float
    error_db: float
    # The same for a predictor that knows the mean of each bin and nothing else. Its centred
    # correlation is 0 by definition.
    mean_correlation: float
    mean_error_db: float
    n_frames: int


def log_mel_measures(true: np.ndarray, predicted: np.ndarray) -> LogMelMeasures:
    """Compare natural-log mel spectrograms.

    Frames whose loudest true bin is more than 60 dB below the loudest of the whole are left out.
    `correlation` is Pearson's over all frames and bins; for `centred_correlation` the mean of each
    bin is first taken off, from either spectrogram its own, so that the average spectrum of an
    instrument earns nothing; `error_db` is the mean absolute difference.

    Parameters
    ----------
    true, predicted : ndarray, shape (frames, bins)
        Of one pool of clips, one after the other.

    Raises
    ------
    InputError
        If the shapes differ or no frame is left.
    """
    if true.shape != predicted.shape:
        raise InputError(f"mel spectrograms of shapes {true.shape} and {predicted.shape} differ")
    loudest = true.max(axis=1, initial=-np.inf)
    audible = loudest > loudest.max(initial=-np.inf) - SILENCE_DB / DB_PER_NEPER
    if not audible.any():
        raise InputError("there is no frame above silence to compare")
    true = true[audible].astype(np.float64)
    predicted = predicted[audible].astype(np.float64)
    mean = np.broadcast_to(true.mean(axis=0), true.shape)
    return LogMelMeasures(
        correlation=_pearson(true, predicted),
        centred_correlation=_pearson(true - mean, predicted - predicted.mean(axis=0)),
        error_db=float(np.abs(true - predicted).mean() * DB_PER_NEPER),
        mean_correlation=_pearson(true, mean),
        mean_error_db=float(np.abs(true - mean).mean() * DB_PER_NEPER),
        n_frames=len(true),
    )


class LogCqtCorrelation:
    """Pearson's correlation of the log constant-Q spectra of originals and syntheses, by frequency.

    The measure of Kim et al. (2019), as it reproduces their µ-law row: librosa's constant-Q
    transform with its defaults (84 bins from C1, 12 an octave, hop 512) at 16 kHz, magnitudes in dB
    floored at −100 dB, one correlation for each bin over the frames of all clips pooled. Clips are
    added one by one; only sums are kept, and those of several pools can be added.

    Parameters
    ----------
    sums : ndarray, shape (6, 84)
        Of another pool, to go on from.
    """

    def __init__(self, sums: np.ndarray | None = None) -> None:
        self.sums = np.zeros((6, N_CQT_BINS)) if sums is None else np.array(sums, np.float64)

    def add(self, original: np.ndarray, synthesis: np.ndarray) -> None:
        """Add a pair of clips, each (samples,) at 16 kHz and of one length."""
        if original.shape != synthesis.shape:
            raise InputError(f"clips of shapes {original.shape} and {synthesis.shape} differ")
        self.add_spectra(log_cqt(original), log_cqt(synthesis))

    def add_spectra(self, a: np.ndarray, b: np.ndarray) -> None:
        """Add a pair of log constant-Q spectra, each (bins, frames)."""
        parts = (np.ones_like(a), a, b, a * a, b * b, a * b)
        self.sums += np.stack([part.sum(axis=1) for part in parts])

    def __iadd__(self, other: LogCqtCorrelation) -> LogCqtCorrelation:
        self.sums += other.sums
        return self

    def by_bin(self) -> np.ndarray:
        """Correlation of each bin, shape (84,); 0 where one of both never changes."""
        return correlation_of_sums(self.sums)

    def by_octave(self) -> np.ndarray:
        """Means of the octaves from C1 upward, shape (7,)."""
        return self.by_bin().reshape(-1, 12).mean(axis=1)

    def mean(self) -> float:
        """Mean of all bins."""
        return float(self.by_bin().mean())


def correlation_of_sums(sums: np.ndarray) -> np.ndarray:
    """Pearson's correlation from the sums of 1, a, b, a², b² and ab: (…, 6, bins) → (…, bins).

    0 where one of both never changes.
    """
    n, a, b, aa, bb, ab = np.moveaxis(sums, -2, 0)
    n = np.maximum(n, 1)
    covariance = ab - a * b / n
    # What rounding leaves of the variance of a constant is no variance.
    variances = [
        np.where(squares - total**2 / n > 1e-12 * squares, squares - total**2 / n, 0.0)
        for total, squares in ((a, aa), (b, bb))
    ]
    scale = np.sqrt(variances[0] * variances[1])
    return np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)


def log_cqt(audio: np.ndarray) -> np.ndarray:
    """Constant-Q spectrum in dB, floored at −100 dB, of a clip at 16 kHz: (84, frames)."""
    import librosa

    spectrum = librosa.cqt(audio.astype(np.float32, copy=False), sr=SAMPLE_RATE)
    return 20 * np.log10(np.maximum(np.abs(spectrum).astype(np.float64), 1e-5))


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation over all elements; 0 where one of both is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale > 0 else 0.0

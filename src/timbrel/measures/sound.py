"""Measures that compare a synthesis with its original in respects that correlations do not capture.

All of them are pure functions of clips at 16 kHz, (samples,) each, within [-1, 1]; functions of two
clips expect them to have the same length. Levels are in dB below full scale (an RMS of 1 is 0 dB),
floored at −100 dB. A value that does not exist for a clip, such as the level of its silence if it
contains none, is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrel.constants import HOP_LENGTH, MEL_FLOOR, N_FFT, SAMPLE_RATE
from timbrel.errors import InputError
from timbrel.measures.correlation import SILENCE_DB
from timbrel.mel.spectrogram import stft

_FLOOR = MEL_FLOOR  # −100 dB, of magnitudes as of levels
_FLOOR_DB = 20 * np.log10(_FLOOR)

SPECTRAL_SCALES = (2048, 1024, 512, 256, 128, 64)  # samples of a window
HIGH_BAND_HZ = 4_000.0
_BAND_FLOOR_DB = -90.0  # of a bin in the mean over the band: below it is the noise of 16 bits

QUIET = 10 ** (-80 / 20)  # what an original stays below where it is silent
_MARGIN_S = 0.064  # beside a sound, silence is not yet measured: a window of the mel reaches so far

CLICK_DEVIATIONS = 8.0  # median absolute deviations
_PREDICTION_ORDER = 32
_CLICK_FRAME = 1024  # samples; its middle half is looked at
_CLICK_FLOOR = 1e-4  # −80 dB: what is softer is no click, whatever is around it
_WHITE_NOISE = 1e-9  # of a frame's energy, so that pure tones can be predicted, too


@dataclass(frozen=True)
class SoundMeasures:
    """How a synthesis sounds beside its original."""

    spectral_distance: float
    level_error_db: float
    energy_error_db: float
    centroid_error: float
    flatness_error_db: float
    flatness_bias_db: float
    silence_floor_db: float
    clicks_per_minute: float


def sound_measures(original: np.ndarray, synthesis: np.ndarray) -> SoundMeasures:
    """All measures of this module.

    Raises
    ------
    InputError
        If the clips differ in length, or are shorter than a window of 2048 samples.
    """
    error_db, bias_db = flatness_error_db(original, synthesis)
    return SoundMeasures(
        spectral_distance=spectral_distance(original, synthesis),
        level_error_db=level_error_db(original, synthesis),
        energy_error_db=energy_error_db(original, synthesis),
        centroid_error=centroid_error(original, synthesis),
        flatness_error_db=error_db,
        flatness_bias_db=bias_db,
        silence_floor_db=silence_floor_db(original, synthesis),
        clicks_per_minute=clicks_per_minute(synthesis),
    )


def spectral_distance(original: np.ndarray, synthesis: np.ndarray) -> float:
    """Multi-scale spectral distance: 0 where the clips are equal, without an upper bound.

    As in Engel et al., "DDSP: Differentiable Digital Signal Processing" (2020): for windows of
    2048, 1024, 512, 256, 128 and 64 samples, with hops of a quarter, the mean absolute difference
    of the magnitudes and that of their natural logarithms, floored at 1e-5, all added up. A copy
    that is softer by a factor `g` is 6 · |ln g| away, and (1 − g) times the magnitudes.
    """
    _check(original, synthesis)
    distance = 0.0
    for n_fft in SPECTRAL_SCALES:
        a, b = (np.abs(stft(x, n_fft=n_fft, hop_length=n_fft // 4)) for x in (original, synthesis))
        logs = np.log(np.maximum(a, _FLOOR)) - np.log(np.maximum(b, _FLOOR))
        distance += float(np.abs(a - b).mean(dtype=np.float64))
        distance += float(np.abs(logs).mean(dtype=np.float64))
    return distance


def level_db(audio: np.ndarray) -> float:
    """Level of a whole clip: its RMS in dB."""
    rms = np.sqrt(np.mean(np.square(audio, dtype=np.float64))) if len(audio) else 0.0
    return float(20 * np.log10(max(rms, _FLOOR)))


def level_error_db(original: np.ndarray, synthesis: np.ndarray) -> float:
    """How much louder the synthesis is as a whole; below 0 where it is softer."""
    _check(original, synthesis)
    return level_db(synthesis) - level_db(original)


def frame_levels_db(audio: np.ndarray) -> np.ndarray:
    """Levels of frames of 1024 samples, 128 apart, shape (samples // 128,).

    Frame `k` is centred on sample ``128 · k``; beyond the clip there is silence.
    """
    energy = np.cumsum(np.pad(np.square(audio, dtype=np.float64), N_FFT // 2), dtype=np.float64)
    energy = np.concatenate([[0.0], energy])
    starts = HOP_LENGTH * np.arange(len(audio) // HOP_LENGTH)
    mean = np.maximum(energy[starts + N_FFT] - energy[starts], 0) / N_FFT
    return 10 * np.log10(np.maximum(mean, _FLOOR**2))


def audible_frames(levels_db: np.ndarray) -> np.ndarray:
    """Which frames lie less than 60 dB below the loudest, and above the floor."""
    loudest = levels_db.max(initial=_FLOOR_DB)
    return levels_db > max(loudest - SILENCE_DB, _FLOOR_DB)


def energy_error_db(original: np.ndarray, synthesis: np.ndarray) -> float:
    """Mean absolute difference of the frames' levels, where the original is audible.

    Blind to the spectrum; it sees envelopes: softened attacks, notes that end early or ring on.
    """
    _check(original, synthesis)
    a, b = frame_levels_db(original), frame_levels_db(synthesis)
    return _mean(np.abs(a - b)[audible_frames(a)])


def spectral_centroids_hz(audio: np.ndarray) -> np.ndarray:
    """Mean frequency of each frame, weighted by magnitude, shape (samples // 128,), in Hz.

    The brightness of a sound (Grey and Gordon 1978); NaN where the frame is silent.
    """
    magnitudes = np.abs(stft(audio, n_fft=N_FFT, hop_length=HOP_LENGTH)).astype(np.float64)
    frequencies_hz = np.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
    total = magnitudes.sum(axis=1)
    silent = np.full(len(total), np.nan)
    return np.divide(magnitudes @ frequencies_hz, total, out=silent, where=total > _FLOOR)


def centroid_error(original: np.ndarray, synthesis: np.ndarray) -> float:
    """Mean absolute error of the spectral centroid, as a share of the original's.

    Over the frames where the original is audible and both have a centroid.
    """
    _check(original, synthesis)
    audible = audible_frames(frame_levels_db(original))
    a, b = (spectral_centroids_hz(audio)[audible] for audio in (original, synthesis))
    errors = np.abs(b / a - 1)
    return _mean(errors[np.isfinite(errors)])


def high_band_flatness_db(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spectral flatness above 4 kHz of each frame, and the band's level, both (frames,), in dB.

    The geometric mean of the powers of the bins divided by their arithmetic mean (Gray and Markel
    1974): about −2.5 dB for noise, far below for tones and buzz. The level is the arithmetic mean,
    where a sine at full scale is 0 dB in its bin.
    """
    spectrum = stft(audio, n_fft=N_FFT, hop_length=HOP_LENGTH)
    band = slice(round(HIGH_BAND_HZ * N_FFT / SAMPLE_RATE), None)
    power = np.square(np.abs(spectrum[:, band]).astype(np.float64) * 4 / N_FFT)
    power = np.maximum(power, _FLOOR**4)
    arithmetic_db = 10 * np.log10(power.mean(axis=1))
    return 10 * np.log10(power).mean(axis=1) - arithmetic_db, arithmetic_db


def flatness_error_db(original: np.ndarray, synthesis: np.ndarray) -> tuple[float, float]:
    """Error of the spectral flatness above 4 kHz: mean absolute, and mean difference.

    The difference is above 0 where the synthesis hisses more than the original, below 0 where it
    buzzes more. Frames count in which both bands are louder than the noise of 16 bits; NaN where
    there are none.
    """
    _check(original, synthesis)
    (a, a_level), (b, b_level) = (high_band_flatness_db(x) for x in (original, synthesis))
    heard = (a_level > _BAND_FLOOR_DB) & (b_level > _BAND_FLOOR_DB)
    difference = (b - a)[heard]
    return _mean(np.abs(difference)), _mean(difference)


def silence_floor_db(original: np.ndarray, synthesis: np.ndarray) -> float:
    """Level of the synthesis where the original is silent: below −80 dB for 64 ms around.

    NaN where it never is.
    """
    _check(original, synthesis)
    margin = round(_MARGIN_S * SAMPLE_RATE)
    sounding = np.flatnonzero(np.abs(original) >= QUIET)
    changes = np.zeros(len(original) + 1, np.int64)
    np.add.at(changes, np.maximum(sounding - margin, 0), 1)
    np.add.at(changes, np.minimum(sounding + margin + 1, len(original)), -1)
    silent = np.cumsum(changes)[:-1] == 0
    return level_db(synthesis[silent]) if silent.any() else float("nan")


def clicks_per_minute(audio: np.ndarray) -> float:
    """Clicks: samples that linear prediction misses by far, counted per minute.

    In frames of 1024 samples, predicted from the 32 samples before each by the autocorrelation
    method, those count whose residual lies more than 8 median absolute deviations of the frame's
    from its median (see Godsill and Rayner, "Digital Audio Restoration", 1998, chapter 5) and is
    not below −80 dB; within 32 samples they are one click. Struck notes and the edges of sawtooths
    are clicks, too: compare with the original's. White noise has about one in two minutes.
    """
    if len(audio) < _CLICK_FRAME:
        raise InputError(f"a clip of {len(audio)} samples is too short to look for clicks")
    places = click_places(audio)
    return float(len(places) * 60 * SAMPLE_RATE / len(audio))


def click_places(audio: np.ndarray) -> np.ndarray:
    """First samples of the clicks that `clicks_per_minute` counts."""
    step = _CLICK_FRAME // 2
    n_frames = len(audio) // step
    padded = np.pad(audio.astype(np.float64), step // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _CLICK_FRAME)[::step][:n_frames]
    middle = slice(step // 2, step // 2 + step)
    residual = _prediction_residual(frames)[:, middle]
    centred = np.abs(residual - np.median(residual, axis=1, keepdims=True))
    deviation = np.median(centred, axis=1, keepdims=True)
    missed = centred > np.maximum(CLICK_DEVIATIONS * deviation, _CLICK_FLOOR)
    missed = missed.reshape(-1)
    missed[:_PREDICTION_ORDER] = False  # before the clip there is nothing to predict from
    places = np.flatnonzero(missed)
    return places[np.diff(places, prepend=-_CLICK_FRAME) > _PREDICTION_ORDER]


def _prediction_residual(frames: np.ndarray) -> np.ndarray:
    """What the best linear prediction of each frame leaves of it, (frames, samples)."""
    windowed = frames * np.hanning(frames.shape[1] + 2)[1:-1]
    spectrum = np.fft.rfft(windowed, 2 * frames.shape[1])
    lags = np.fft.irfft(np.square(np.abs(spectrum)))[:, : _PREDICTION_ORDER + 1]
    filters = _prediction_filters(lags)
    residual = frames.copy()
    for lag in range(1, _PREDICTION_ORDER + 1):
        residual[:, lag:] += filters[:, lag : lag + 1] * frames[:, :-lag]
    return residual


def _prediction_filters(lags: np.ndarray) -> np.ndarray:
    """Levinson's and Durbin's recursion for many frames: (frames, order + 1), 1 first."""
    n_frames, n_lags = lags.shape
    filters = np.zeros((n_frames, n_lags))
    filters[:, 0] = 1.0
    error = lags[:, 0] * (1 + _WHITE_NOISE)
    for order in range(1, n_lags):
        missed = (filters[:, :order] * lags[:, order:0:-1]).sum(axis=1)
        reflection = np.divide(-missed, error, out=np.zeros(n_frames), where=error > 0)
        reversed_filters = filters[:, order - 1 :: -1] if order > 1 else filters[:, :1]
        filters[:, 1 : order + 1] += reflection[:, None] * reversed_filters
        error = error * (1 - reflection**2)
    return filters


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _check(original: np.ndarray, synthesis: np.ndarray) -> None:
    if original.ndim != 1 or original.shape != synthesis.shape:
        raise InputError(f"clips of shapes {original.shape} and {synthesis.shape} differ")
    if len(original) < max(SPECTRAL_SCALES):
        raise InputError(f"a clip of {len(original)} samples is too short to be measured")

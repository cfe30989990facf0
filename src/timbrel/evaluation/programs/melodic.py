"""Melodic programs: correlation, the octave beyond 16 kHz, level, velocity, and what is heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from timbrel.bundles.bundle import Instrument
from timbrel.constants import SAMPLE_RATE
from timbrel.corpus.etudes import natural_range
from timbrel.evaluation.judges import load_judge
from timbrel.evaluation.originals import Excerpt
from timbrel.evaluation.programs.pairs import Pairs, strokes
from timbrel.measures.correlation import DB_PER_NEPER, LogCqtCorrelation
from timbrel.measures.notes_heard import note_scores, note_table
from timbrel.measures.sound import audible_frames, level_error_db
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.midi import read_midi

HIGH_HZ, HIGH_BINS = 8_372.0, 12  # the octave from C9, which 16 kHz does not hold
VELOCITIES = (20, 50, 80, 110)
JUDGE = "basic-pitch"
_NOTES = 5  # of the phrase that is played at each velocity
_STEP_S, _HOLD_S = 0.5, 0.4


@dataclass(frozen=True)
class ProgramMeasures:
    """What was found of one program."""

    name: str
    program: int
    cqt_sums: np.ndarray  # of `LogCqtCorrelation`, at 16 kHz
    high_sums: np.ndarray  # the same of the octave from 8.4 kHz, (6, 12)
    high_level_db: float  # of that octave, the model's above the original's
    level_db: float  # of the music, the model's above the original's, mean of the excerpts
    variance_ratio: float  # of the log-mel over time, mean of the bands: the model's / original's
    velocity_errors_db: tuple[float, ...]  # the model's level above the original's, by VELOCITIES
    heard_original: float  # F1 of onset and pitch of the judge; NaN where there is none
    heard_made: float

    @property
    def correlation(self) -> float:
        return LogCqtCorrelation(self.cqt_sums).mean()


def measure_program(
    pairs: Pairs, instrument: Instrument, excerpts: Sequence[Excerpt], midi: Path, *, judged: bool
) -> ProgramMeasures:
    """Compare a program with the original on excerpts of real music, and on a phrase.

    Parameters
    ----------
    pairs, instrument
        Who plays what.
    excerpts, midi
        What is played, and the folder of the files.
    judged
        Whether basic-pitch listens, too.
    """
    low, high = LogCqtCorrelation(), LogCqtCorrelation(np.zeros((6, HIGH_BINS)))
    levels, high_levels, ratios, heard = [], [], [], []
    for excerpt in excerpts:
        whole = read_midi(midi / excerpt.file).merged()
        score = whole.excerpt(excerpt.start_s, excerpt.duration_s)
        pair = pairs.of_score(score, instrument, excerpt.duration_s)
        at_16k = [soxr.resample(sound, pairs.sample_rate, SAMPLE_RATE) for sound in pair]
        low.add(*at_16k)
        spectra = _high_spectra(pair, pairs.sample_rate)
        if spectra is not None:
            high.add_spectra(*spectra)
            high_levels.append(float(_power_db(spectra[1]) - _power_db(spectra[0])))
        levels.append(level_error_db(*pair))
        mel = pairs.synthesizer.model.mel
        ratios.append(variance_ratio(*(mel_spectrogram(sound, mel) for sound in pair)))
        if judged:
            played = note_table(score.notes)
            heard.append([_heard(played, sound, excerpt.duration_s) for sound in at_16k])
    original, made = np.mean(heard, axis=0) if heard else (np.nan, np.nan)
    return ProgramMeasures(
        name=instrument.name,
        program=instrument.program,
        cqt_sums=low.sums,
        high_sums=high.sums,
        high_level_db=float(np.mean(high_levels)) if high_levels else float("nan"),
        level_db=float(np.mean(levels)),
        variance_ratio=float(np.mean(ratios)),
        velocity_errors_db=velocity_errors_db(pairs, instrument),
        heard_original=float(original),
        heard_made=float(made),
    )


def velocity_errors_db(pairs: Pairs, instrument: Instrument) -> tuple[float, ...]:
    """The model's level above the original's in a phrase at each of `VELOCITIES`, in dB."""
    lowest, highest = natural_range(instrument.program)
    pitches = np.linspace(lowest, highest, _NOTES + 2)[1:-1].round().astype(int).tolist()
    hits = [
        (_STEP_S * (i * _NOTES + k), pitch, velocity)
        for i, velocity in enumerate(VELOCITIES)
        for k, pitch in enumerate(pitches)
    ]
    midi = strokes(hits, is_kit=False, hold_s=_HOLD_S, program=instrument.program)
    length = round(_STEP_S * _NOTES * pairs.sample_rate)
    original, made = pairs.of_midi(midi, instrument)
    parts = [slice(i * length, (i + 1) * length) for i in range(len(VELOCITIES))]
    return tuple(level_error_db(original[part], made[part]) for part in parts)


def _high_spectra(pair: tuple[np.ndarray, np.ndarray], sample_rate: int) -> list[np.ndarray] | None:
    """Log spectra of the octave from 8.4 kHz, in dB; None where the sample rate lacks it."""
    import librosa

    if sample_rate < 4 * HIGH_HZ:
        return None
    spectra = [
        librosa.cqt(sound.astype(np.float32), sr=sample_rate, fmin=HIGH_HZ, n_bins=HIGH_BINS)
        for sound in pair
    ]
    return [20 * np.log10(np.maximum(np.abs(one), 1e-5)) for one in spectra]


def _power_db(spectrum_db: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(10 ** (spectrum_db / 10))))


def variance_ratio(original: np.ndarray, made: np.ndarray) -> float:
    """The variance over time of a made log-mel by the original's, in frames that sound.

    Parameters
    ----------
    original, made : ndarray, shape (frames, n_mels)
        Natural logarithms.
    """
    sounding = audible_frames(original.max(axis=1) * DB_PER_NEPER)
    variances = [mel[sounding].var(axis=0).mean() for mel in (original, made)]
    return float(variances[1] / max(variances[0], 1e-9))


def _heard(played: np.ndarray, sound: np.ndarray, duration_s: float) -> float:
    return note_scores(played, load_judge(JUDGE).transcribe(sound), duration_s).pitch

"""How well a transcription agrees with a score: notes, their velocities, and what sounds when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Its text is part of the keys of cached evaluations, so it stays as it is.
from timbrel.measures.notes_heard import (
    MARGIN_S,
    ONSET_TOLERANCE_S,
    _within,
    _without_doubles,
    note_scores,
)

_GRID_S = 0.01  # of MIREX's multi-pitch estimation, on which frames are compared
_VELOCITY_TOLERANCE = 0.1  # of the score's range, by Hawthorne et al. (2018)


@dataclass(frozen=True)
class TranscriptionScores:
    """What was found of a transcription; F1 from 0 to 1, errors in MIDI velocities.

    NaN where the score has no notes, or the transcription does not say.
    """

    onset: float  # F1: something is struck within 50 ms
    pitch: float  # and it has the right pitch
    offset: float  # and it ends within 20 % of its length, or 50 ms
    velocity: float  # onset, pitch, and a velocity within a tenth of the score's range
    frame: float  # F1 of keys that sound, on a grid of 10 ms
    # Of notes whose onset and pitch are right: the mean absolute error after the best straight
    # line, as in mir_eval, and the error of the best constant.
    velocity_error: float
    constant_error: float


def transcription_scores(
    reference: np.ndarray,
    estimated: np.ndarray,
    duration_s: float,
    *,
    offsets: bool = True,
    velocities: bool = True,
) -> TranscriptionScores:
    """Compare a transcription with what was played; see `note_scores`.

    Parameters
    ----------
    reference, estimated : ndarray, shape (notes, 4)
        Start and end in seconds, MIDI pitch, velocity.
    duration_s
        Of the excerpt.
    offsets, velocities
        Whether the estimated ends and velocities mean something.
    """
    # The second column is not looked at: here it tells which rows stay.
    rows = np.column_stack([reference[:, 0], np.arange(len(reference)), reference[:, 2]])
    reference = reference[_without_doubles(rows)[:, 1].astype(int)]
    notes = note_scores(reference[:, :3], estimated[:, :3], duration_s, offsets=offsets)
    velocity, error, constant = float("nan"), float("nan"), float("nan")
    if velocities and np.isfinite(notes.pitch):
        velocity, error, constant = _velocities(reference, estimated, duration_s)
    frame = frame_f1(reference, estimated, duration_s) if offsets else float("nan")
    return TranscriptionScores(
        notes.onset, notes.pitch, notes.offset, velocity, frame, error, constant
    )


def frame_f1(reference: np.ndarray, estimated: np.ndarray, duration_s: float) -> float:
    """F1 of the keys that sound on a grid of 10 ms, all moments together.

    That of the precision and recall of `mir_eval.multipitch` (Bay, Ehmann and Downie 2009).
    """
    true, found = (_sounding(notes, duration_s) for notes in (reference, estimated))
    if not true.any():
        return float("nan")
    return float(2 * (true & found).sum() / (true.sum() + found.sum()))


def _sounding(notes: np.ndarray, duration_s: float) -> np.ndarray:
    """Which of 128 keys sound at each moment, (moments, 128)."""
    times_s = np.arange(0, duration_s, _GRID_S)
    sounding = np.zeros((len(times_s), 128), bool)
    for start_s, end_s, pitch in notes[:, :3]:
        first, last = np.searchsorted(times_s, (start_s, end_s))
        sounding[first:last, round(pitch)] = True
    return sounding


def _velocities(
    reference: np.ndarray, estimated: np.ndarray, duration_s: float
) -> tuple[float, float, float]:
    """F1 with velocities, error after an affine fit, error of a constant."""
    from mir_eval import transcription, transcription_velocity
    from mir_eval.util import midi_to_hz

    (times, pitches), (found_times, found_pitches) = (
        _within(notes[:, :3], duration_s) for notes in (reference, estimated)
    )
    velocities, found_velocities = (
        notes[_begun_within(notes, duration_s), 3] for notes in (reference, estimated)
    )
    if not len(found_times):
        return 0.0, float("nan"), float("nan")
    hz, found_hz = midi_to_hz(pitches), midi_to_hz(found_pitches)
    matched = transcription.match_notes(
        times, hz, found_times, found_hz, onset_tolerance=ONSET_TOLERANCE_S, offset_ratio=None
    )
    if not matched:
        return 0.0, float("nan"), float("nan")
    f1 = transcription_velocity.precision_recall_f1_overlap(
        times,
        hz,
        velocities,
        found_times,
        found_hz,
        found_velocities,
        onset_tolerance=ONSET_TOLERANCE_S,
        offset_ratio=None,
        velocity_tolerance=_VELOCITY_TOLERANCE,
    )[2]
    rows, found_rows = np.array(matched).T
    true, found = velocities[rows], found_velocities[found_rows]
    design = np.column_stack([found, np.ones(len(found))])
    slope = np.linalg.lstsq(design, true, rcond=None)[0]
    error = float(np.abs(design @ slope - true).mean())
    return float(f1), error, float(np.abs(true - np.median(true)).mean())


def _begun_within(notes: np.ndarray, duration_s: float) -> np.ndarray:
    return (notes[:, 0] >= MARGIN_S) & (notes[:, 0] < duration_s - MARGIN_S)

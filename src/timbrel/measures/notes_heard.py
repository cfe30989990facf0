"""How well a transcriber recovers the notes of a score from a synthesis of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from timbrel.score.score import Note

ONSET_TOLERANCE_S = 0.05
OFFSET_RATIO = 0.2  # of the note's length, but no less than 50 ms
# Notes that begin this close to the ends of an excerpt are not counted as errors.
MARGIN_S = 0.05


@dataclass(frozen=True)
class NoteScores:
    """F1 of a transcription, 0 to 1; NaN where the score has no notes, or there are no offsets."""

    onset: float  # something is struck within 50 ms
    pitch: float  # and it has the right pitch
    offset: float  # and it ends within 20 % of its length, or 50 ms


def note_table(notes: Iterable[Note], begin_s: float = 0.0) -> np.ndarray:
    """Start and end in seconds and pitch of notes, (notes, 3), with times from `begin_s` on."""
    rows = [(note.start_s - begin_s, note.end_s - begin_s, note.pitch) for note in notes]
    return np.array(rows, np.float64).reshape(-1, 3)


def note_scores(
    reference: np.ndarray, estimated: np.ndarray, duration_s: float, *, offsets: bool = True
) -> NoteScores:
    """Compare a transcription with what was played, by mir_eval (Raffel et al. 2014).

    The measures are those of MIREX, see Bay, Ehmann and Downie (2009): F1 of the best one-to-one
    match of the notes. Only those count that begin within the excerpt, 50 ms from its ends or
    more; of reference notes of one pitch that begin within 50 ms of each other the first counts.

    Parameters
    ----------
    reference, estimated : ndarray, shape (notes, 3)
        Start and end in seconds, MIDI pitch.
    duration_s
        Of the excerpt.
    offsets
        Whether the estimated ends mean something.
    """
    from mir_eval import transcription
    from mir_eval.util import midi_to_hz

    (times, pitches), (found_times, found_pitches) = (
        _within(notes, duration_s) for notes in (_without_doubles(reference), estimated)
    )
    if not len(times):
        return NoteScores(float("nan"), float("nan"), float("nan"))
    if not len(found_times):
        return NoteScores(0.0, 0.0, 0.0 if offsets else float("nan"))
    onset = transcription.onset_precision_recall_f1(
        times, found_times, onset_tolerance=ONSET_TOLERANCE_S
    )[2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pitch, offset = (
            transcription.precision_recall_f1_overlap(
                times,
                midi_to_hz(pitches),
                found_times,
                midi_to_hz(found_pitches),
                onset_tolerance=ONSET_TOLERANCE_S,
                offset_ratio=ratio,
            )[2]
            for ratio in (None, OFFSET_RATIO)
        )
    return NoteScores(float(onset), float(pitch), float(offset) if offsets else float("nan"))


def _within(notes: np.ndarray, duration_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Times (notes, 2) and pitches of the notes that begin within an excerpt."""
    inside = (notes[:, 0] >= MARGIN_S) & (notes[:, 0] < duration_s - MARGIN_S)
    notes = notes[inside]
    times = np.minimum(notes[:, :2], duration_s)
    # mir_eval refuses notes without length.
    times[:, 1] = np.maximum(times[:, 1], times[:, 0] + 1e-3)
    return times, notes[:, 2]


def _without_doubles(notes: np.ndarray) -> np.ndarray:
    """What one instrument can play of several parts: a key cannot be struck while it is struck."""
    kept: list[np.ndarray] = []
    last: dict[float, float] = {}
    for note in notes[np.argsort(notes[:, 0], kind="stable")]:
        if note[0] - last.get(note[2], -np.inf) >= ONSET_TOLERANCE_S:
            kept.append(note)
            last[note[2]] = note[0]
    return np.array(kept).reshape(-1, 3)

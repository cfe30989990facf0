"""Notes that were heard: tables of them, and parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from timbrel.transcription.decoding import HeardNote

TRACK_NAME = "Transcription"  # of notes that are not grouped


@dataclass(frozen=True)
class Part:
    """Notes of a recording that sound alike."""

    name: str
    program: int  # of General MIDI: the nearest one
    notes: tuple[HeardNote, ...]  # sorted by start, then pitch


def note_rows(notes: Iterable[HeardNote]) -> np.ndarray:
    """Start and end in seconds, pitch and velocity, (notes, 4), sorted by start and pitch."""
    rows = [(note.start_s, note.end_s, note.pitch, note.velocity) for note in notes]
    return np.array(sorted(rows), np.float64).reshape(-1, 4)

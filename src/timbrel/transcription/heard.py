"""Tables of notes that were heard."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from timbrel.transcription.decoding import HeardNote


def note_rows(notes: Iterable[HeardNote]) -> np.ndarray:
    """Start and end in seconds, pitch and velocity, (notes, 4), sorted by start and pitch."""
    rows = [(note.start_s, note.end_s, note.pitch, note.velocity) for note in notes]
    return np.array(sorted(rows), np.float64).reshape(-1, 4)

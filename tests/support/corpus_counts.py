"""What a file of the corpus holds, in a module that the processes of a test can import."""

from __future__ import annotations

from pathlib import Path

from timbrel.score.midi import read_midi


def counts(path: Path) -> tuple[int, int, int, bool]:
    """Notes, pedal events, unplayable notes, and whether no note hangs."""
    score = read_midi(path)
    # Whatever its pedals and missing releases are, no note may hang: 60 s is more than any holds.
    sane = all(0 <= note.end_s - note.start_s < 60 for note in score.notes)
    return score.n_notes, score.pedal_events, score.unplayable_notes, sane

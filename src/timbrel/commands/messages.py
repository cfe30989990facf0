"""What the commands say beside their results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from timbrel.score.score import Score

_UNPLAYABLE = {
    "drum_notes": "notes of drums",
    "notes_outside_21_108": "notes outside the 88 keys",
    "pitch_bends": "pitch bends",
}


def report_unplayable(file: Path, score: Score, where: TextIO) -> None:
    """Say what a score holds that cannot be played, if there is anything."""
    if score.unplayable:
        counts = ", ".join(f"{_UNPLAYABLE[kind]} ({n})" for kind, n in score.unplayable.items())
        print(f"{file}: left out, as they cannot be played: {counts}", file=where)

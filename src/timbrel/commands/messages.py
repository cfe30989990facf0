"""What the commands say beside their results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from timbrel.score.score import Score

OUT_OF_MEMORY = "there is not enough memory; render a shorter --duration or fewer tracks"
_UNPLAYABLE = {
    "drum_notes": "notes of drums",
    "notes_outside_21_108": "notes outside the 88 keys",
    "pitch_bends": "pitch bends",
}


def complain(message: object) -> None:
    """Say on one line of stderr what went wrong."""
    print(f"timbrel: {' '.join(str(message).split())}", file=sys.stderr, flush=True)


def report_unplayable(file: Path, score: Score, where: TextIO) -> None:
    """Say what a score holds that cannot be played, if there is anything."""
    if score.unplayable:
        counts = ", ".join(f"{_UNPLAYABLE[kind]} ({n})" for kind, n in score.unplayable.items())
        print(f"{file}: left out, as they cannot be played: {counts}", file=where)

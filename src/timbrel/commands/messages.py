"""Messages that the commands print besides their results."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from timbrel.errors import printable

if TYPE_CHECKING:
    from timbrel.score.score import Score

OUT_OF_MEMORY = "there is not enough memory; render a shorter --duration or fewer tracks"


def complain(message: object) -> None:
    """Say on one line of stderr what went wrong."""
    with suppress(OSError):  # nobody may listen any more
        print(f"timbrel: {' '.join(printable(str(message)).split())}", file=sys.stderr, flush=True)


def report_faults(title: str, score: Score, where: TextIO) -> None:
    """Say what of a song could not be read, and what of its score cannot be played."""
    lines = list(score.warnings)
    if score.unplayable:
        lines.append(f"left out, as they cannot be played: {score.left_out}")
    for line in lines:
        print(f"{printable(title)}: {line}", file=where)

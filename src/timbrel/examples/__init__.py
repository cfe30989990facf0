"""The MIDI files that come with Timbrel."""

from __future__ import annotations

from pathlib import Path

TUNES = {"Prelude": "prelude.mid", "Canon": "duet.mid"}  # names and files, in this folder


def tune_path(file: str) -> Path:
    """Where one of the files lies."""
    return Path(__file__).parent / file

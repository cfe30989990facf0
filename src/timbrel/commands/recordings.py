"""The recordings that a command is given: audio files, and folders of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

Recordings = Annotated[
    list[Path],
    typer.Argument(
        help="Recordings, or folders with recordings (also in subfolders): WAV, FLAC, OGG, "
        "MP3 or AIFF.",
        metavar="SONG.wav",
    ),
]


class Named(NamedTuple):
    """A recording."""

    path: Path
    name: Path  # relative to the folder that its output goes to, such as album/song.wav


def find_recordings(given: Sequence[Path]) -> list[Named]:
    """The recordings that are named, and those in the folders that are named, in their order."""
    from timbrel.transcription.recording import audio_files

    found = []
    for path in given:
        inside = audio_files(path) if path.is_dir() else []
        found += [Named(file, file.relative_to(path)) for file in inside]
        if not inside:  # a file; or an empty folder, of which `look_into` complains
            found.append(Named(path, Path(path.name)))
    return found

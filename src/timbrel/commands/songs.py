"""The songs that a command is given: MIDI files, folders of them, standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from timbrel.errors import InputError

if TYPE_CHECKING:
    from timbrel.score.score import Score

STDIN = Path("-")
_STDIN_NAME = Path("stdin.mid")  # whose sound is stdin.wav

Songs = Annotated[
    list[Path],
    typer.Argument(
        help="MIDI files, folders with MIDI files (also in subfolders), or - for standard input.",
        metavar="SONG.mid",
    ),
]


class Song(NamedTuple):
    """One song."""

    path: Path
    name: Path  # relative to the folder that its sound goes to, such as album/song.mid

    @property
    def title(self) -> str:
        """What to call it on the terminal."""
        return "standard input" if self.path == STDIN else str(self.path)


def find_songs(given: Sequence[Path]) -> list[Song]:
    """The songs that are named, and those in the folders that are named, in their order.

    Raises
    ------
    InputError
        If standard input is named twice, or is a terminal.
    """
    if list(given).count(STDIN) > 1:
        raise InputError("standard input can be read once; give - once")
    if STDIN in given and sys.stdin.isatty():
        raise InputError("standard input: is a terminal; send a MIDI file to it")
    from timbrel.score.source import midi_files

    songs = []
    for path in given:
        if path == STDIN:
            songs.append(Song(path, _STDIN_NAME))
            continue
        found = midi_files(path) if path.is_dir() else []
        songs += [Song(file, file.relative_to(path)) for file in found]
        if not found:  # a file; or an empty folder, of which `read_song` complains
            songs.append(Song(path, Path(path.name)))
    return songs


def read_song(song: Song, *, max_hours: float) -> Score:
    """Read a song; what is wrong is said of its title."""
    from timbrel.score.midi import parse_midi, read_midi
    from timbrel.score.source import MIDI_SUFFIXES

    longest_s = 3600 * max_hours
    if song.path == STDIN:
        try:
            data = sys.stdin.buffer.read()
        except OSError as error:
            raise InputError(f"{song.title}: cannot be read ({error.strerror})") from None
        return parse_midi(data, name=song.title, max_duration_s=longest_s)
    if song.path.is_dir():
        raise InputError(f"{song.path}: holds no MIDI files ({', '.join(MIDI_SUFFIXES)})")
    return read_midi(song.path, max_duration_s=longest_s)

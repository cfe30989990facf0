"""What a program may give for a score: a file, its bytes, other libraries' objects, notes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias, cast

from timbrel.errors import InputError
from timbrel.score.midi import parse_midi, read_midi
from timbrel.score.score import Note, Score, Track
from timbrel.score.validity import as_notes, checked

if TYPE_CHECKING:
    import mido
    import numpy as np


class PrettyMidi(Protocol):
    """A `pretty_midi.PrettyMIDI`, as far as it is made use of."""

    def write(self, filename: Any) -> None: ...


Source: TypeAlias = (
    "str | os.PathLike | bytes | BinaryIO | Score | Track | Iterable[Track] | mido.MidiFile | "
    "PrettyMidi | Iterable[Note] | Iterable[tuple[float, ...]] | np.ndarray"
)

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi")
_KINDS = (
    "the path of a MIDI file, its bytes, an open file, a Score, a Track, a mido.MidiFile, a "
    "PrettyMIDI or a list of notes"
)


def as_score(source: Source) -> Score:
    """A score from what a program gives for one.

    Parameters
    ----------
    source
        The path of a MIDI file; its bytes; a file that is open for reading bytes; a `Score`; one
        `Track` or a list of them; a `mido.MidiFile`; a `pretty_midi.PrettyMIDI`; or notes, each a
        `Note` or ``(pitch, velocity, start_s, end_s)``, also as an array of shape (notes, 4).

    Raises
    ------
    InputError
        If it is none of these, its MIDI cannot be read, or a note or a track is impossible: names
        the track and the note.
    """
    if isinstance(source, str | os.PathLike):
        return read_midi(source)
    if isinstance(source, Score):
        return checked(source)
    if isinstance(source, Track):
        return checked(Score((source,)))
    if isinstance(source, bytes | bytearray | memoryview):
        return parse_midi(bytes(source))
    if hasattr(source, "read"):
        return _from_file(source)
    # Objects of libraries that Timbrel need not import to know them.
    if hasattr(source, "save") and hasattr(source, "ticks_per_beat"):
        return parse_midi(_written(source.save, "file"), name="the mido.MidiFile")
    if any(kind.__name__ == "PrettyMIDI" for kind in type(source).__mro__):
        return parse_midi(_written(cast(Any, source).write, "filename"), name="the PrettyMIDI")
    if not isinstance(source, Iterable):
        raise InputError(f"a score cannot be read from {type(source).__name__}; give {_KINDS}")
    items = list(source)
    if items and all(isinstance(item, Track) for item in items):
        return checked(Score(tuple(items)))
    return checked(Score((Track("notes", 0, 0, as_notes(items, "the list of notes")),)))


def midi_files(folder: Path) -> list[Path]:
    """Files below a folder that have the name of a MIDI file, sorted."""
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in MIDI_SUFFIXES)
    return sorted(path for path in paths if path.is_file())


def _from_file(file: Any) -> Score:
    name = getattr(file, "name", None)
    name = name if isinstance(name, str) else "MIDI data"
    try:
        data = file.read()
    except UnicodeDecodeError:
        data = ""
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be read ({error})") from None
    if not isinstance(data, bytes):
        raise InputError(f"{name}: is open as text; open it as bytes, as in open(path, 'rb')")
    return parse_midi(data, name=name)


def _written(write: Any, parameter: str) -> bytes:
    """What another library's object writes as its file."""
    buffer = io.BytesIO()
    try:
        write(**{parameter: buffer})
    except Exception as error:  # whatever the library raises
        raise InputError(
            f"the {type(write.__self__).__name__} cannot be written: {error}"
        ) from None
    return buffer.getvalue()

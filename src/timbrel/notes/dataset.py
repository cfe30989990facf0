"""A split of a data set of notes, ready for use: checked fields, and audio at 16 kHz."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from timbrel.constants import LICENSE_NOT_STATED, SAMPLE_RATE
from timbrel.errors import InputError
from timbrel.files import read_json
from timbrel.notes.faults import check_audio, check_entry
from timbrel.notes.note import FAMILIES, QUALITIES, SOURCES, Note
from timbrel.notes.storage import EXAMPLES_FILE, JsonStorage, Storage, open_storage

_SETTINGS_FILE = "data.json"  # of a data set that Timbrel prepared


@dataclass(frozen=True)
class NoteSplit:
    """The notes of one split, in the order of their names."""

    path: Path
    notes: tuple[Note, ...]
    _readers: tuple[Callable[[], tuple[np.ndarray, int]], ...]

    def __len__(self) -> int:
        return len(self.notes)

    def audio(self, index: int) -> np.ndarray:
        """The audio of a note, float32, shape (64,000,).

        Raises
        ------
        InputError
            If the audio is missing, damaged, or of another rate, length or number of channels.
        """
        where = f"{self.path}: {self.notes[index].note_str}"
        try:
            audio, rate = self._readers[index]()
        except (OSError, ValueError, soundfile.LibsndfileError) as error:
            raise InputError(f"{where}: its audio cannot be read ({error})") from None
        wrong = [words for kind, words in check_audio(audio) if kind != "silent"]
        if rate != SAMPLE_RATE:
            wrong.append(f"has {rate} samples a second")
        if wrong:
            raise InputError(f"{where}: {wrong[0]}; 'timbrel notes check' lists all such notes")
        return audio[:, 0]


def read_split(folder: str | os.PathLike, split: str) -> NoteSplit:
    """Read the notes of a split; their audio is read when it is asked for.

    Parameters
    ----------
    folder
        Holds ``nsynth-SPLIT``, as a folder with examples.json or as a TFRecord file.
    split
        "train", "valid" or "test".

    Raises
    ------
    InputError
        If there is no such split, or its list of notes is damaged.
    """
    storage = open_storage(Path(folder), split)
    if storage is None:
        raise InputError(
            f"{folder}: holds no nsynth-{split} (a folder, or a .tfrecord file); "
            "make one with 'timbrel notes prepare'"
        )
    return _checked(storage, folder)


def read_folder(folder: str | os.PathLike) -> NoteSplit:
    """Read the notes of a folder that holds examples.json itself, whatever split it is.

    Raises
    ------
    InputError
        If its list of notes is missing or damaged.
    """
    return _checked(JsonStorage(Path(folder)), folder)


def read_notes(folder: str | os.PathLike, split: str) -> NoteSplit:
    """Read the notes of a folder that holds ``nsynth-SPLIT``, or is such a folder itself.

    Raises
    ------
    InputError
        If there are none, or their list is damaged.
    """
    is_split = Path(folder, EXAMPLES_FILE).is_file()
    return read_folder(folder) if is_split else read_split(folder, split)


def _checked(storage: Storage, folder: str | os.PathLike) -> NoteSplit:
    found = sorted(storage.notes(), key=lambda note: note.key)
    wrong = [f"{error.where}: {error.words}" for error in storage.errors]
    for note in found:
        wrong += [f"{storage.path}: {note.key}: {w}" for _, w in check_entry(note.key, note.entry)]
        if wrong:
            raise InputError(f"{wrong[0]}; 'timbrel notes check {folder}' lists all faults")
    if not found:
        raise InputError("; ".join(wrong) or f"{storage.path}: holds no notes")
    return NoteSplit(
        storage.path, tuple(_note(n.entry) for n in found), tuple(n.read for n in found)
    )


def data_sha256(folder: str | os.PathLike) -> str:
    """Hash of all lists of notes of a data set, or of the sizes of its TFRecord files."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).glob("nsynth-*")):
        listed = path / EXAMPLES_FILE
        digest.update(path.name.encode())
        digest.update(listed.read_bytes() if listed.exists() else str(path.stat().st_size).encode())
    return digest.hexdigest()


def measured_qualities(folder: str | os.PathLike) -> list[int]:
    """Columns of the qualities that a data set's labels speak of: all, if it does not say."""
    names = _settings(folder).get("qualities_measured", QUALITIES)
    return [QUALITIES.index(name) for name in names]


def data_origin(folder: str | os.PathLike) -> dict[str, Any]:
    """What a training run notes of its data: their hash, and the SoundFonts if there are any."""
    license, attribution = data_statement(folder)
    fonts = _settings(folder).get("soundfonts", {})
    return {
        "data_manifest_sha256": data_sha256(folder),
        "soundfont": ", ".join(fonts) or "none",
        "license": license,
        "attribution": attribution,
    }


def data_statement(folder: str | os.PathLike) -> tuple[str, str]:
    """Licence and attribution that a data set states for models trained on it."""
    settings = _settings(folder)
    return settings.get("license", LICENSE_NOT_STATED), settings.get("attribution", "")


def _settings(folder: str | os.PathLike) -> dict[str, Any]:
    path = Path(folder) / _SETTINGS_FILE
    return read_json(path) if path.exists() else {}


def family_source_counts(notes: tuple[Note, ...] | list[Note]) -> dict[str, dict[str, int]]:
    """Numbers of notes by family and source, in the published order, zeros included."""
    counts = Counter((note.instrument_family_str, note.instrument_source_str) for note in notes)
    return {family: {source: counts[family, source] for source in SOURCES} for family in FAMILIES}


def _note(entry: dict[str, Any]) -> Note:
    values: dict[str, Any] = {field.name: entry[field.name] for field in fields(Note)}
    for name in ("qualities", "qualities_str"):
        values[name] = tuple(values[name])
    return Note(**values)

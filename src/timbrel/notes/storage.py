"""The two published forms of a split of notes: a folder with examples.json, and a TFRecord file.

The contents are not checked here (see `timbrel.notes.faults`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile

from timbrel.constants import SAMPLE_RATE
from timbrel.errors import InputError
from timbrel.files import read_text
from timbrel.notes.tfrecord import SUFFIX, Record, RecordError, find_records, read_example

EXAMPLES_FILE, AUDIO_FOLDER = "examples.json", "audio"
_LISTS = ("qualities", "qualities_str")


@dataclass(frozen=True)
class StorageError:
    """Something of a split that cannot be read at all; `kind` as in `faults.KINDS`."""

    kind: str
    where: str
    words: str


@dataclass(frozen=True)
class FoundNote:
    """A note as it is stored: its fields, and a way to its audio."""

    key: str
    entry: Any  # the fields; an object where the split is in order
    read: Callable[[], tuple[np.ndarray, int]]  # float32 (samples, channels), and the rate

    @property
    def fields(self) -> dict[str, Any]:
        """The fields, none where the entry is damaged."""
        return self.entry if isinstance(self.entry, dict) else {}


class Storage(Protocol):
    """A split on disk."""

    path: Path
    errors: list[StorageError]  # filled while the notes are read

    def count(self) -> int: ...

    def notes(self) -> Iterator[FoundNote]: ...

    def audio_files(self) -> list[Path]: ...


def open_storage(folder: Path, split: str) -> Storage | None:
    """Find a split of a data set: ``nsynth-SPLIT`` as a folder, or as a TFRecord file."""
    path = folder / f"nsynth-{split}"
    if path.is_dir():
        return JsonStorage(path)
    records = path.with_suffix(SUFFIX)
    return RecordStorage(records) if records.is_file() else None


class JsonStorage:
    """A folder with examples.json and a WAV file for each note."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: list[StorageError] = []
        self._entries = self._read()

    def count(self) -> int:
        return len(self._entries)

    def notes(self) -> Iterator[FoundNote]:
        for key, entry in self._entries.items():
            path = self.path / AUDIO_FOLDER / f"{key}.wav"
            yield FoundNote(key, entry, partial(_read_wav, path))

    def audio_files(self) -> list[Path]:
        return sorted((self.path / AUDIO_FOLDER).glob("*.wav"))

    def _read(self) -> dict[str, Any]:
        path = self.path / EXAMPLES_FILE
        twice: list[str] = []

        def noticing(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found = dict(pairs)
            if len(found) < len(pairs):
                keys = [key for key, _ in pairs]
                twice.extend(key for key in found if keys.count(key) > 1)
            return found

        try:
            entries = json.loads(read_text(path), object_pairs_hook=noticing)
        except InputError as error:
            kind = "damaged-list" if path.exists() else "no-list"
            words = str(error).removeprefix(f"{path}: ") if path.exists() else "is missing"
            self.errors.append(StorageError(kind, str(path), words))
            return {}
        except (ValueError, RecursionError) as error:
            self.errors.append(StorageError("damaged-list", str(path), f"is not JSON ({error})"))
            return {}
        if not isinstance(entries, dict):
            self.errors.append(StorageError("damaged-list", str(path), "is not an object"))
            return {}
        for key in twice:
            self.errors.append(StorageError("duplicate-key", f"{path}: {key}", "is listed twice"))
        return entries


class RecordStorage:
    """A TFRecord file whose records hold the fields of a note and its audio."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: list[StorageError] = []
        self._records: list[Record] = []
        try:
            for record in find_records(path):
                self._records.append(record)
        except RecordError as error:
            self._note(error)

    def count(self) -> int:
        return len(self._records)

    def notes(self) -> Iterator[FoundNote]:
        for number, record in enumerate(self._records):
            try:
                features = read_example(self.path, record)
            except RecordError as error:
                self._note(error)
                continue
            features.pop("audio", None)
            entry = {name: _plain(name, value) for name, value in features.items()}
            key = entry.get("note_str", f"record {number}")
            yield FoundNote(str(key), entry, partial(self._audio, record))

    def audio_files(self) -> list[Path]:
        return []

    def _audio(self, record: Record) -> tuple[np.ndarray, int]:
        features = read_example(self.path, record)
        audio = features.get("audio")
        if not isinstance(audio, np.ndarray):
            raise ValueError("the record holds none")
        rate = features.get("sample_rate", [SAMPLE_RATE])
        return audio[:, None], int(rate[0])

    def _note(self, error: RecordError) -> None:
        words = str(error).removeprefix(f"{self.path}: ")
        self.errors.append(StorageError(error.kind, str(self.path), words))


def _read_wav(path: Path) -> tuple[np.ndarray, int]:
    if not path.exists():
        raise FileNotFoundError(path)
    return soundfile.read(path, dtype="float32", always_2d=True)


def _plain(name: str, value: Any) -> Any:
    """A feature as JSON would hold it."""
    items = [
        item.decode(errors="replace") if isinstance(item, bytes) else item for item in list(value)
    ]
    return items if name in _LISTS or len(items) != 1 else items[0]

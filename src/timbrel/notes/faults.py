"""Checks of a data set of notes: every fault in a folder is found and named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from timbrel.constants import SAMPLE_RATE
from timbrel.errors import InputError
from timbrel.notes.note import (
    FAMILIES,
    NOTE_SAMPLES,
    QUALITIES,
    SOURCES,
    SPLITS,
    Note,
    NoteName,
    parse_name,
)
from timbrel.notes.storage import EXAMPLES_FILE, FoundNote, Storage, open_storage
from timbrel.progress import Progress, silent

FIELDS = tuple(field.name for field in fields(Note))

# Each kind of fault, and its description.
KINDS = {
    "no-list": "the list of notes is missing",
    "damaged-list": "the list of notes is not a JSON object",
    "duplicate-key": "a note is listed twice",
    "damaged-entry": "an entry is not an object",
    "missing-field": "a field is missing",
    "field-type": "a field has a value of another type",
    "key": "the key and note_str differ",
    "name": "note_str is not FAMILY_SOURCE_NNN-PPP-VVV",
    "pitch": "the pitch differs from the name's",
    "pitch-range": "the pitch is not within 0–127",
    "velocity": "the velocity differs from the name's",
    "velocity-range": "the velocity is not within 1–127",
    "instrument": "instrument_str differs from the name's",
    "instrument-number": "one instrument number stands for two instruments, or the reverse",
    "family": "family number, family and name disagree",
    "source": "source number, source and name disagree",
    "qualities": "the qualities are not ten zeros and ones",
    "qualities-names": "qualities_str does not name the qualities that are set",
    "same-note": "two notes have one instrument, pitch and velocity",
    "shared-instrument": "an instrument of the training split is in another split, too",
    "missing-audio": "the audio file is missing",
    "orphan-audio": "an audio file is not listed",
    "unreadable-audio": "the audio cannot be read",
    "rate": "the sample rate is not 16,000 Hz",
    "channels": "the audio is not mono",
    "length": "the audio does not have 64,000 samples",
    "not-finite": "the audio holds samples that are not finite, or beyond full scale",
    "silent": "the audio is silent",
    "truncated-record": "a TFRecord file ends within a record",
    "record-length": "a record's length has a wrong checksum",
    "record-data": "a record's data have a wrong checksum",
    "no-example": "a record is not a tf.train.Example",
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong."""

    kind: str  # a key of KINDS
    where: str  # the file, and the note in it
    words: str

    def __str__(self) -> str:
        return f"{self.where}: {self.words}"


def check_folder(folder: str | os.PathLike, *, progress: Progress = silent) -> list[Fault]:
    """All faults of a data set: its lists, names, fields, audio, and the division of instruments.

    Parameters
    ----------
    folder
        Holds ``nsynth-train``, ``nsynth-valid`` and ``nsynth-test``, or some of them, each as a
        folder or as a TFRecord file.
    progress
        Wraps the notes.

    Raises
    ------
    InputError
        If there is no split at all.
    """
    folder = Path(folder)
    faults: list[Fault] = []
    instruments: dict[str, set[str]] = {}
    for split in SPLITS:
        storage = open_storage(folder, split)
        if storage is None:
            continue
        notes = []
        found = progress(storage.notes(), storage.count(), f"checking {split}")
        for note in found:
            notes.append(note)
            faults.extend(_check_note(storage, note))
        faults.extend(Fault(e.kind, e.where, e.words) for e in storage.errors)
        faults.extend(_check_together(storage, notes))
        instruments[split] = {
            name for n in notes if isinstance(name := n.fields.get("instrument_str"), str)
        }
    if not instruments:
        raise InputError(
            f"{folder}: holds none of {', '.join(f'nsynth-{split}' for split in SPLITS)} "
            "(a folder, or a .tfrecord file)"
        )
    for split in ("valid", "test"):
        for name in sorted(instruments.get("train", set()) & instruments.get(split, set())):
            faults.append(
                Fault("shared-instrument", f"{folder}/nsynth-{split}", f"{name} is in train, too")
            )
    return faults


def check_entry(key: str, entry: Any) -> Iterator[tuple[str, str]]:
    """Kinds and words of what is wrong with the fields of a note."""
    if not isinstance(entry, dict):
        yield "damaged-entry", f"is {str(entry)[:40]!r}, not an object"
        return
    for name in FIELDS:
        if name not in entry:
            yield "missing-field", f"has no '{name}'"
        elif not _has_type(name, entry[name]):
            yield "field-type", f"'{name}' is {str(entry[name])[:40]!r}"
    entry = {name: v for name, v in entry.items() if name in FIELDS and _has_type(name, v)}
    if entry.get("note_str", key) != key:
        yield "key", f"has the note_str '{entry['note_str']}'"
    named = parse_name(key)
    if named is None:
        yield "name", "is no name of a note"
    else:
        yield from _check_name(named, entry)
    for field, last in (("pitch", 127), ("velocity", 127)):
        first = 1 if field == "velocity" else 0
        if field in entry and not first <= entry[field] <= last:
            yield f"{field}-range", f"has the {field} {entry[field]}"
    yield from _check_index("family", FAMILIES, entry)
    yield from _check_index("source", SOURCES, entry)
    if entry.get("sample_rate", SAMPLE_RATE) != SAMPLE_RATE:
        yield "rate", f"has the sample_rate {entry['sample_rate']}"
    if "qualities" in entry:
        qualities = entry["qualities"]
        if len(qualities) != len(QUALITIES) or not set(qualities) <= {0, 1}:
            yield "qualities", f"has the qualities {qualities}"
        elif "qualities_str" in entry:
            names = [q for q, is_set in zip(QUALITIES, qualities, strict=True) if is_set]
            if sorted(entry["qualities_str"]) != sorted(names):
                yield "qualities-names", f"names {entry['qualities_str']}, has {names}"


def check_audio(audio: np.ndarray) -> Iterator[tuple[str, str]]:
    """Kinds and words of what is wrong with the samples of a note, (samples, channels)."""
    if audio.shape[1] != 1:
        yield "channels", f"has {audio.shape[1]} channels"
    if len(audio) != NOTE_SAMPLES:
        yield "length", f"has {len(audio)} samples"
    if not np.isfinite(audio).all() or np.abs(audio).max(initial=0.0) > 1:
        yield "not-finite", "holds samples that are not finite, or beyond full scale"
    elif not audio.any():
        yield "silent", "is silent"


def _check_note(storage: Storage, note: FoundNote) -> Iterator[Fault]:
    where = f"{storage.path}: {note.key}"
    for kind, words in check_entry(note.key, note.entry):
        yield Fault(kind, where, words)
    try:
        audio, rate = note.read()
    except FileNotFoundError:
        yield Fault("missing-audio", where, "its audio file is missing")
        return
    except (OSError, ValueError, soundfile.LibsndfileError) as error:
        yield Fault("unreadable-audio", where, f"its audio cannot be read ({error})")
        return
    if rate != SAMPLE_RATE:
        yield Fault("rate", where, f"has {rate} samples a second")
    for kind, words in check_audio(audio):
        yield Fault(kind, where, words)


def _check_name(named: NoteName, entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field, kind in (
        *(("pitch", "pitch"), ("velocity", "velocity")),
        *(("instrument_str", "instrument"), ("instrument_family_str", "family")),
        ("instrument_source_str", "source"),
    ):
        attribute = field.removesuffix("_str").removeprefix("instrument_")
        wanted = getattr(named, attribute)
        if entry.get(field, wanted) != wanted:
            yield kind, f"has the {field} {entry[field]}, its name says {wanted}"


def _check_index(
    kind: str, names: tuple[str, ...], entry: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    field = f"instrument_{kind}"
    number, name = entry.get(field), entry.get(f"{field}_str")
    if name is not None and name not in names:
        yield kind, f"has the {kind} '{name}'; known: {', '.join(names)}"
    elif number is not None and not 0 <= number < len(names):
        yield kind, f"has the {kind} {number}"
    elif number is not None and name is not None and names[number] != name:
        yield kind, f"has the {kind} {number}, which is {names[number]}, not {name}"


def _check_together(storage: Storage, notes: Iterable[FoundNote]) -> Iterator[Fault]:
    """What no note shows alone."""
    seen: dict[tuple, str] = {}
    number_of: dict[str, int] = {}
    name_of: dict[int, str] = {}
    keys: set[str] = set()
    for note in notes:
        where = f"{storage.path}: {note.key}"
        keys.add(note.key)
        entry = note.fields
        name, number = entry.get("instrument_str"), entry.get("instrument")
        if isinstance(name, str) and isinstance(number, int):
            if number_of.setdefault(name, number) != number:
                words = f"{name} has the numbers {number_of[name]} and {number}"
                yield Fault("instrument-number", where, words)
            elif name_of.setdefault(number, name) != name:
                words = f"{number} is {name_of[number]} and {name}"
                yield Fault("instrument-number", where, words)
        sound = (name, entry.get("pitch"), entry.get("velocity"))
        if None not in sound and seen.setdefault(sound, note.key) != note.key:
            yield Fault("same-note", where, f"is the same note as {seen[sound]}")
    for path in storage.audio_files():
        if path.stem not in keys:
            yield Fault("orphan-audio", str(path), f"is not listed in {EXAMPLES_FILE}")


def _has_type(name: str, value: Any) -> bool:
    if name in ("qualities", "qualities_str"):
        kind: type = int if name == "qualities" else str
        return isinstance(value, list) and all(_is(kind, item) for item in value)
    return _is(str if name.endswith("_str") else int, value)


def _is(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)

"""The reader of both published layouts, and the faults that it must find."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tfrecord import TFRecordWriter

from support.notes_data import sine
from timbrel.errors import InputError
from timbrel.notes.dataset import data_sha256, family_source_counts, read_split
from timbrel.notes.faults import KINDS, check_folder
from timbrel.notes.note import NoteName, parse_name
from timbrel.notes.tfrecord import find_records, read_example

BASS, LEAD, FLUTE = (
    *("bass_electronic_000-060-100", "synth_lead_synthetic_003-060-100"),
    "flute_acoustic_000-060-100",
)


@pytest.fixture
def copy(notes_data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(notes_data, tmp_path / "notes"))


def write_records(folder: Path, split: str, target: Path) -> None:
    """The notes of a split as TFRecord, by a writer that is not Timbrel's."""
    path = folder / f"nsynth-{split}"
    entries = json.loads((path / "examples.json").read_text())
    writer = TFRecordWriter(str(target))
    for name, entry in entries.items():
        audio, _ = soundfile.read(path / "audio" / f"{name}.wav", dtype="float32")
        fields: dict[str, Any] = {"audio": (audio, "float")}
        for key, value in entry.items():
            is_text = key.endswith("_str")
            values = value if isinstance(value, list) else [value]
            coded = [v.encode() for v in values] if is_text else values
            fields[key] = (coded, "byte" if is_text else "int")
        writer.write(fields)
    writer.close()


def kinds(folder: Path) -> Counter[str]:
    return Counter(fault.kind for fault in check_folder(folder))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (LEAD, NoteName("synth_lead", "synthetic", 3, 60, 100)),
        ("vocal_acoustic_012-000-127", NoteName("vocal", "acoustic", 12, 0, 127)),
        *(
            (text, None)
            for text in ("", "bass_000-060-100", "bass_electronic_0-060-100", BASS[1:4])
        ),
    ],
)
def test_names_are_read_from_the_right(text: str, name: NoteName | None) -> None:
    assert parse_name(text) == name
    if name is not None:
        assert str(name) == text


def test_a_split_is_read(notes_data: Path) -> None:
    split = read_split(notes_data, "train")
    assert len(split) == 6
    index = [note.note_str for note in split.notes].index(LEAD)
    note = split.notes[index]
    assert (note.instrument, note.pitch, note.velocity) == (1, 60, 100)
    assert note.qualities_str == ("bright",)
    np.testing.assert_allclose(split.audio(index), sine(60, 3), atol=1e-4)
    counts = family_source_counts(split.notes)
    assert counts["bass"] == {"acoustic": 0, "electronic": 3, "synthetic": 0}
    assert sum(sum(row.values()) for row in counts.values()) == 6
    assert len(counts) == 11


def test_records_hold_the_same_as_the_folder(notes_data: Path, tmp_path: Path) -> None:
    write_records(notes_data, "train", tmp_path / "nsynth-train.tfrecord")
    listed, recorded = (read_split(folder, "train") for folder in (notes_data, tmp_path))
    assert recorded.notes == listed.notes
    for i in range(len(listed)):
        np.testing.assert_array_equal(recorded.audio(i), listed.audio(i))
    assert check_folder(tmp_path) == []


def test_a_folder_without_faults_has_none(notes_data: Path) -> None:
    assert check_folder(notes_data) == []


def changed(entry_name: str, **fields: Any) -> Callable[[Path], None]:
    """A change of some fields of a note of the training split."""

    def change(folder: Path) -> None:
        path = folder / "nsynth-train" / "examples.json"
        entries = json.loads(path.read_text())
        for key, value in fields.items():
            entries[entry_name][key] = value
            if value is None:
                del entries[entry_name][key]
        path.write_text(json.dumps(entries))

    return change


def new_audio(samples: np.ndarray, rate: int = 16_000) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "nsynth-train" / "audio" / f"{BASS}.wav"
        soundfile.write(path, samples, rate, subtype="FLOAT")

    return change


def on_file(name: str, act: Callable[[Path], Any]) -> Callable[[Path], None]:
    return lambda folder: act(folder / "nsynth-train" / name)


def shared(folder: Path) -> None:
    """List a training instrument in the validation split as well."""
    path = folder / "nsynth-valid" / "examples.json"
    entries = json.loads(path.read_text())
    train = json.loads((folder / "nsynth-train" / "examples.json").read_text())
    path.write_text(json.dumps(entries | {BASS: train[BASS]}))
    shutil.copy(
        folder / "nsynth-train" / "audio" / f"{BASS}.wav", folder / "nsynth-valid" / "audio"
    )


def twice(path: Path) -> None:
    text = path.read_text()
    entry = json.dumps(json.loads(text)[BASS])
    path.write_text(text[:-1] + f', "{BASS}": {entry}}}')


def renamed(path: Path) -> None:
    entries = json.loads(path.read_text())
    entries[f"{BASS}-x"] = entries.pop(BASS) | {"note_str": f"{BASS}-x"}
    path.write_text(json.dumps(entries))


def entry_of_text(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {BASS: "a note"}))


def same_sound(path: Path) -> None:
    entries = json.loads(path.read_text())
    entries[BASS]["pitch"] = 48
    path.write_text(json.dumps(entries))


WAV = f"audio/{BASS}.wav"
TONE = sine(60, 1)
FAULTS: dict[str, Callable[[Path], None]] = {
    "no-list": on_file("examples.json", Path.unlink),
    "damaged-list": on_file("examples.json", lambda p: p.write_text(p.read_text()[:-9])),
    "duplicate-key": on_file("examples.json", twice),
    "damaged-entry": on_file("examples.json", entry_of_text),
    "missing-field": changed(BASS, velocity=None),
    "field-type": changed(BASS, pitch="60"),
    "key": changed(BASS, note_str=LEAD),
    "name": on_file("examples.json", renamed),
    "pitch": changed(BASS, pitch=61),
    "pitch-range": changed(BASS, pitch=128),
    "velocity": changed(BASS, velocity=99),
    "velocity-range": changed(BASS, velocity=0),
    "instrument": changed(BASS, instrument_str="bass_electronic_001"),
    "instrument-number": changed(BASS, instrument=7),
    "family": changed(BASS, instrument_family=5),
    "source": changed(BASS, instrument_source=2),
    "qualities": changed(BASS, qualities=[0] * 9),
    "qualities-names": changed(LEAD, qualities_str=["dark"]),
    "same-note": on_file("examples.json", same_sound),
    "shared-instrument": shared,
    "missing-audio": on_file(WAV, Path.unlink),
    "orphan-audio": on_file(WAV, lambda p: shutil.copy(p, p.with_name("spare.wav"))),
    "unreadable-audio": on_file(WAV, lambda p: p.write_bytes(b"no audio")),
    "rate": new_audio(TONE, 22_050),
    "channels": new_audio(np.stack([TONE, TONE], axis=1)),
    "length": new_audio(TONE[:-1]),
    "not-finite": new_audio(np.where(np.arange(64_000) == 9, np.nan, TONE)),
    "silent": new_audio(0 * TONE),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_planted_fault_is_found(copy: Path, kind: str) -> None:
    FAULTS[kind](copy)
    found = kinds(copy)
    assert found[kind] >= 1
    # What follows from the planted fault may be found, too, but nothing that has nothing to do
    # with it.
    follows = {
        "no-list": {"orphan-audio"},
        "damaged-list": {"orphan-audio"},
        "damaged-entry": set(),
        "name": {"missing-audio", "orphan-audio"},
        "pitch-range": {"pitch"},
        "velocity-range": {"velocity"},
        "instrument": {"instrument-number"},
        "same-note": {"pitch"},
    }
    assert set(found) <= {kind} | follows.get(kind, set())


def test_all_faults_of_a_folder_are_found_at_once(copy: Path) -> None:
    for kind in ("missing-field", "family", "orphan-audio", "silent", "shared-instrument"):
        FAULTS[kind](copy)
    (copy / "nsynth-test" / "examples.json").write_text("[]")
    found = kinds(copy)
    assert {"missing-field", "family", "orphan-audio", "silent", "shared-instrument"} < set(found)
    assert found["damaged-list"] == 1


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("truncated-record", lambda data: data[:-100]),
        ("truncated-record", lambda data: data + b"\1\2"),
        ("record-length", lambda data: b"\1" + data[1:]),
        ("record-data", lambda data: data[:500] + bytes([data[500] ^ 1]) + data[501:]),
    ],
)
def test_damaged_records_are_found(
    notes_data: Path, tmp_path: Path, kind: str, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "nsynth-valid.tfrecord"
    write_records(notes_data, "valid", path)
    path.write_bytes(damage(path.read_bytes()))
    found = check_folder(tmp_path)
    assert [fault.kind for fault in found] == [kind]
    assert str(path) in str(found[0])
    with pytest.raises(InputError, match=r"nsynth-valid\.tfrecord"):
        read_split(tmp_path, "valid")


def test_records_of_something_else_are_no_examples(tmp_path: Path) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    with (tmp_path / "nsynth-test.tfrecord").open("wb") as file:
        RecordWriter(file).write(b"\xff\xff\xff")
    assert kinds(tmp_path) == {"no-example": 1}


def test_every_kind_of_fault_is_planted_somewhere() -> None:
    of_records = {"truncated-record", "record-length", "record-data", "no-example"}
    assert set(FAULTS) | of_records == set(KINDS)


def test_features_of_a_record(notes_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "nsynth-valid.tfrecord"
    write_records(notes_data, "valid", path)
    records = list(find_records(path))
    assert len(records) == 3
    features = read_example(path, records[1])
    assert features["note_str"] == [FLUTE.encode()]
    assert features["pitch"] == [60]
    assert features["audio"].dtype == np.float32


@pytest.mark.parametrize("kind", ["pitch", "damaged-list", "no-list", "missing-field"])
def test_a_damaged_list_is_not_read(copy: Path, kind: str) -> None:
    FAULTS[kind](copy)
    with pytest.raises(InputError, match=r"nsynth-train"):
        read_split(copy, "train")


@pytest.mark.parametrize("kind", ["rate", "channels", "length", "missing-audio", "not-finite"])
def test_unusable_audio_is_refused_when_it_is_asked_for(copy: Path, kind: str) -> None:
    FAULTS[kind](copy)
    split = read_split(copy, "train")
    index = [note.note_str for note in split.notes].index(BASS)
    with pytest.raises(InputError, match=BASS):
        split.audio(index)


def test_a_folder_without_notes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds none of nsynth-train"):
        check_folder(tmp_path)
    with pytest.raises(InputError, match="holds no nsynth-train"):
        read_split(tmp_path, "train")


def test_the_hash_of_the_data_changes_with_a_note(copy: Path) -> None:
    before = data_sha256(copy)
    assert data_sha256(copy) == before
    changed(BASS, velocity=99)(copy)
    assert data_sha256(copy) != before


def test_fields_of_a_note_are_the_published_ones(notes_data: Path) -> None:
    note = read_split(notes_data, "valid").notes[0]
    assert len(asdict(note)) == 13
    assert replace(note, pitch=61) != note

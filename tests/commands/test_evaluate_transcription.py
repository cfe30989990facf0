"""`timbrel evaluate transcription` as a user runs it; 'evaluate' stays a command of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command_line import failure_of, note, run, write_midi
from support.small_transcriber import small_transcriber_bundle


def test_tables_are_written_and_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soundfont: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("songs").mkdir()
    write_midi("songs/a.mid", [part for i in range(6) for part in note(60 + i, ms=200)])
    small_transcriber_bundle(Path("small"))
    command = ("evaluate", "transcription", "--midi", "songs", "--soundfont", soundfont)
    command += ("-o", "report", "--instrument", "harp", "--judge", "madmom", "--jobs", 1)
    done = run(*command, "--model", "small")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "report/transcription.md: written\n"
    assert done.stdout == Path("report/transcription.md").read_text()
    rows = json.loads(Path("report/transcription.json").read_text())
    assert [row["transcriber"] for row in rows] == ["small", "madmom"]
    assert rows[0]["instrument"] == "harp"
    assert Path("report/transcription.csv").read_text().startswith("transcriber,track,instrument,")
    again = run(*command, "--model", "small", "--json")
    assert json.loads(again.stdout) == rows


def test_recordings_of_single_notes_are_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes_data: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("evaluate", "transcription", "--notes", notes_data)
    done = run(*command, "--split", "train", "-o", "report", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stdout == Path("report/transcription.md").read_text()
    (row,) = json.loads(Path("report/transcription.json").read_text())
    # Sines and tones of seven harmonics that fade.
    assert row["transcriber"] == "transcriber"
    assert row["notes"] == 6
    assert row["right"] >= 5 / 6
    assert row["right"] + row["octave"] + row["nothing"] <= 1
    assert f"| transcriber | 6 | {100 * row['right']:.1f} |" in done.stdout
    # The folder of a split by itself will do.
    alone = run(*command[:-1], notes_data / "nsynth-train", "-o", "alone", "--json", "--quiet")
    assert json.loads(alone.stdout) == [row]
    assert "holds no nsynth-other" in failure_of(*command, "--split", "other", "-o", "none")
    assert "exclude each other" in failure_of(*command, "--recordings", ".", "-o", "none")


def test_what_cannot_be_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begin = ("evaluate", "transcription", "-o", "report")
    assert "give --midi and --soundfont" in failure_of(*begin)
    assert "exclude each other" in failure_of(*begin, "--recordings", ".", "--midi", ".")
    assert "is not a folder" in failure_of(*begin, "--recordings", "none")
    given = (*begin, "--midi", ".", "--soundfont", "x.sf2")
    assert "no instrument 'kazoo'" in failure_of(*given, "--instrument", "kazoo")
    # Without the second word it is the evaluation of models.
    assert "--midi" in failure_of("evaluate", "-o", "report")

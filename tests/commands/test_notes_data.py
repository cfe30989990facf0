"""`timbrel notes prepare` and `check` as a user runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.command_line import failure_of, run

pytestmark = pytest.mark.usefixtures("songs")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--pitches", "60-x"], "pitches '60-x' are not FIRST-LAST"),
        (["--pitches", "60-128"], "do not lie within 0–127"),
        (["--velocities", "0,5"], "not numbers from 1 to 127"),
        (["--hold-out", "no.sf2"], "no.sf2: there is no such SoundFont"),
    ],
)
def test_bad_options_of_preparation(
    soundfont: Path,
    option: list[str],
    words: str,
) -> None:
    assert words in failure_of("notes", "prepare", "--soundfont", soundfont, "-o", "data", *option)


def test_preparation_does_not_write_into_other_folders(
    soundfont: Path,
) -> None:
    assert "is not empty" in failure_of("notes", "prepare", "--soundfont", soundfont, "-o", ".")


def test_faults_are_listed(
    notes_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(notes_data, "data")
    assert run("notes", "check", "data").stdout == "data: no faults\n"
    next(Path("data/nsynth-test/audio").iterdir()).unlink()
    done = run("notes", "check", "data")
    assert done.returncode == 1
    assert "1 × missing-audio" in done.stdout
    rows = json.loads(run("notes", "check", "data", "--json").stdout)
    assert [row["kind"] for row in rows] == ["missing-audio"]

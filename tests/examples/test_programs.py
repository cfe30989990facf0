"""The programs of examples/, run as a reader would."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

from timbrel.examples import tune_path

FOLDER = Path(__file__).parents[2] / "examples"


def run(program: str, *arguments: object) -> str:
    """What a program prints."""
    command = [sys.executable, FOLDER / program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


def test_every_program_is_listed() -> None:
    text = (FOLDER / "README.md").read_text()
    assert all(f"`{path.name}`" in text for path in FOLDER.glob("*.py"))


def test_timbre_path(tmp_path: Path) -> None:
    output = tmp_path / "song.wav"
    path = "0s grand piano; 2s church organ"
    said = run("timbre_path.py", tune_path("prelude.mid"), output, "--timbre", path,
               "--duration", 3)  # fmt: skip
    assert said == f"{output}: 3.0 s\n"
    audio, _ = soundfile.read(output)
    assert np.abs(audio).max() > 0.01


def test_stream_into_a_file(tmp_path: Path) -> None:
    output = tmp_path / "song.flac"
    run("stream.py", tune_path("duet.mid"), "--output", output, "--duration", 2)
    audio, rate = soundfile.read(output)
    assert audio.shape == (2 * rate, 2)
    assert np.abs(audio).max() > 0.01


def test_notes_in_five_timbres(tmp_path: Path) -> None:
    said = run("from_notes.py", "vibraphone", "trumpet", tmp_path / "morphs")
    assert len(said.splitlines()) == 5
    sounds = [soundfile.read(tmp_path / "morphs" / f"{step}.wav")[0] for step in range(5)]
    assert all(sound.shape == sounds[0].shape for sound in sounds)
    assert all(np.abs(a - b).max() > 0.01 for a, b in pairwise(sounds))

"""The help of each command: groups, sentences, examples that run, and man pages made of it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import make_man_pages
import numpy as np
import pytest
from typer.main import get_command

from support.command_line import note, run, write_midi
from timbrel.commands import panels
from timbrel.commands.app import app
from timbrel.commands.examples import EXAMPLES
from timbrel.sound import write_audio

# What takes long, serves until it is stopped, or needs what a test does not have, is only parsed.
RUN = (
    *("render", "inspect", "timbres", "tunes", "info", "notes encode", "notes decode"),
    *("notes reconstruct", "notes morph", "notes rainbowgram"),
)


def commands() -> Iterator[tuple[str, Any]]:
    """All commands by their paths, without groups."""

    def below(group: Any, path: str) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from below(command, f"{path}{name} ")
            else:
                yield path + name, command

    yield from below(get_command(app), "")


COMMANDS = dict(commands())


def test_every_command_has_examples() -> None:
    assert set(EXAMPLES) == set(COMMANDS)
    for path, examples in EXAMPLES.items():
        assert 2 <= len(examples) <= 5
        assert all(example.startswith(f"timbrel {path}") for example in examples)
        assert COMMANDS[path].epilog


@pytest.mark.parametrize("path", EXAMPLES)
def test_examples_are_understood(path: str) -> None:
    for example in EXAMPLES[path]:
        words = shlex.split(example)[1 + len(path.split()) :]
        COMMANDS[path].make_context(path, words)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the examples name."""
    monkeypatch.chdir(tmp_path)
    Path("album").mkdir()
    for name in ("prelude.mid", "duet.mid", "album/first.mid", "album/second.mid"):
        write_midi(name, note(60), note(64, channel=1))
    time_s = np.arange(8000) / 16_000
    for name, frequency_hz in (("flute", 440.0), ("bass", 110.0)):
        write_audio(f"{name}.wav", 0.1 * np.sin(2 * np.pi * frequency_hz * time_s), 16_000)
    return tmp_path


def test_examples_run_in_their_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timbrel.sampled.natural_range", lambda _: (60, 63))  # which is shorter
    for path in RUN:
        for example in EXAMPLES[path]:
            arguments = [*shlex.split(example)[1:], *(["--force"] if path == "tunes" else [])]
            done = run(*arguments)
            assert done.returncode == 0, f"{example}\n{done.stderr}"
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert {"prelude.wav", "sounds/first.wav", "organ.flac", "mix.wav", "roll.png"} <= written
    assert {"mine.timbre", "songs/duet.mid", "codes.npz", "moving/path.wav", "both.svg"} <= written


@pytest.mark.parametrize("path", COMMANDS)
def test_options_stand_in_groups_and_their_help_in_sentences(path: str) -> None:
    known = {value for name, value in vars(panels).items() if name.isupper()}
    assert COMMANDS[path].help.split("\n")[0].endswith(".")
    for parameter in COMMANDS[path].params:
        text = parameter.help
        where = f"{path} {parameter.name}: {text}"
        assert re.match(r"[A-Z].*[.]$", text, re.DOTALL), where
        # Fragments that leave out what they speak of.
        assert not re.match(r"(Of|For|In|At most|As|So many|The same|What|By default)\b", text), (
            where
        )
        if parameter.param_type_name == "option":
            assert parameter.rich_help_panel in known, where


def test_the_help_shows_groups_and_examples() -> None:
    words = run("render", "--help").stdout
    places = [words.index(f"─ {panel} ─") for panel in ("Output", "Sound", "Expert")]
    places.append(words.index("Examples:"))
    assert places == sorted(places)
    for example in EXAMPLES["render"]:
        assert example in words
    for panel in ("Music", "Training and measuring", "Single notes", "This installation"):
        assert f"─ {panel} ─" in run("--help").stdout


def test_there_is_a_man_page_for_each_command() -> None:
    pages = make_man_pages.man_pages()
    expected = {f"timbrel-{path.replace(' ', '-')}.1" for path in COMMANDS}
    assert set(pages) == expected | {
        *("timbrel.1", "timbrel-bench.1", "timbrel-evaluate.1", "timbrel-notes.1")
    }
    for path, command in COMMANDS.items():
        page = pages[f"timbrel-{path.replace(' ', '-')}.1"]
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.opts[-1].replace("-", "\\-") in page
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "SEE ALSO"):
            assert f".SH {section}\n" in page


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_man_renders_the_pages_without_a_warning(tmp_path: Path) -> None:
    for name, page in make_man_pages.man_pages().items():
        path = tmp_path / name
        path.write_text(page, encoding="utf-8")
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", path],
            capture_output=True,
            text=True,
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "MANWIDTH": "100"},
        )
        assert (done.returncode, done.stderr) == (0, ""), name
        assert name.removesuffix(".1").split("-")[-1] in done.stdout

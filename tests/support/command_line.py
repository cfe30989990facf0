"""The program as a user runs it, for tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import mido
import pytest

from timbrel.commands.main import main

TIMBREL = Path(sys.executable).with_name("timbrel")


# What long work says now and then: whether it comes depends on how busy the machine is.
_PROGRESS = re.compile(r"^.+: \d+ %, .*about .+ left\n", re.MULTILINE)


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program in the current folder, with a terminal wide enough for its help.

    It runs in this process, where all that it loads is loaded already, with an environment, streams
    and signals of its own. What depends on a process being one calls `TIMBREL` itself, or
    `run_process`.

    Its lines of progress are left out of what it says on stderr.
    """
    command = [str(TIMBREL), *map(str, arguments)]
    with (
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as error,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in {"COLUMNS": "200", **environment}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", command)
        patch.setitem(sys.modules, "__main__", ModuleType("__main__"))  # of which usage is told
        with (
            _streams(output, error),
            _warnings_of_a_program(),
            _signals(),
            pytest.raises(SystemExit) as end,
        ):
            main()
        output.seek(0)
        error.seek(0)
        said = _PROGRESS.sub("", error.read().decode())
        return subprocess.CompletedProcess(command, end.value.code, output.read().decode(), said)


def run_process(*arguments: object, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
    """Run the program as a process; the time that it may take is for machines that are busy."""
    return subprocess.run(
        [TIMBREL, *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout_s,
    )


@contextmanager
def _streams(output: BinaryIO, error: BinaryIO) -> Iterator[None]:
    """An empty standard input, and files for what is printed, by C code too."""
    sys.stdout.flush()
    sys.stderr.flush()
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        nothing = stack.enter_context(open(os.devnull, "rb"))
        for number, file in enumerate((nothing, output, error)):
            stack.callback(os.close, kept := os.dup(number))
            stack.callback(os.dup2, kept, number)
            os.dup2(file.fileno(), number)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            mode = "w" if number else "r"
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            patch.setattr(sys, name, stack.enter_context(stream))
        yield


@contextmanager
def _warnings_of_a_program() -> Iterator[None]:
    """Warnings are printed, as Python does where no test collects them."""

    def show(*given: Any) -> None:
        print(warnings.formatwarning(*given[:4]), end="", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        warnings.resetwarnings()
        for unseen in (DeprecationWarning, PendingDeprecationWarning, ImportWarning):
            warnings.simplefilter("ignore", unseen)
        warnings.simplefilter("ignore", ResourceWarning)
        yield


@contextmanager
def _signals() -> Iterator[None]:
    """What the program does about signals ends with it."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def result_of(*arguments: object) -> list[dict]:
    """What a command that succeeds prints as JSON."""
    done = run(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def failure_of(*arguments: object) -> str:
    """The one line that a command fails with, after it has written nothing into the folder.

    The folder is the test's own: in the project's, other processes write.
    """
    assert not Path("pyproject.toml").exists()
    before = {path: path.lstat().st_mtime_ns for path in Path().rglob("*")}
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"timbrel: [^\n]+\n", done.stderr), done.stderr
    assert {path: path.lstat().st_mtime_ns for path in Path().rglob("*")} == before
    return done.stderr[len("timbrel: ") : -1]


def write_midi(name: str, *tracks: list[mido.Message]) -> None:
    midi = mido.MidiFile(ticks_per_beat=500)  # a tick is a millisecond
    midi.tracks.extend(mido.MidiTrack(track) for track in tracks)
    midi.save(name)


def note(pitch: int, *, channel: int = 0, ms: int = 500) -> list[mido.Message]:
    """A note and its end."""
    return [
        mido.Message("note_on", channel=channel, note=pitch, velocity=90),
        mido.Message("note_off", channel=channel, note=pitch, time=ms),
    ]


def files() -> set[str]:
    """What lies in the folder but the songs."""
    return {str(p) for p in Path().rglob("*") if p.is_file() and p.suffix != ".mid"}

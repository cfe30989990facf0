"""The program as a user runs it, for tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import mido

TIMBREL = Path(sys.executable).with_name("timbrel")


# What long work says now and then: whether it comes depends on how busy the machine is.
_PROGRESS = re.compile(r"^.+: \d+ %, .*about .+ left\n", re.MULTILINE)


def run(
    *arguments: object, timeout_s: float = 600, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the program in the current folder, with a terminal wide enough for its help.

    Its lines of progress are left out of what it says on stderr. The time that it may take is for
    machines that are busy with other things.
    """
    done = subprocess.run(
        [TIMBREL, *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "200", **environment},
        timeout=timeout_s,
    )
    done.stderr = _PROGRESS.sub("", done.stderr)
    return done


def result_of(*arguments: object) -> list[dict]:
    """What a command that succeeds prints as JSON."""
    done = run(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def failure_of(*arguments: object) -> str:
    """The one line that a command fails with, after it has written nothing."""
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

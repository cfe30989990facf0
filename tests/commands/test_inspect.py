"""`timbrel inspect` as a user runs it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.command_line import TIMBREL, failure_of, files, result_of, run

pytestmark = pytest.mark.usefixtures("songs")


def test_inspect_tells_what_a_file_holds() -> None:
    done = run("inspect", "song.mid", "odd.mid", "drums.mid")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    left_out = "left out, as they cannot be played: notes of drums (1)"
    assert lines == [
        "song.mid: 1.0 s, 3 notes, 2 pedal events",
        "1 Acoustic Grand Piano channel 1 Acoustic Grand Piano (0) 2 notes",
        "2 Trumpet channel 2 Trumpet (56) 1 notes",
        "odd.mid: 0.5 s, 3 notes, 0 pedal events",
        "1 Acoustic Grand Piano channel 1 Acoustic Grand Piano (0) 1 notes",
        f"odd.mid: {left_out}, notes outside the 88 keys (1), pitch bends (2)",
        "drums.mid: 0.0 s, 1 notes, 0 pedal events",
        f"drums.mid: {left_out}",
    ]


def test_inspect_tells_the_same_in_json() -> None:
    assert result_of("inspect", "song.mid", "drums.mid") == [
        {
            "file": "song.mid",
            "duration_s": 1.0,
            "notes": 3,
            "pedal_events": 2,
            "tracks": [
                {"name": "Acoustic Grand Piano", "program": 0, "channel": 1, "notes": 2},
                {"name": "Trumpet", "program": 56, "channel": 2, "notes": 1},
            ],
            "unplayable": {},
        },
        {
            "file": "drums.mid",
            "duration_s": 0.0,
            "notes": 1,
            "pedal_events": 0,
            "tracks": [],
            "unplayable": {"drum_notes": 1},
        },
    ]


@pytest.mark.parametrize(("name", "start"), [("roll.png", b"\x89PNG"), ("roll.svg", b"<?xml")])
def test_inspect_draws_the_roll(name: str, start: bytes) -> None:
    assert run("inspect", "song.mid", "--plot", name).returncode == 0
    assert files() == {name}
    assert Path(name).read_bytes().startswith(start)


def test_a_reader_that_has_enough_is_no_error() -> None:
    command = f"yes song.mid | head -2000 | xargs {TIMBREL} inspect | head -1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.stdout == "song.mid: 1.0 s, 3 notes, 2 pedal events\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["song.mid", "drums.mid", "--plot", "x.png"], "--plot draws one file"),
        (["drums.mid", "--plot", "x.png"], "no notes to draw"),
        (["song.mid", "--plot", "x.abc"], "x.abc: pictures end in .png"),
        (["song.mid", "--plot", "text.mid"], "text.mid: exists"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: list[str], message: str) -> None:
    assert message in failure_of("inspect", *arguments)

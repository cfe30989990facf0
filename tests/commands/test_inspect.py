"""`timbrel inspect` as a user runs it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.command_line import TIMBREL, failure_of, files, result_of, run
from support.midi_bytes import END, chunk, header, name, note, port, program, smf
from timbrel.constants import SMALL_MODEL

SMALL = ("--model", SMALL_MODEL)  # which has neither drums nor bends

pytestmark = pytest.mark.usefixtures("songs")


def test_inspect_tells_what_a_file_holds() -> None:
    done = run("inspect", "song.mid", "odd.mid", "drums.mid", *SMALL)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    left_out = "left out, as they cannot be played: notes of drums (1)"
    assert lines == [
        "song.mid: 1.0 s, 3 notes, 2 pedal events",
        "1 Acoustic Grand Piano channel 1 Acoustic Grand Piano (0) 2 notes, played by grand piano",
        "2 Trumpet channel 2 Trumpet (56) 1 notes, played by trumpet",
        "odd.mid: 0.5 s, 3 notes, 0 pedal events",
        "1 Acoustic Grand Piano channel 1 Acoustic Grand Piano (0) 1 notes, played by grand piano",
        "2 Drums channel 10 Drum kit (0) 1 notes, not played",
        f"odd.mid: {left_out}, notes outside the 88 keys (1), pitch bends (2)",
        "drums.mid: 0.0 s, 1 notes, 0 pedal events",
        "1 Drums channel 10 Drum kit (0) 1 notes, not played",
        f"drums.mid: {left_out}",
    ]


def row(
    number: int, title: str, program: int, instrument: str | None, **more: int
) -> dict[str, object]:
    described = {"number": number, "name": title, "program": program, "instrument": instrument}
    return {**described, "drums": False, "port": 1, **more}


def test_inspect_tells_the_same_in_json() -> None:
    assert result_of("inspect", "song.mid", "drums.mid", *SMALL) == [
        {
            "file": "song.mid",
            "duration_s": 1.0,
            "notes": 3,
            "pedal_events": 2,
            "tracks": [
                row(1, "Acoustic Grand Piano", 0, "grand piano", channel=1, notes=2),
                row(2, "Trumpet", 56, "trumpet", channel=2, notes=1),
            ],
            "unplayable": {},
            "warnings": [],
        },
        {
            "file": "drums.mid",
            "duration_s": 0.0,
            "notes": 1,
            "pedal_events": 0,
            "tracks": [row(1, "Drums", 0, None, drums=True, channel=10, notes=1)],
            "unplayable": {"drum_notes": 1},
            "warnings": [],
        },
    ]


@pytest.mark.parametrize(("name", "start"), [("roll.png", b"\x89PNG"), ("roll.svg", b"<?xml")])
def test_inspect_draws_the_roll(name: str, start: bytes) -> None:
    assert run("inspect", "song.mid", "--plot", name).returncode == 0
    assert files() == {name}
    assert Path(name).read_bytes().startswith(start)


def test_folders_and_standard_input_are_looked_into_and_models_named(
    model: tuple[str, str],
) -> None:
    Path("album/one").mkdir(parents=True)
    for copy in ("album/b.mid", "album/one/a.MID"):
        shutil.copy("other.mid", copy)
    assert [row["file"] for row in result_of("inspect", "album", *model)] == [
        "album/b.mid",
        "album/one/a.MID",
    ]
    command = f"{TIMBREL} inspect - < song.mid"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.startswith("standard input: 1.0 s, 3 notes")
    command = f"{TIMBREL} inspect - < text.mid"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch("timbrel: standard input: is not a MIDI file[^\n]*\n", done.stderr)
    assert "give - once" in failure_of("inspect", "-", "-")


def test_damage_is_told_of() -> None:
    tune = chunk(name("Tune") + note(60) + END)
    Path("bad.mid").write_bytes(b"junk" + header(3) + tune + chunk(note(62) + b"\0\xf4"))
    words = [
        "4 bytes before the MIDI header were passed over",
        "track 2 is damaged (the status byte 0xf4 is undefined); what follows in it is left out",
        "the header says 3 tracks, the file holds 2",
    ]
    done = run("inspect", "bad.mid")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-3:] == [f"bad.mid: {line}" for line in words]
    (result,) = result_of("inspect", "bad.mid")
    assert result["warnings"] == words


def test_ports_are_named_where_there_are_several() -> None:
    Path("ports.mid").write_bytes(smf(port(0) + note(60), port(1) + program(56) + note(62)))
    lines = [" ".join(line.split()) for line in run("inspect", "ports.mid").stdout.splitlines()]
    assert lines[1:] == [
        "1 Acoustic Grand Piano port 1 channel 1 Acoustic Grand Piano (0) 1 notes, "
        "played by Acoustic Grand Piano",
        "2 Trumpet port 2 channel 1 Trumpet (56) 1 notes, played by Trumpet",
    ]
    (result,) = result_of("inspect", "ports.mid")
    assert [track["port"] for track in result["tracks"]] == [1, 2]


def test_no_name_steers_the_terminal() -> None:
    names = (b"Lead\x1b]0;renamed\x07\n\x1b[31mred", "ギター".encode("cp932"), b"\x9bA")
    file = "so\x1b[2Jng\n.mid"
    Path(file).write_bytes(smf(*(name(text) + note(60) for text in names)))
    Path("\x1b[31m.mid").write_bytes(b"no music")
    for arguments in ([file], [file, "\x1b[31m.mid"]):
        done = run("inspect", *arguments)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stdout + done.stderr)
    lines = run("inspect", file).stdout.splitlines()
    assert [line.split("  ")[0:3] for line in lines[:1]] == [
        ["so [2Jng .mid: 0.5 s, 3 notes, 0 pedal events"]
    ]
    assert len(lines) == 4
    assert "ギター" in lines[2]


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

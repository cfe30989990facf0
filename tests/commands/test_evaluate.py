"""`timbrel evaluate` and `timbrel listen` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command_line import failure_of, files, note, run, write_midi

pytestmark = pytest.mark.usefixtures("songs")


def test_an_evaluation_writes_its_report(model: tuple[str, str], soundfont: Path) -> None:
    """And another one takes what it needs from the cache."""
    write_midi("song.mid", *[note(60 + i, ms=150) for i in range(8)])
    Path("list.csv").write_text("file,start_s,duration_s\nsong.mid,0,1.2\n")
    command = ("evaluate", "--midi", ".", "--soundfont", soundfont, "-o", "report", *model)
    command += ("--excerpts", "list.csv", "--instrument", "harp", "--judge", "madmom")
    done = run(*command, "--vocoder", "griffin-lim", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "report/report.html: written\n"
    assert done.stdout == Path("report/results.md").read_text() + "\n"
    assert "| µ-law only |" in done.stdout
    content = json.loads(Path("report/results.json").read_text())
    assert content["instruments"] == ["harp"]
    assert list(content["log_cqt_correlation"]) == [
        "µ-law only",
        "true mel, griffin-lim",
        "tiny, griffin-lim",
    ]
    assert content["judges_left_out"] == []
    assert {path.split("/")[0] for path in files()} == {"list.csv", "report"}
    assert failure_of("listen", "--report", "report", "--analyse").startswith(
        "report: nobody has listened yet"
    )
    assert "no condition 'magic'" in failure_of(
        "listen", "--report", "report", "--condition", "magic"
    )


def test_evaluations_that_cannot_be_are_refused(soundfont: Path) -> None:
    with_font = ("--soundfont", soundfont, "-o", "report")
    assert failure_of("evaluate", "--midi", "none", *with_font) == "none: is not a folder"
    assert failure_of("evaluate", "--midi", ".", *with_font, "--excerpts", "none.csv").startswith(
        "none.csv: cannot be read"
    )
    Path("list.csv").write_text("file,start_s,duration_s\nsong.mid,0,1.2\n")
    given = ("evaluate", "--midi", ".", "--excerpts", "list.csv", "-o", "report")
    assert "there is no such SoundFont" in failure_of(*given, "--soundfont", "none.sf2")
    assert "there is no vocoder 'magic'" in failure_of(
        *given, "--soundfont", soundfont, "--vocoder", "magic"
    )
    assert "is no report" in failure_of("listen", "--report", ".")


def test_evaluations_of_timbres_that_cannot_be_are_refused() -> None:
    given = ("evaluate", "timbre", "-o", "report")
    assert failure_of(*given) == "give --data, or --notes"
    assert failure_of(*given, "--notes", ".", "--points", 1) == (
        "--soundfont and --points belong to --data"
    )
    assert "invalid value for '--seed'" in failure_of(*given, "--data", ".", "--seed", -1)
    assert "report" not in files()

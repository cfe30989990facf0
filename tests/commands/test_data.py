"""`timbrel prepare` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command_line import failure_of

pytestmark = pytest.mark.usefixtures("songs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["folder.mid"], "folder.mid: holds no MIDI files"),
        (["nowhere"], "nowhere: is not a folder"),
        ([".", "--instruments", "hundred"], "there is no set of instruments 'hundred'"),
    ],
)
def test_preparation_of_nothing_is_refused(
    soundfont: Path, arguments: list[str], message: str
) -> None:
    assert message in failure_of("prepare", *arguments, "--soundfont", soundfont, "-o", "out")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("text.mid", "text.mid: is not a folder"),
        (".", ".: is not empty; give --resume to go on with it, or another name"),
    ],
)
def test_a_data_folder_that_is_something_else_is_refused(
    soundfont: Path, output: str, message: str
) -> None:
    assert message in failure_of("prepare", ".", "--soundfont", soundfont, "-o", output)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recordings", "nowhere"], "nowhere: is not a folder"),
        (
            ["--recordings", ".", "--etudes", "2"],
            "are used as they are: leave out limits or etudes",
        ),
        (
            ["--recordings", ".", "--gain", "1", "--bit-depth", "24"],
            "are used as they are: leave out --gain, --bit-depth",
        ),
        (
            ["--recordings", ".", "--bit-depth", "32f"],
            "--bit-depth must be 16 or 24, not '32f'",
        ),
        (["--instrument", "harp"], "--instrument names who plays in --recordings; give these, too"),
        (["--sample-rate", "24000"], "give --output and --soundfont or --recordings; or"),
    ],
)
def test_recordings_that_cannot_be_used_are_refused(arguments: list[str], message: str) -> None:
    assert message in failure_of("prepare", *arguments, "-o", "out")


def test_a_faulty_list_of_instruments_is_refused(soundfont: Path) -> None:
    Path("mine.yaml").write_text("- {name: harp, program: 200}\n")
    given = ("--instruments", "mine.yaml", "--soundfont", soundfont, "-o", "out")
    assert failure_of("prepare", ".", *given).startswith("mine.yaml: instrument 1 ('harp') has")

"""Where the sound goes, planned before work."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from timbrel.commands.outputs import Outputs
from timbrel.errors import OutputError
from timbrel.score.score import Score, Track

SCORE = Score((Track("Right Hand!", 0, 0, ()), Track("", 46, 1, ()), Track("Ünï-1_x", 46, 2, ())))
SONGS = [Path("here/a.mid"), Path("there/b.MID")]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def mixes(files: list[Path], output: str | None, *, force: bool = False) -> list[str]:
    """Names of the files that would be written."""
    targets = Outputs(files, output, force=force).plan(dict.fromkeys(range(len(files)), SCORE))
    assert all(target.stems == () for target in targets.values())
    return [str(target.mix) for target in targets.values()]


def test_by_default_wav_files_go_to_the_current_folder() -> None:
    assert mixes(SONGS, None) == ["a.wav", "b.wav"]


@pytest.mark.parametrize("name", ["song.wav", "song.flac", "song.ogg", "song.OGG", "x.y.wav"])
def test_one_score_goes_to_the_file_that_is_named(name: str) -> None:
    assert mixes(SONGS[:1], name) == [name]


@pytest.mark.parametrize("name", ["out/", "out", "my.album/", "deep/er/"])
def test_any_number_goes_to_a_folder_which_need_not_exist(name: str) -> None:
    folder = name.rstrip("/")
    assert mixes(SONGS[:1], name) == [f"{folder}/a.wav"]
    assert mixes(SONGS, name) == [f"{folder}/a.wav", f"{folder}/b.wav"]
    assert list(Path().iterdir()) == []  # it is made when there is something to put into it


def test_a_folder_that_exists_is_one_whatever_its_name() -> None:
    Path("my.wav").mkdir()
    assert mixes(SONGS[:1], "my.wav") == ["my.wav/a.wav"]


def test_stems_are_named_by_score_number_and_track() -> None:
    target = Outputs(SONGS[:1], "mix.flac", stems=Path("stems")).plan({0: SCORE})[0]
    assert target.mix == Path("mix.flac")
    names = ["mix-01-right-hand.flac", "mix-02-track.flac", "mix-03-ünï-1_x.flac"]
    assert target.stems == tuple(Path("stems", name) for name in names)


def test_long_names_of_tracks_are_cut() -> None:
    score = Score((Track("x" * 300, 0, 0, ()),))
    target = Outputs(SONGS[:1], None, stems=Path("stems")).plan({0: score})[0]
    assert target.stems == (Path("stems", f"a-01-{'x' * 40}.wav"),)


def test_existing_files_are_kept_unless_forced() -> None:
    Path("b.wav").write_bytes(b"old")
    with pytest.raises(OutputError, match=r"b\.wav: exists; give --force"):
        mixes(SONGS, None)
    assert mixes(SONGS, None, force=True) == ["a.wav", "b.wav"]
    Path("stems").mkdir()
    Path("stems/a-02-track.wav").touch()
    with pytest.raises(OutputError, match=r"a-02-track\.wav: exists"):
        Outputs(SONGS[:1], None, stems=Path("stems")).plan({0: SCORE})


@pytest.mark.parametrize(
    ("files", "output", "message"),
    [
        (SONGS, "song.wav", "song.wav: is one file for 2 sounds; name a folder"),
        (
            [SONGS[0], Path("there/a.mid")],
            None,
            "a.wav: would be written twice; render",
        ),
        ([SONGS[0], SONGS[0]], "out/", "out/a.wav: would be written twice"),
        (SONGS[:1], "song.mp3", "song.mp3: cannot write '.mp3' files; use one of .wav, .flac"),
        (SONGS[:1], "nowhere/song.wav", "the folder nowhere does not exist; create it first"),
        (SONGS[:1], "file/song.wav", "file/song.wav: file is not a folder"),
        (SONGS[:1], "file/out/", "file/out: cannot be created, as file is not a folder"),
        (SONGS[:1], "file/", "file: is not a folder"),
        (SONGS[:1], "file", "file: is not a folder"),
    ],
)
def test_outputs_that_cannot_be_are_refused(
    files: list[Path], output: str | None, message: str
) -> None:
    Path("file").write_bytes(b"old")
    with pytest.raises(OutputError) as error:
        mixes(files, output)
    assert message in str(error.value)
    assert [p.name for p in Path().iterdir()] == ["file"]


TRUMPET = Score((Track("Trumpet", 56, 0, ()),))


@pytest.mark.parametrize(
    ("files", "output", "stems", "message"),
    [
        (["a.mid", "b.mid"], "-", None, "standard output: is one file for 2 sounds"),
        (["a.mid", "b.mid"], "/dev/null", None, "/dev/null: is one file for 2 sounds"),
        (["a.mid"], "x" * 252 + ".wav", None, "x.wav: cannot be written (File name too long)"),
        (["a.mid"], "曲" * 84 + ".wav", None, "曲.wav: cannot be written (File name too long)"),
        (["a.mid"], "loop.wav", None, "loop.wav: cannot be written (Too many levels of symbolic"),
        (["a.mid"], "dangling.wav", None, "/nowhere does not exist; create it first"),
        (["a.mid"], "socket.wav", None, "socket.wav: is neither a file nor a pipe"),
        (["a.mid"], "pipe.mp3", None, "pipe.mp3: cannot write '.mp3' files"),
        (["a.mid", "A.mid"], "out/", None, "out/a.wav and out/A.wav: differ in upper and lower"),
        (["a.mid", "A.MID"], None, None, "a.wav and A.wav: differ in upper and lower case alone"),
        (["é.mid", "e\u0301.mid"], "out/", None, "differ in upper and lower case alone"),
        (["a.mid", "sub/./a.mid"], "out/", None, "out/a.wav: would be written twice; render into"),
        (["a.mid", "a-01-trumpet.mid"], "out/", "out", "out/a-01-trumpet.wav: would be written tw"),
        (["a.mid", "a-01-trumpet.mid"], "out/", "sub/../out", "a-01-trumpet.wav: would be written"),
        (["a.mid", "A-01-Trumpet.mid"], "out/", "out", "differ in upper and lower case alone"),
        (["a.mid", "sub/a.mid"], "out/", "stems", "out/a.wav: would be written twice"),
        (["a.mid"], "a.flac", "file", "file: is not a folder"),
        (["a.mid"], "a.flac", "loop.wav", "cannot be written (Too many levels of symbolic links)"),
    ],
)
def test_outputs_that_would_meet_are_refused(
    files: list[str], output: str | None, stems: str | None, message: str
) -> None:
    Path("file").touch()
    Path("loop.wav").symlink_to("loop.wav")
    Path("dangling.wav").symlink_to("nowhere/x.wav")
    socket.socket(socket.AF_UNIX).bind("socket.wav")
    os.mkfifo("pipe.mp3")
    before = sorted(Path().iterdir())
    with pytest.raises(OutputError) as error:
        Outputs([Path(f) for f in files], output, stems=stems and Path(stems)).plan(
            dict.fromkeys(range(len(files)), TRUMPET)
        )
    assert message in str(error.value)
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("files", "output", "stems", "expected"),
    [
        (["a.mid"], "-", "stems", ["-", "stems/a-01-trumpet.wav"]),
        (["x/b.mid"], "/dev/null", "stems", ["/dev/null", "stems/b-01-trumpet.wav"]),
        (["a.mid"], "pipe", ".", ["pipe", "a-01-trumpet.wav"]),
        (["a.mid"], "pipe.flac", ".", ["pipe.flac", "a-01-trumpet.wav"]),
        (["a.mid"], "x.flac", ".", ["x.flac", "x-01-trumpet.flac"]),
        (["a.mid"], "a-01-trumpet.wav", ".", ["a-01-trumpet.wav", "a-01-trumpet-01-trumpet.wav"]),
        (["a.mid"], "out/", "out", ["out/a.wav", "out/a-01-trumpet.wav"]),
        (["a.mid"], "./-", None, ["-/a.wav"]),
        (["x" * 300 + ".mid"], "out/", None, [f"out/{'x' * 251}.wav"]),
        (["曲" * 80 + ".mid"], ".", ".", [f"{'曲' * 80}.wav", f"{'曲' * 80}-01-trumpet.wav"]),
        (["曲" * 83 + ".mid"], ".", ".", [f"{'曲' * 83}.wav", f"{'曲' * 82}-01-t.wav"]),
        (["a b.c.mid"], None, None, ["a b.c.wav"]),
    ],
)
def test_where_the_sounds_go(
    files: list[str], output: str | None, stems: str | None, expected: list[str]
) -> None:
    os.mkfifo("pipe")
    os.mkfifo("pipe.flac")
    outputs = Outputs([Path(f) for f in files], output, stems=stems and Path(stems))
    (target,) = outputs.plan({0: TRUMPET}).values()
    assert [str(path) for path in target.paths] == expected


@pytest.mark.parametrize(
    ("output", "bit_depth", "message"),
    [
        ("x.ogg", "24", "x.ogg: OGG files have no bit depth; leave it out"),
        ("x.flac", "32f", "x.flac: the bit depth of FLAC files is 16 or 24, not 32f"),
    ],
)
def test_bit_depths_that_files_do_not_have_are_refused(
    output: str, bit_depth: str, message: str
) -> None:
    with pytest.raises(OutputError, match=message):
        Outputs(SONGS[:1], output, bit_depth=bit_depth)
    Outputs(SONGS[:1], "x.flac", bit_depth="24")
    Outputs(SONGS, "out/", bit_depth="32f")

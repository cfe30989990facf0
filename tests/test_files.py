"""Files: outputs are checked before the work, and written whole or not at all."""

from __future__ import annotations

import ast
import os
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

import timbrel
from support.small_disk import error_on_a_small_disk
from timbrel import files
from timbrel.errors import InputError, OutputError
from timbrel.files import (
    atomic_path,
    check_distinct,
    check_output,
    fitting_name,
    is_stream,
    read_json,
    read_table,
    read_text,
    write_text,
)
from timbrel.sound import AudioWriter


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(b"old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"new")
            assert (temporary.parent, temporary.suffix) == (tmp_path, ".wav")
            assert path.read_bytes() == b"old"
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert [p.name for p in tmp_path.iterdir()] == ["song.wav"]
    assert path.read_bytes() == b"old"


def test_a_finished_file_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(b"old")
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["song.wav"]
    assert path.read_bytes() == b"new"


def test_a_finished_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    with atomic_path(tmp_path / "song.wav") as temporary:
        temporary.write_bytes(b"new")
    expected = stat.S_IMODE(ordinary.stat().st_mode)
    assert stat.S_IMODE((tmp_path / "song.wav").stat().st_mode) == expected


def test_outputs_are_checked_before_any_work(tmp_path: Path) -> None:
    old = tmp_path / "old.wav"
    old.touch()
    with pytest.raises(OutputError, match=r"old\.wav: exists; give --force"):
        check_output(old)
    assert check_output(old, force=True) == old
    assert check_output(str(tmp_path / "new.wav")) == tmp_path / "new.wav"
    with pytest.raises(OutputError, match="is a folder"):
        check_output(tmp_path, force=True)
    with pytest.raises(OutputError, match=r"the folder .*nowhere does not exist"):
        check_output(tmp_path / "nowhere" / "new.wav")
    with pytest.raises(OutputError, match=r"old\.wav is not a folder"):
        check_output(old / "new.wav")


# Names


@pytest.mark.parametrize(
    ("stem", "ending", "length"),
    [
        ("song", ".wav", 8),
        ("x" * 251, ".wav", 255),
        ("x" * 252, ".wav", 255),
        ("x" * 1000, "-12.flac", 255),
        ("曲" * 60, ".wav", 184),
        ("曲" * 84, ".wav", 253),
        ("é" * 200, ".wav", 254),
        ("e\u0301" * 100, ".wav", 253),
        ("🎹" * 100, ".wav", 252),
        ("🎹" * 63, "-01.wav", 255),
        ("Ω" * 126, ".wav", 254),
        ("naïve " * 50, ".wav", 255),
        ("", ".wav", 4),
        ("\udce9" * 300, ".wav", 255),  # bytes that are no UTF-8
    ],
)
def test_names_are_cut_to_what_file_systems_hold(
    stem: str, ending: str, length: int, tmp_path: Path
) -> None:
    name = fitting_name(stem, ending)
    assert len(os.fsencode(name)) == length
    assert name.endswith(ending)
    assert stem.startswith(name.removesuffix(ending))
    (tmp_path / name).touch()


@pytest.mark.parametrize("stem", ["a/b", "../a", "a\\b", "/etc/passwd", "a\0b", "//"])
def test_names_stay_in_their_folder(stem: str, tmp_path: Path) -> None:
    path = tmp_path / fitting_name(stem, ".wav")
    assert path.parent == tmp_path
    path.touch()


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("a.wav", "a.wav", "a.wav: would be written twice; rename a clip"),
        ("a.wav", "./a.wav", "a.wav: would be written twice"),
        ("sub/../a.wav", "a.wav", "a.wav: would be written twice"),
        ("link/a.wav", "sub/a.wav", "sub/a.wav: would be written twice"),
        ("one.wav", "two.wav", "two.wav: would be written twice"),  # both lead to "there.wav"
        ("a.wav", "A.wav", "a.wav and A.wav: differ in upper and lower case alone"),
        ("Sub/a.wav", "sub/a.wav", "Sub/a.wav and sub/a.wav: differ"),
        ("straße.wav", "STRASSE.wav", "differ in upper and lower case alone"),
        ("é.wav", "e\u0301.wav", "differ"),
        ("É.wav", "e\u0301.WAV", "differ"),
    ],
)
def test_outputs_of_one_name_are_refused(
    first: str, second: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    Path("link").symlink_to("sub")
    for name in ("one.wav", "two.wav"):
        Path(name).symlink_to("there.wav")
    with pytest.raises(OutputError) as error:
        check_distinct([Path("other.wav"), Path(first), Path(second)], "rename a clip")
    assert message in str(error.value)
    assert str(error.value).endswith("; rename a clip")
    check_distinct([Path("a.wav"), Path("sub/a.wav"), Path("a.flac")], "rename a clip")


# Links, pipes, devices


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("there", ["real.txt", "sub/real.txt", "{here}/sub/real.txt", "other"])
@pytest.mark.parametrize("exists", [True, False])
def test_links_are_written_through(there: str, exists: bool) -> None:
    Path("sub").mkdir()
    Path("other").symlink_to("sub/real.txt")
    target = Path(there.format(here=Path.cwd()))
    if exists:
        target.write_text("old")
    link = Path("link.txt")
    link.symlink_to(target)
    if exists:
        with pytest.raises(OutputError, match=r"link\.txt: exists; give --force"):
            check_output(link)
    check_output(link, force=True)
    with atomic_path(link) as temporary:
        assert temporary.parent.resolve() == target.resolve().parent
        temporary.write_text("new")
    assert link.is_symlink()
    assert (target.read_text(), target.is_symlink()) == ("new", there == "other")
    assert sorted(p.name for p in Path().rglob(".timbrel*")) == []


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.symlink_to("nowhere/real.txt"), "the folder .*nowhere does not exist"),
        (lambda path: path.symlink_to(path.name), "cannot be written .Too many levels of symb"),
        (lambda path: path.symlink_to("."), "is a folder; name a file"),
        (lambda path: path.symlink_to("file/real.txt"), ".*/file is not a folder"),
        (
            lambda path: socket.socket(socket.AF_UNIX).bind(str(path)),
            "is neither a file nor a pipe",
        ),
        (lambda path: path.mkdir(), "is a folder; name a file"),
    ],
)
def test_links_that_lead_nowhere_are_refused(make: Callable[[Path], object], message: str) -> None:
    Path("file").touch()
    path = Path("out.txt")
    make(path)
    with pytest.raises(OutputError, match=f"out.txt: {message}"):
        check_output(path, force=True)


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 256, "cannot be written .File name too long"),
        ("曲" * 86, "cannot be written .File name too long"),
        ("x/" * 3000 + "x", "cannot be written .File name too long"),
        ("a\0b", "cannot be written .embedded null"),
        ("-", "takes the sound of 'timbrel render' alone"),
    ],
)
def test_names_that_cannot_be_are_refused(name: str, message: str) -> None:
    with pytest.raises(OutputError, match=message):
        check_output(name, force=True, may_create=True)


@pytest.mark.usefixtures("_here")
def test_pipes_are_written_through() -> None:
    os.mkfifo("pipe")
    assert check_output("pipe") == Path("pipe")  # and needs no --force
    heard: list[str] = []
    listener = threading.Thread(target=lambda: heard.append(Path("pipe").read_text()), daemon=True)
    listener.start()
    with atomic_path("pipe") as temporary:
        temporary.write_text("new")
        assert temporary.parent != Path()
    listener.join(60)
    assert heard == ["new"]
    assert is_stream("pipe")
    assert not temporary.exists()


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_devices_stay_what_they_are(device: str) -> None:
    before = Path(device).stat()
    check_output(device)
    full = pytest.raises(OutputError, match=r"/dev/full: cannot be written \(No space left")
    with full if device == "/dev/full" else nullcontext(), atomic_path(device) as temporary:
        temporary.write_text("new")
    after = Path(device).stat()
    assert (after.st_mode, after.st_rdev) == (before.st_mode, before.st_rdev)
    assert not temporary.exists()


# Full disks


def _write_text(path: Path) -> None:
    path.write_text("x" * 20_000)


def _write_arrays(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, x=np.zeros(20_000))


def _write_wave(path: Path) -> None:
    with AudioWriter(path, 16_000, 1) as writer:
        writer.write(np.zeros(20_000, np.float32))


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("write", [_write_text, _write_arrays, _write_wave])
def test_a_full_disk_leaves_nothing_and_is_one_line(write: Callable[[Path], None]) -> None:
    def write_atomically() -> None:
        with atomic_path("out.wav") as temporary:
            write(temporary)

    error = error_on_a_small_disk(write_atomically)
    assert isinstance(error, OutputError)
    assert str(error) == "out.wav: cannot be written (File too large)"
    assert list(Path().iterdir()) == []


# Text that people edit

LINES = "file,split\nétude.mid,train\nb.mid,valid\n"


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text_is_read_with_or_without_a_byte_order_mark(encoding: str) -> None:
    Path("a.csv").write_bytes(LINES.encode(encoding))
    assert read_text("a.csv") == LINES


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (LINES.encode("latin-1"), "is not text in UTF-8 (line 2); save it as UTF-8"),
        (LINES.encode("cp850"), "is not text in UTF-8 (line 2)"),
        (LINES.encode("mac-roman"), "is not text in UTF-8 (line 2)"),
        (LINES.replace("é", "ピ").encode("shift-jis"), "is not text in UTF-8 (line 2)"),
        (LINES.replace("é", "музыка").encode("koi8-r"), "is not text in UTF-8 (line 2)"),
        (LINES.encode("utf-16"), "is text in UTF-16; save it as UTF-8"),
        (b"\xfe\xff" + LINES.encode("utf-16-be"), "is text in UTF-16; save it as UTF-8"),
        (LINES.encode("utf-32"), "is text in UTF-16; save it as UTF-8"),
        ("a,b".encode("utf-16-le"), "holds NUL characters"),
        (LINES.encode()[:12], "is not text in UTF-8 (line 2)"),  # cut within a character
        (b"\xed\xa0\x80", "is not text in UTF-8 (line 1)"),  # half of a surrogate pair
        (b"RIFF\x24\x00\x00\x00WAVE", "holds NUL characters"),
        (b"\x89PNG\r\n\x1a\n", "is not text in UTF-8 (line 1)"),
        (b"\x1f\x8b\x08\x00", "is not text in UTF-8 (line 1)"),
    ],
)
def test_other_encodings_are_one_clear_line(data: bytes, message: str) -> None:
    Path("a.csv").write_bytes(data)
    for read in (read_text, read_json, lambda path: read_table(path, ("file", "split"))):
        with pytest.raises(InputError) as error:
            read("a.csv")
        assert str(error.value).startswith(f"a.csv: {message}")


@pytest.mark.usefixtures("_here")
def test_text_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^none\.csv: cannot be read \(No such file"):
        read_text("none.csv")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        read_text(".")
    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 1 << 20)
    with pytest.raises(InputError, match="has more than 1 MiB; is it a text file"):
        read_text("/dev/zero")


@pytest.mark.usefixtures("_here")
def test_text_is_written_whole_in_utf8() -> None:
    write_text("a.txt", "µ-law: −1 dB, 曲\n")
    assert Path("a.txt").read_bytes() == "µ-law: −1 dB, 曲\n".encode()
    assert read_text("a.txt") == "µ-law: −1 dB, 曲\n"


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("text", ["", "{", "[1,]", "nul", "[" * 100_000, '{"a": 1} x'])
def test_what_is_not_json_is_one_line(text: str) -> None:
    Path("a.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"^a\.json: is not JSON \([^\n]+\)$"):
        read_json("a.json")


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    "text",
    [
        "file,split\na b.mid,train\nc.mid,valid\n",
        "\ufefffile,split\na b.mid,train\nc.mid,valid",
        "split,file\r\ntrain,a b.mid\r\nvalid,c.mid\r\n",
        "file;split\na b.mid;train\nc.mid;valid\n",
        "file\tsplit\tnote\na b.mid\ttrain\tx\nc.mid\tvalid\t\n",
        '"file","split"\n"a b.mid","train"\n"c.mid","valid"\n',
        " file , split \n a b.mid , train \n c.mid , valid \n",
        "file,split,by\na b.mid,train,me\nc.mid,valid\n",
        "file,split\n\na b.mid,train\n,\n\nc.mid,valid\n,\n",
        "split;file;note\rtrain;a b.mid;x,y\rvalid;c.mid;\r",
    ],
)
def test_tables_are_read_as_spreadsheets_write_them(text: str) -> None:
    Path("a.csv").write_bytes(text.encode())
    assert read_table("a.csv", ("file", "split")) == [
        {"file": "a b.mid", "split": "train"},
        {"file": "c.mid", "split": "valid"},
    ]


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.csv: has no column 'file'; its columns are: none"),
        ("name,split\na.mid,train\n", "a.csv: has no column 'file'; its columns are: name, split"),
        ("file\na.mid\n", "a.csv: has no column 'split'; its columns are: file"),
        ("File,Split\na.mid,train\n", "a.csv: has no column 'file'; its columns are: File, Split"),
        ("file,split\na.mid,train\nb.mid\n", "a.csv: line 3 has no split"),
        ("file,split\na.mid,train\n\n,valid\n", "a.csv: line 4 has no file"),
        ("file,split\n" + "x" * 200_000 + ",train\n", "a.csv: line 2 cannot be read (field larger"),
    ],
)
def test_tables_that_lack_something_are_refused(text: str, message: str) -> None:
    Path("a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_table("a.csv", ("file", "split"))
    assert str(error.value).startswith(message)


def opens_text(call: ast.Call) -> bool:
    """Whether a call reads or writes text as the system encodes it."""
    function = call.func
    name = getattr(function, "attr", getattr(function, "id", ""))
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    if name == "open":
        others = ("os", "webbrowser")
        if isinstance(function, ast.Attribute) and getattr(function.value, "id", "") in others:
            return False
        return not any(isinstance(a, ast.Constant) and "b" in str(a.value) for a in call.args)
    return isinstance(function, ast.Attribute) and name in ("read_text", "write_text")


def test_all_text_is_utf8_whatever_the_system_encodes() -> None:
    paths = Path(timbrel.__file__).parent.rglob("*.py")
    careless = [
        f"{path}:{node.lineno}"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and opens_text(node)
    ]
    assert careless == []
    assert opens_text(ast.parse("Path('a').read_text()").body[0].value)  # type: ignore[attr-defined]
    assert opens_text(ast.parse("open(path, 'w')").body[0].value)  # type: ignore[attr-defined]

"""Files: outputs are checked before the work, and written whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from timbrel.errors import OutputError
from timbrel.files import atomic_path, check_output


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

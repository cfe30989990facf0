"""`timbrel tunes` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command_line import failure_of, result_of, run
from timbrel.examples import TUNES
from timbrel.score.midi import read_midi


def test_the_bundled_tunes_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert result_of("tunes") == list(TUNES.values())
    assert [len(read_midi(tmp_path / file).tracks) for file in TUNES.values()] == [1, 2]
    assert "prelude.mid: exists" in failure_of("tunes")
    done = run("tunes", "--force")
    assert done.stdout == "prelude.mid: Prelude\nduet.mid: Canon\n"
    assert run("tunes", "-o", "new/folder").returncode == 0
    assert (tmp_path / "new/folder/duet.mid").read_bytes() == (tmp_path / "duet.mid").read_bytes()
    assert "duet.mid: is not a folder" in failure_of("tunes", "-o", "duet.mid")

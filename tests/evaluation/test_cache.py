"""The folder of what was made."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from timbrel.errors import OutputError
from timbrel.evaluation import cache as cache_module
from timbrel.evaluation.cache import Cache, key_of, source_key


def test_keys_tell_parts_apart() -> None:
    assert key_of("a", 1.5, ["b"]) == key_of("a", 1.5, ["b"])
    keys = {key_of("ab"), key_of("a", "b"), key_of(["a", "b"]), key_of("a", 1), key_of("a", "1")}
    assert len(keys) == 5


def test_source_is_the_key() -> None:
    assert source_key(cache_module) == source_key(cache_module)
    assert source_key(cache_module) != source_key(pytest)


def test_json_is_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "new")
    assert cache.read_json("measures", "abc") is None
    assert not (tmp_path / "new").exists()
    cache.write_json("measures", "abc", {"a": [1, 2.5, None]})
    assert cache.read_json("measures", "abc") == {"a": [1, 2.5, None]}
    assert cache.read_json("verdicts", "abc") is None


def test_interrupted_writing_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    path = cache.path("audio", "abc", ".flac")

    def write() -> None:
        with cache.writing(path) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert not [found for found in tmp_path.rglob("*") if found.is_file()]


def test_full_disk_is_named(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with (
        pytest.raises(OutputError, match=r"No space left .*; what is finished is kept"),
        cache.writing(cache.path("audio", "abc", ".flac")),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file: cannot be written"):
        Cache(tmp_path / "file").write_json("measures", "abc", 1)

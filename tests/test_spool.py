"""Samples that wait on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.small_disk import error_on_a_small_disk
from timbrel.errors import OutputError
from timbrel.spool import Spool


def test_what_was_written_is_read_any_number_of_times(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).standard_normal((300_000, 3)).astype(np.float32)
    with Spool(tmp_path / "song.wav", 3) as spool:
        for block in np.array_split(audio, 11):
            spool.write(block)
        for _ in range(2):
            blocks = list(spool)
            np.testing.assert_array_equal(np.concatenate(blocks), audio)
            assert max(block.nbytes for block in blocks) <= 1 << 20
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    def fill() -> None:
        with Spool(tmp_path / "song.wav", 2) as spool:
            spool.write(np.zeros((100_000, 2), np.float32))
            list(spool)

    error = error_on_a_small_disk(fill)
    assert isinstance(error, OutputError)
    assert "song.wav: cannot be written (" in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_files_is_an_error() -> None:
    with pytest.raises(OutputError, match=r"/proc/song\.wav: cannot be written"):
        Spool(Path("/proc/song.wav"), 2)

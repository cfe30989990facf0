"""Checkpoints: whole or not at all, without code, with the state of chance."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from timbrel.errors import InputError, OutputError
from timbrel.training import checkpoint
from timbrel.training.checkpoint import (
    CHECKPOINT_FILE,
    load_checkpoint,
    random_state,
    restore_random_state,
    save_checkpoint,
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    content = {
        "step": 7,
        "model": {"weight": torch.arange(6.0).reshape(2, 3)},
        "average": [torch.ones(2, dtype=torch.bfloat16)],
        "random": random_state(),
    }
    save_checkpoint(tmp_path / CHECKPOINT_FILE, content)
    found = load_checkpoint(tmp_path)
    assert found["step"] == 7
    torch.testing.assert_close(found["model"], content["model"], rtol=0, atol=0)
    assert found["average"][0].dtype == torch.bfloat16
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_old_one_survives_a_failure_while_saving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / CHECKPOINT_FILE, {"step": 1})
    save = torch.save

    def half(content: dict, path: Path) -> None:
        save(content, path)
        os.truncate(path, path.stat().st_size // 2)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", half)
    with pytest.raises(OutputError, match=r"checkpoint\.pt: cannot be written \(No space left"):
        save_checkpoint(tmp_path / CHECKPOINT_FILE, {"step": 2, "weights": torch.zeros(10_000)})
    assert load_checkpoint(tmp_path) == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_new_one_is_on_the_disk_before_it_replaces_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / CHECKPOINT_FILE, {"step": 1})
    seen = []
    sync = os.fsync

    def watched(handle: int) -> None:
        sync(handle)
        seen.append(load_checkpoint(tmp_path)["step"])

    monkeypatch.setattr(checkpoint.os, "fsync", watched)
    save_checkpoint(tmp_path / CHECKPOINT_FILE, {"step": 2})
    assert seen == [1]
    assert load_checkpoint(tmp_path)["step"] == 2


class _Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


def test_code_is_not_executed(tmp_path: Path) -> None:
    trap = tmp_path / "trapped"
    torch.save({"step": 1, "model": _Trap(trap)}, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="is not a readable checkpoint"):
        load_checkpoint(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps(_Trap(trap), protocol=2))
    with pytest.raises(InputError, match="is not a readable checkpoint"):
        load_checkpoint(tmp_path)
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 half a zip file"])
def test_what_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(InputError, match="is not a readable checkpoint"):
        load_checkpoint(tmp_path)


def test_folder_without_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no checkpoint\.pt; is it a training run\?"):
        load_checkpoint(tmp_path)


def test_random_states_go_on_where_they_were(tmp_path: Path) -> None:
    def draw() -> list:
        return [
            torch.rand(3).tolist(),
            [random.random(), random.gauss(0, 1)],
            [np.random.random(), np.random.standard_normal()],
        ]

    np.random.standard_normal()  # of a pair, the second is kept for the next time
    save_checkpoint(tmp_path / CHECKPOINT_FILE, {"random": random_state()})
    expected = [draw(), draw()]
    assert draw() not in expected
    restore_random_state(load_checkpoint(tmp_path)["random"])
    assert [draw(), draw()] == expected

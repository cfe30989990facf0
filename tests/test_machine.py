"""The cores of the machine that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from timbrel import machine
from timbrel.machine import description, n_cores, n_physical_cores, within_cores


def machine_of(folder: Path, siblings: dict[int, str]) -> Path:
    for cpu, text in siblings.items():
        topology = folder / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{text}\n")
    return folder


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [({0, 1, 2, 3}, 2), ({0, 2}, 1), ({0, 1}, 2), ({3}, 1), ({0, 1, 2, 3, 8}, 3)],
)
def test_threads_of_one_core_count_once_and_only_where_they_may_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: set[int], expected: int
) -> None:
    folder = machine_of(tmp_path, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"})
    monkeypatch.setattr(machine, "_CPUS", folder)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    assert n_physical_cores() == expected


def test_systems_without_affinity_count_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert n_physical_cores() == n_cores() == 6


def test_this_machine_has_some() -> None:
    assert 1 <= n_physical_cores() <= n_cores()
    assert within_cores(10**6) == n_cores()


def test_the_second_level_cache_is_read_where_the_system_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_CPUS", tmp_path)
    assert description()["second_level_cache"] is None
    for index, (level, size) in enumerate((("1", "48K"), ("2", "2048K"), ("3", "491520K"))):
        folder = tmp_path / "cpu0" / "cache" / f"index{index}"
        folder.mkdir(parents=True)
        (folder / "level").write_text(f"{level}\n")
        (folder / "size").write_text(f"{size}\n")
    assert description()["second_level_cache"] == 2 << 20


def test_the_processor_is_named() -> None:
    found = description()
    assert len(found["processor"]) > 3
    assert found["cores"] >= n_cores()

"""The commands about the installation: what there is, and how fast it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import timbrel
from support.command_line import failure_of, result_of, run
from timbrel.bundles.bundle import SHIPPED, SUMS_FILE, load_bundle, shipped_bundles
from timbrel.corpus.selection import file_sha256
from timbrel.engine.wavenet import instruction_sets


def test_info_names_version_instruction_set_and_models() -> None:
    info = result_of("info")
    assert info["version"] == timbrel.__version__
    assert info["instruction_sets"] == instruction_sets()
    assert info["instruction_set"] == instruction_sets()[-1]
    assert [model["name"] for model in info["models"]] == shipped_bundles()
    for model in info["models"]:
        assert model["sha256"] == file_sha256(SHIPPED / model["name"] / SUMS_FILE)
        assert model["status"] == load_bundle(model["name"]).status
    printed = run("info").stdout
    assert f"timbrel {timbrel.__version__}\n" in printed
    assert f"instruction set {instruction_sets()[-1]}" in printed
    assert all(model["sha256"] in printed for model in info["models"])


def test_bench_prints_an_object_or_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    report = json.loads(run("bench", "wavenet", "--seconds", 1, "--json").stdout)
    assert report.keys() == {"machine", "results"}
    keys = {
        "precision",
        "isa",
        "threads",
        "streams",
        "samples_per_s",
        "real_time_factor",
        "floor_fraction",
        "weight_bytes",
        "peer_ratio",
    }
    assert all(row.keys() == keys for row in report["results"])
    monkeypatch.setattr("timbrel.vocoder.benchmark.measure_wavenet", lambda _: report)
    report["machine"]["second_level_cache"] = 2 << 20
    lines = run("bench", "wavenet", "--seconds", 1).stdout.splitlines()
    assert len(lines) == 2 + len(report["results"]) + 1
    first = report["results"][0]
    assert (first["precision"], first["threads"], first["streams"]) == ("float32", 1, 1)
    most = 1 / first["real_time_factor"] / first["floor_fraction"]
    assert lines[-1] == (
        "float32: 2.9 MB of weights a sample do not fit into the second-level cache of 2.1 MB; "
        f"loading them alone allows {most:.2f} × real time. Streams that advance together share "
        "the loads."
    )


def test_bench_refuses_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "seconds" in failure_of("bench", "wavenet", "--seconds", "0")

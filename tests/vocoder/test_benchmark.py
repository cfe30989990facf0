"""What the benchmark measures: not how fast, but that all is there and fits together."""

from __future__ import annotations

import pytest

from support.small_wavenet import KERNELS
from timbrel.engine.wavenet import instruction_sets
from timbrel.vocoder import benchmark


@pytest.fixture(scope="module")
def report() -> dict:
    return benchmark.measure_wavenet(1.0)


def test_every_case_is_measured_once(report: dict) -> None:
    cases = [
        (row["isa"], row["precision"], row["threads"], row["streams"])
        for row in report["results"]
        if row["isa"] in instruction_sets()
    ]
    expected = {
        (isa, precision, threads, streams)
        for isa, precision in KERNELS
        for threads in (1, 2)
        for streams in (1, 2, 4, 8)
    }
    assert len(cases) == len(expected)
    assert set(cases) == expected


def test_numbers_fit_together(report: dict) -> None:
    for row in report["results"]:
        assert row["samples_per_s"] > 0
        assert row["real_time_factor"] * row["samples_per_s"] == pytest.approx(16_000, rel=1e-3)
        assert (row["floor_fraction"] is None) == (row["isa"] not in instruction_sets())


def test_the_torch_reference_runs_in_the_same_run(report: dict) -> None:
    (torch,) = [row for row in report["results"] if row["isa"] == "torch"]
    assert (torch["precision"], torch["threads"], torch["streams"]) == ("float32", 1, 1)


def test_the_machine_is_named(report: dict) -> None:
    machine = report["machine"]
    assert machine["processor"]
    assert machine["cores"] >= 1
    assert machine["sample_rate"] == 16_000

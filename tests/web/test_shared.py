"""What Python and the page share is written down once, and is up to date."""

from __future__ import annotations

import json

import page_constants
import pytest
from loudness_golden import GOLDEN_FILE, loudness_golden
from make_golden import FILES, FOLDER, MUTANTS_FILE, midi_bytes, mutants, reading

RENEW = "run: PYTHONPATH=tests python tests/web/make_golden.py"


@pytest.mark.parametrize("name", FILES)
def test_golden_files_are_what_python_reads(name: str) -> None:
    data = midi_bytes(FILES[name]())
    assert (FOLDER / f"{name}.mid").read_bytes() == data
    assert json.loads((FOLDER / f"{name}.json").read_text()) == json.loads(
        json.dumps(reading(data))
    ), RENEW


def test_golden_mutants_are_what_python_reads() -> None:
    assert json.loads((FOLDER / MUTANTS_FILE).read_text()) == mutants(), RENEW


def test_the_golden_loudness_is_pythons() -> None:
    golden = json.loads((FOLDER / GOLDEN_FILE).read_text())
    found = json.loads(json.dumps(loudness_golden()))
    for one, other in zip(golden["meter"], found["meter"], strict=True):
        assert one.pop("parts") == other.pop("parts"), RENEW
        assert one == pytest.approx(other, abs=1e-3), RENEW
    assert golden["limiter"]["samples"] == [
        pytest.approx(row, abs=1e-5) for row in found["limiter"]["samples"]
    ], RENEW
    (one,), (other,) = golden["expected"], found["expected"]
    assert one.pop("lufs") == pytest.approx(other.pop("lufs"), abs=1e-3), RENEW
    assert one == other, RENEW


def test_the_page_has_pythons_constants() -> None:
    assert page_constants.OUTPUT.read_text() == page_constants.text(), (
        "run: python tools/page_constants.py"
    )

"""What Python and the page share is written down once, and is up to date."""

from __future__ import annotations

import json

import numpy as np
import page_constants
import pytest
from hearing_golden import GOLDEN_FILE as HEARING_FILE
from hearing_golden import hearing_golden
from loudness_golden import GOLDEN_FILE, loudness_golden
from make_golden import FILES, FOLDER, MUTANTS_FILE, midi_bytes, mutants, reading
from room_golden import mixed_in_a_room, placements, room_sound
from studio_golden import GOLDEN_FILE as STUDIO_FILE
from studio_golden import SCORE, numbers, performance_golden
from timbre_golden import GOLDEN_FILE as TIMBRES_FILE
from timbre_golden import timbre_golden

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


def test_the_golden_rolls_and_sources_are_pythons() -> None:
    golden = json.loads((FOLDER / STUDIO_FILE).read_text())
    found = json.loads(json.dumps(performance_golden(midi_bytes(FILES[SCORE]()))))
    for one, other in zip(golden.pop("tracks"), found.pop("tracks"), strict=True):
        for kind in ("rolls", "sources"):
            for window, same in zip(one[kind], other[kind], strict=True):
                assert window.keys() == same.keys(), RENEW
                for name, value in window.items():
                    if isinstance(value, str):
                        # Another processor's exponentials and cosines may end in another bit.
                        np.testing.assert_allclose(
                            numbers(value), numbers(same[name]), atol=1e-6, err_msg=RENEW
                        )
                    else:
                        assert value == same[name], RENEW
    assert golden == found, RENEW


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


def test_the_golden_hearing_is_pythons() -> None:
    golden = json.loads((FOLDER / HEARING_FILE).read_text())
    found = json.loads(json.dumps(hearing_golden()))
    # What is decoded and written is the same to the byte; networks differ between processors.
    assert golden["decoded"] == found["decoded"], RENEW
    assert golden["sound"] == found["sound"], RENEW
    for one, other in zip(golden["recordings"], found["recordings"], strict=True):
        for wave in ("mono", "channels"):
            one.pop(wave), other.pop(wave)
        assert one == other, RENEW
    for part, within in (("mel", 2e-3), ("spectra", 1e-3)):
        assert golden[part]["frames"] == found[part]["frames"], RENEW
        values = [numbers(one[part]["values"]) for one in (golden, found)]
        if part == "mel":  # the floor is rounding
            values = [np.exp(one) for one in values]
        np.testing.assert_allclose(*values, atol=within, rtol=within, err_msg=RENEW)
    for timbre in ("timbre", "short"):
        one, other = golden[timbre], found[timbre]
        assert one.keys() == other.keys(), RENEW
        names = [[name for name, _ in which["instruments"][:3]] for which in (one, other)]
        assert names[0] == names[1], RENEW
        for name in ("point", "covariance", "nothing", "sureness", "distance", "neighbours"):
            np.testing.assert_allclose(one[name], other[name], atol=1e-3, err_msg=RENEW)
    pairs = zip(golden["notes"]["notes"], found["notes"]["notes"], strict=True)
    for one, other in pairs:
        assert one["pitch"] == other["pitch"], RENEW
        for name in ("start_s", "end_s", "velocity", "confidence", "cents"):
            assert one[name] == pytest.approx(other[name], abs=1 if name == "velocity" else 0.05)


def test_the_golden_room_sounds_as_in_python() -> None:
    golden, found = json.loads((FOLDER / "room.json").read_text()), room_sound()
    assert golden | {"wet": None} == found | {"wet": None}, RENEW
    np.testing.assert_allclose(golden["wet"], found["wet"], atol=1e-6, err_msg=RENEW)


def test_the_golden_mix_sounds_as_in_python() -> None:
    golden = json.loads((FOLDER / "mix.json").read_text())
    found = json.loads(json.dumps(mixed_in_a_room()))
    for kind in ("dry", "wet"):
        np.testing.assert_allclose(golden.pop(kind), found.pop(kind), atol=1e-6, err_msg=RENEW)
    assert golden == found, RENEW


def test_golden_placements_are_pythons() -> None:
    assert json.loads((FOLDER / "placements.json").read_text()) == placements(), RENEW


def test_the_golden_timbres_are_what_python_reads() -> None:
    golden = json.loads((FOLDER / TIMBRES_FILE).read_text())
    found = timbre_golden()
    assert golden["models"] == found["models"], RENEW
    for one, other in zip(golden["spellings"], found["spellings"], strict=True):
        np.testing.assert_allclose(
            one.pop("points", []), other.pop("points", []), atol=1e-9, err_msg=RENEW
        )
        assert one == other, RENEW


def test_the_page_has_pythons_constants() -> None:
    assert page_constants.OUTPUT.read_text() == page_constants.text(), (
        "run: python tools/page_constants.py"
    )

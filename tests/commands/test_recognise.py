"""`timbrel recognise` and `timbrel timbres --from` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from support.command_line import failure_of, result_of, run
from support.small_encoder import small_encoder_bundle

RATE = 16_000
FAR_FROM_SURE = {"temperature": 100.0}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    path = tmp_path_factory.mktemp("models") / "small"
    small_encoder_bundle(path, calibration=FAR_FROM_SURE)
    return ("--encoder", str(path))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with recordings, good ones and others, in which the program is run."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(4)
    Path("takes/more").mkdir(parents=True)
    for name in ("clip.wav", "takes/one.flac", "takes/more/two.ogg"):
        soundfile.write(name, random.uniform(-0.5, 0.5, 2 * RATE), RATE)
    soundfile.write("long.wav", random.uniform(-0.5, 0.5, 31 * 8000), 8000)
    soundfile.write("silent.wav", np.zeros(RATE), RATE)
    Path("empty.wav").touch()


def test_instruments_are_named_best_first(encoder: tuple[str, str]) -> None:
    rows = result_of("recognise", "clip.wav", "takes", "--number", "3", *encoder)
    assert [row["file"] for row in rows] == ["clip.wav", "takes/more/two.ogg", "takes/one.flac"]
    for row in rows:
        assert row["duration_s"] == pytest.approx(2.0, abs=0.05)
        assert row["sections"] == []
        probabilities = [one["probability"] for one in row["instruments"]]
        assert len(probabilities) == 3
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) + row["no_instrument"] <= 1.001
        assert set(row["instruments"][0]) == {"name", "program", "drums", "family", "probability"}


def test_only_the_instruments_that_are_possible_are_named(encoder: tuple[str, str]) -> None:
    (free,) = result_of("recognise", "clip.wav", "--number", "20", *encoder)
    first, *_, last = [one["name"] for one in free["instruments"]]
    among = ("--among", last, "--among", first.upper())
    (row,) = result_of("recognise", "clip.wav", *among, *encoder)
    assert {one["name"] for one in row["instruments"]} == {first, last}
    free_shares = {one["name"]: one["probability"] for one in free["instruments"]}
    for one in row["instruments"]:
        assert one["probability"] >= free_shares[one["name"]] - 1e-4
    total = sum(one["probability"] for one in row["instruments"])
    assert total + row["others"] + row["no_instrument"] == pytest.approx(1, abs=1e-3)
    assert free["others"] == 0
    said = failure_of("recognise", "clip.wav", "--among", "flut", *encoder)
    assert said.startswith("there is no instrument 'flut'")


def test_long_sounds_are_told_part_by_part(encoder: tuple[str, str]) -> None:
    done = run("recognise", "long.wav", "--json", *encoder)
    (row,) = json.loads(done.stdout)
    assert [section["start_s"] for section in row["sections"]] == pytest.approx(
        [0, 10.3, 20.7], abs=0.1
    )
    assert "holds nothing above 4 kHz" in done.stderr
    printed = run("recognise", "long.wav", *encoder).stdout.splitlines()
    assert len(printed) == 4
    assert printed[1].lstrip().startswith("0.0 s to 10.3 s: ")


def test_what_cannot_be_heard_is_said_and_the_rest_is_heard(encoder: tuple[str, str]) -> None:
    done = run("recognise", "clip.wav", "silent.wav", "empty.wav", "--json", *encoder)
    assert done.returncode == 2
    good, silent, empty = json.loads(done.stdout)
    assert good["instruments"]
    assert silent["error"] == "silent.wav: is silent, so there is no timbre to hear"
    assert empty["error"] == "empty.wav: is empty"


def test_a_timbre_is_heard_drawn_and_saved(encoder: tuple[str, str]) -> None:
    arguments = ("timbres", "--from", "clip.wav", "--from", "takes/one.flac", *encoder)
    done = run(*arguments, "-o", "mine.timbre", "--plot", "map.png", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["files"] == ["clip.wav", "takes/one.flac"]
    assert np.shape(found["covariance"]) == (3, 3)
    assert np.linalg.eigvalsh(found["covariance"]).min() > 0
    assert 0 <= found["sureness"] < 0.2  # the calibration says that it is far from sure
    saved = json.loads(Path("mine.timbre").read_text())
    point = ",".join(repr(value) for value in found["coordinates"])
    assert saved["path"] == [{"time_s": 0.0, "timbre": f"@{point}"}]
    assert Path("map.png").stat().st_size > 5000
    words = run("timbres", "--from", "clip.wav", *encoder).stdout
    assert "sureness: " in words
    assert "(a guess)" in words


def test_nothing_is_written_where_something_is_wrong(encoder: tuple[str, str]) -> None:
    output = ("-o", "mine.timbre")
    failures = {
        ("--from", "silent.wav"): "silent.wav: is silent, so there is no timbre to hear",
        ("--from", "none.wav"): "none.wav: cannot be read (No such file or directory)",
        ("--from", "clip.wav", "--plot", "map.gif"): "map.gif: pictures end in "
        ".png, .jpg, .jpeg, .webp, .svg, .pdf",
        ("--from", "clip.wav", "harp"): "the timbre comes from 'harp' or --from; give one of them",
    }
    for arguments, message in failures.items():
        assert failure_of("timbres", *arguments, *output, *encoder) == message
    said = failure_of("timbres", "--from", "clip.wav", "--model", "mel2mel-abs", *output)
    assert said.startswith("the model mel2mel-abs has no timbre encoder")
    said = failure_of("timbres", "--from", "clip.wav", "--model", "mel2mel", *output, *encoder)
    assert said.endswith("speaks of the timbres of small-mel2mel, not of mel2mel")
    said = failure_of("timbres", "harp", *encoder)
    assert said == "--encoder is for a timbre that is heard; give --from"

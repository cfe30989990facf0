"""`timbrel timbres` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.command_line import failure_of, result_of, run
from timbrel.bundles.bundle import Bundle
from timbrel.score.instruments import TEN_INSTRUMENTS

pytestmark = pytest.mark.usefixtures("songs")


def test_timbres_lists_the_instruments(model: tuple[str, str], tiny_bundle: Bundle) -> None:
    done = run("timbres", *model)
    assert len(done.stdout.splitlines()) == 10
    x, y = tiny_bundle.instruments[3].embedding
    assert f"church organ             program  19  @{x:.3f},{y:.3f}\n" in done.stdout
    rows = result_of("timbres", *model)
    assert {row["name"]: row["program"] for row in rows} == TEN_INSTRUMENTS
    assert rows[3]["coordinates"] == [x, y]


def test_a_timbre_is_looked_up_and_saved(model: tuple[str, str], tiny_bundle: Bundle) -> None:
    points = {i.name: np.array(i.embedding) for i in tiny_bundle.instruments}
    middle = (points["harp"] + 3 * points["trumpet"]) / 4
    spec = "0s Harp, trumpet:3; 8s harp"
    rows = result_of("timbres", spec, *model)
    assert [row["time_s"] for row in rows] == [0, 8]
    np.testing.assert_allclose(rows[0]["coordinates"], middle, rtol=1e-12)
    done = run("timbres", spec, *model, "-o", "my.timbre")
    lines = [f"{t:g} s  @{x:.3f},{y:.3f}" for t, (x, y) in ((0, middle), (8, points["harp"]))]
    assert done.stdout.splitlines() == [*lines, "my.timbre: saved"]
    assert result_of("timbres", "my.timbre", *model) == rows
    assert "my.timbre: exists" in failure_of("timbres", "harp", *model, "-o", "my.timbre")
    assert "ends with '.timbre'" in failure_of("timbres", "harp", *model, "-o", "my.json")
    assert "name it" in failure_of("timbres", *model, "-o", "new.timbre")
    assert "nowhere: is neither" in failure_of("timbres", "--model", "nowhere")


def test_a_general_midi_name_is_looked_up(model: tuple[str, str]) -> None:
    done = run("timbres", "40", *model)
    assert done.returncode == 0
    assert done.stderr == (
        "the model has no Violin; string ensemble sounds nearest to it and plays instead\n"
    )
    assert done.stdout == run("timbres", "string ensemble", *model).stdout


def test_a_timbre_becomes_a_sampled_instrument(model: tuple[str, str], tmp_path: Path) -> None:
    assert "--sfz writes a timbre; name it" in failure_of("timbres", *model, "--sfz", "new/")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.wav").touch()
    folder = str(tmp_path / "full")
    assert "give --force" in failure_of("timbres", "harp", *model, "--sfz", folder)
    assert "a timbre that stays" in failure_of("timbres", "0s harp; 1s piano", *model, "--sfz", "n")


def test_the_map_is_drawn(model: tuple[str, str]) -> None:
    done = run("timbres", *model, "--plot", "map.svg")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "map.svg: saved"
    assert "map.svg: exists" in failure_of("timbres", *model, "--plot", "map.svg")
    assert "leave out the timbre" in failure_of("timbres", "harp", *model, "--plot", "new.svg")
    assert "pictures end in .png" in failure_of("timbres", *model, "--plot", "map.gif")
    assert not Path("map.gif").exists()
    assert run("timbres", *model, "--plot", "map.svg", "--force").returncode == 0

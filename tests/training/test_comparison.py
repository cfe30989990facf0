"""Runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from support.command_line import run
from support.small_data import small_recipe
from timbrel.errors import InputError
from timbrel.training.comparison import plot_runs, read_runs, recipe_differences
from timbrel.training.recipe import write_recipe


def make_run(folder: Path, valid: list[float], **changes: object) -> Path:
    folder.mkdir(parents=True)
    write_recipe(folder / "recipe.yaml", small_recipe(**changes))
    lines = [
        {"kind": "train", "step": 10 * i, "loss": 1 / i, "steps_per_s": float(i), "rate": 0.1}
        for i in range(1, 6)
    ]
    measure = "log_cqt_correlation" if changes.get("task") == "parallel" else "error_db"
    lines += [{"kind": "valid", "step": 10 * i, measure: x} for i, x in enumerate(valid, start=1)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_rows_tell_the_last_and_the_best(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", [5.0, 3.0, 4.0])
    b = make_run(tmp_path / "b", [0.2, 0.6, 0.4], task="parallel", options={}, model={})
    c = make_run(tmp_path / "c", [])
    one, two, three = (run.row() for run in read_runs([a, b, c]))
    assert one == {
        "run": "a",
        "task": "mel2mel",
        "step": 50,
        "steps": 60,
        "loss": 0.2,
        "steps_per_s": 3.0,
        "judged_by": "error_db",
        "last": 4.0,
        "best": 3.0,
        "best_step": 20,
    }
    # Where more is better, the best is the highest.
    assert (two["judged_by"], two["best"], two["best_step"]) == ("log_cqt_correlation", 0.6, 20)
    assert (three["last"], three["best"], three["best_step"]) == (None, None, None)


def test_differences_of_recipes_are_named(tmp_path: Path) -> None:
    loss = {"crop_frames": 64, "crops_per_visit": 4, "loss": "abs"}
    a = make_run(tmp_path / "a", [])
    b = make_run(tmp_path / "b", [], options=loss)
    c = make_run(tmp_path / "c", [], seed=9)
    found = recipe_differences(read_runs([a, b, c]))
    assert found == {"options.loss": [None, "abs", None], "seed": [3, 3, 9]}


def test_curves_are_drawn(tmp_path: Path) -> None:
    runs = read_runs([make_run(tmp_path / name, [2.0, 1.0]) for name in "ab"])
    steps, values = runs[0].curve("valid", "error_db")
    np.testing.assert_array_equal(steps, [10, 20])
    np.testing.assert_array_equal(values, [2.0, 1.0])
    plot_runs(runs, tmp_path / "runs.svg")
    drawn = (tmp_path / "runs.svg").read_text()
    assert drawn.count("<path") > 10
    other = make_run(tmp_path / "c", [0.2], task="parallel", options={}, model={})
    with pytest.raises(InputError, match="are judged by different measures"):
        plot_runs(read_runs([tmp_path / "a", other]), tmp_path / "no.svg")
    assert not (tmp_path / "no.svg").exists()


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", [])
    with pytest.raises(InputError, match=r"nothing/recipe\.yaml: cannot be read"):
        read_runs([a, tmp_path / "nothing"])
    with pytest.raises(InputError, match="is given twice, or another folder is also called a"):
        read_runs([a, a])
    (a / "log.jsonl").write_text('{"kind": "train"\n{"kind": "train", "step": 1}\n')
    with pytest.raises(InputError, match=r"log\.jsonl: line 1 is damaged"):
        read_runs([a])


def test_the_command_prints_a_table_and_draws(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", [5.0, 3.0])
    b = make_run(tmp_path / "b", [], seed=9)
    compared = run("runs", a, b, "--plot", tmp_path / "runs.png")
    assert compared.returncode == 0, compared.stderr
    head, one, two, seed, drawn = compared.stdout.strip().splitlines()
    assert head.split()[:3] == ["run", "task", "steps"]
    assert "error_db 3.0000, 3.0000 at 20" in one
    assert two.endswith("none yet")
    assert seed == "seed: a 3, b 9"
    assert drawn.endswith("runs.png: drawn")
    assert (tmp_path / "runs.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads(run("runs", a, "--json").stdout)["runs"][0]["best"] == 3.0
    refused = run("runs", a, "--plot", tmp_path / "runs.png")
    assert refused.returncode == 2
    assert "--force" in refused.stderr

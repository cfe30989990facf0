"""Comparison of training runs: a table, and a plot of their losses and validations."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from timbrel.bundles.kinds import TASKS, loaded
from timbrel.errors import InputError
from timbrel.training.log import read_log
from timbrel.training.loop import RECIPE_FILE
from timbrel.training.recipe import Recipe, differences, read_recipe
from timbrel.training.task import Task


@dataclass(frozen=True)
class Run:
    """What a run's folder says of it."""

    name: str
    recipe: Recipe
    log: list[dict[str, Any]]

    @property
    def task(self) -> type[Task]:
        return loaded(TASKS[self.recipe.task])

    def curve(self, kind: str, measure: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of a measure in the log's lines of a kind."""
        found = [(r["step"], r[measure]) for r in self.log if r["kind"] == kind and measure in r]
        steps, values = zip(*found, strict=True) if found else ((), ())
        return np.array(steps, int), np.array(values, float)

    def row(self) -> dict[str, Any]:
        """The numbers of a table's row; None where the run has none yet."""
        steps, losses = self.curve("train", "loss")
        _, speeds = self.curve("train", "steps_per_s")
        judged_by = self.task.judged_by
        validated, values = self.curve("valid", judged_by)
        best = None
        if len(values):
            best = int(values.argmin() if self.task.lower_is_better else values.argmax())
        return {
            "run": self.name,
            "task": self.recipe.task,
            "step": int(steps[-1]) if len(steps) else 0,
            "steps": self.recipe.steps,
            "loss": float(losses[-1]) if len(losses) else None,
            "steps_per_s": float(np.median(speeds)) if len(speeds) else None,
            "judged_by": judged_by,
            "last": float(values[-1]) if best is not None else None,
            "best": float(values[best]) if best is not None else None,
            "best_step": int(validated[best]) if best is not None else None,
        }


def read_runs(folders: Sequence[str | os.PathLike]) -> list[Run]:
    """Read the recipes and logs of runs.

    Raises
    ------
    InputError
        If a folder is no run, or two have one name.
    """
    runs = [
        Run(Path(folder).resolve().name, read_recipe(Path(folder) / RECIPE_FILE), read_log(folder))
        for folder in folders
    ]
    names = [run.name for run in runs]
    for folder, name in zip(folders, names, strict=True):
        if names.count(name) > 1:
            raise InputError(f"{folder}: is given twice, or another folder is also called {name}")
    return runs


def recipe_differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Values of the recipes' keys in which the runs differ, in the order of the runs."""
    contents = [asdict(run.recipe) for run in runs]
    keys = {key: None for other in contents[1:] for key, *_ in differences(contents[0], other)}
    return {key: [_value(content, key) for content in contents] for key in keys}


def _value(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def plot_runs(runs: Sequence[Run], path: Path) -> None:
    """Draw the runs' losses, and the measures that judge them, over the steps.

    Raises
    ------
    InputError
        If the runs are of tasks that are judged by different measures.
    """
    from matplotlib.figure import Figure

    judged_by = {run.task.judged_by for run in runs}
    if len(judged_by) > 1:
        raise InputError(
            f"the runs are judged by different measures ({', '.join(sorted(judged_by))}); draw "
            "them apart"
        )
    (measure,) = judged_by
    figure = Figure(figsize=(10, 4), layout="constrained")
    losses, validations = figure.subplots(1, 2)
    for run in runs:
        losses.plot(*run.curve("train", "loss"), linewidth=0.8, label=run.name)
        validations.plot(*run.curve("valid", measure), marker=".", label=run.name)
    losses.set(xlabel="step", ylabel="loss")
    validations.set(xlabel="step", ylabel=f"{measure} of the validation")
    validations.legend()
    for axes in (losses, validations):
        axes.grid(alpha=0.3)
    figure.savefig(path)


def as_json(runs: Sequence[Run]) -> str:
    """The table's rows, and what the recipes differ in."""
    content = {"runs": [run.row() for run in runs], "differences": recipe_differences(runs)}
    return json.dumps(content, indent=2)

"""The record of how a run was trained and on which data, kept in its checkpoint.

An exported model's card is made from it, so that what the card says is true.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from timbrel.bundles.bundle import Bundle
from timbrel.errors import InputError
from timbrel.training.attribution import combined
from timbrel.training.recipe import Recipe, differences, recipe_from
from timbrel.training.task import Task, Validation

# Keys whose values may change when a run is resumed: none decides what the model is or learns.
CHANGEABLE = (
    "steps",
    "learning_rate",
    "matrix_learning_rate",
    "warmup_steps",
    "decay_steps",
    "gradient_clip",
    "ema_decay",
    "validate_every",
    "checkpoint_every",
    "status",
)


@dataclass(frozen=True)
class Change:
    """A value of the recipe that is another one from a step on."""

    step: int
    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key} {self.old} → {self.new} after step {self.step}"


@dataclass(frozen=True)
class Record:
    """What the card of a run's model is made of."""

    recipe: Recipe
    notes: dict[str, Any]  # what the task says of the network, and where data and start come from
    changes: tuple[Change, ...] = ()
    # Measures of the last validation, and of the best one, with their steps.
    validation: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_checkpoint(cls, content: dict[str, Any], where: str) -> Record:
        """What a checkpoint holds as its "record"."""
        try:
            saved = content["record"]
            return cls(
                recipe_from(saved["recipe"], where),
                saved["notes"],
                tuple(Change(**change) for change in saved["changes"]),
                saved["validation"],
                saved["best"],
            )
        except (KeyError, TypeError):
            raise InputError(
                f"{where}: does not say what the run was trained by; it is of another version of "
                "Timbrel"
            ) from None

    @property
    def is_new(self) -> bool:
        """Whether the network, or a part of it, began at random."""
        start = self.notes["start"]
        return not start or bool(start.get("missing"))

    def content(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return asdict(self) | {"changes": [asdict(change) for change in self.changes]}

    def gone_on_with(self, recipe: Recipe, step: int, where: str) -> Record:
        """The record of a run that goes on from a step with a recipe.

        Raises
        ------
        InputError
            If the recipe differs in what a run cannot change.
        """
        changes = []
        for key, old, new in differences(asdict(self.recipe), asdict(recipe)):
            if key not in CHANGEABLE:
                raise InputError(
                    f"{where}: the run was trained with {key}: {old}, the recipe says {new}; begin "
                    "another run with start_from (a run can change "
                    f"{', '.join(CHANGEABLE)})"
                )
            changes.append(Change(step, key, old, new))
        return replace(self, recipe=recipe, changes=(*self.changes, *changes))

    def with_notes(self, notes: dict[str, Any], where: str) -> Record:
        """The record with what the task says today, of the same data.

        Raises
        ------
        InputError
            If the data are others.
        """
        key = "data_manifest_sha256"
        if notes[key] != self.notes[key]:
            raise InputError(
                f"{where}: the run was trained on other data (its manifest's hash begins with "
                f"{self.notes[key][:12]}, that of the data given with {notes[key][:12]})"
            )
        return replace(self, notes=notes)

    def validated(self, step: int, found: Validation, task: Task) -> tuple[Record, bool]:
        """The record after a validation, and whether it was the best one."""
        measures = {"step": step, **found.measures}
        is_best = not self.best
        if self.best:
            ahead = self.best[task.judged_by] - measures[task.judged_by]
            is_best = (ahead if task.lower_is_better else -ahead) > 0
        best = measures if is_best else self.best
        return replace(self, validation=measures, best=best), is_best

    def about(self, step: int) -> dict[str, Any]:
        """Licence, attribution and summary of so many steps, for a bundle's configuration."""
        recipe, notes = self.recipe, self.notes
        start = notes["start"] or {"origin": "random", "license": "", "attribution": ""}
        license_ = notes["license"]
        if start["license"] not in ("", license_):
            license_ += f" (the weights it began with: {start['license']})"
        changes = "; ".join(str(change) for change in self.changes if change.step < step)
        return {
            "license": license_,
            "attribution": combined(notes["attribution"], start["attribution"]),
            "training": {
                **notes.get("card", {}),
                **({"status": recipe.status} if recipe.status else {}),
                "steps": step,
                "sequences per step": recipe.batch_size,
                "start": start["origin"],
                **({"changes": changes} if changes else {}),
                "SoundFont": notes["soundfont"],
                "data manifest (SHA-256)": notes["data_manifest_sha256"],
                "validation": {key: round(value, 4) for key, value in self.validation.items()},
                "options": ", ".join(f"{key}: {value}" for key, value in recipe.options.items()),
            },
        }


def start_notes(start: Bundle, missing: str) -> dict[str, str]:
    """What is to be said of the bundle whose weights a run begins with.

    Parameters
    ----------
    start
        The bundle.
    missing
        The parts of the network that begin at random, because the bundle has not got them.
    """
    steps, before = (start.training.get(key, "unknown") for key in ("steps", "start"))
    return {
        "origin": f"{start.name} (steps: {steps})"
        + (f", but for {missing}, which begin at random" if missing else "")
        + f"; before it, {before}",
        "missing": missing,
        "license": start.license,
        "attribution": start.attribution,
    }


def notes_of(task: Task, start: dict[str, str] | None) -> dict[str, Any]:
    """What a task says of itself, and where the run comes from."""
    return {
        **task.describe(),
        "start": start,
        "git_commit": git_commit(),
        "torch": str(torch.__version__),
    }


def git_commit() -> str | None:
    """The commit of a checkout of Timbrel; None where it was installed in another way."""
    if shutil.which("git") is None:
        return None
    command = ["git", "rev-parse", "HEAD"]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return found.stdout.strip() or None

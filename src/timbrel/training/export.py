"""A training run → a model bundle."""

from __future__ import annotations

import json
import os
from pathlib import Path

from timbrel.bundles.kinds import KINDS, loaded
from timbrel.files import read_json, read_text
from timbrel.training.checkpoint import load_checkpoint
from timbrel.training.loop import LOG_FILE, RECIPE_FILE, RUN_FILE
from timbrel.training.recipe import read_recipe
from timbrel.training.task import FinishedRun


def export_run(
    run: str | os.PathLike, output: str | os.PathLike, *, name: str | None = None
) -> None:
    """Write the bundle of a run, with its averaged weights.

    Parameters
    ----------
    run
        Folder of the training run.
    output
        The bundle's folder, which must not exist yet.
    name
        The model's name; the folder's where it is None.

    Raises
    ------
    InputError
        If the run has no checkpoint.
    OutputError
        If the folder exists, or its parent does not.
    """
    run, output = Path(run), Path(output)
    checkpoint = load_checkpoint(run)
    notes = read_json(run / RUN_FILE)
    recipe = read_recipe(run / RECIPE_FILE)
    training = {
        **notes.get("card", {}),
        **({"status": recipe.status} if recipe.status else {}),
        "steps": checkpoint["step"],
        "sequences per step": recipe.batch_size,
        "start": recipe.start_from or "random",
        "SoundFont": notes["soundfont"],
        "data manifest (SHA-256)": notes["data_manifest_sha256"],
        "validation": _last_validation(run),
        "options": ", ".join(f"{key}: {value}" for key, value in recipe.options.items()),
    }
    about = {
        "name": name or output.name,
        "license": recipe.license,
        "attribution": recipe.attribution,
        "training": training,
    }
    finished = FinishedRun(recipe, notes, checkpoint)
    loaded(KINDS[recipe.task].task).export(finished, output, about)


def _last_validation(run: Path) -> dict[str, float]:
    """The measures of the run's last validation."""
    found: dict[str, float] = {}
    for line in read_text(run / LOG_FILE).splitlines():
        record = json.loads(line)
        if record.pop("kind") == "valid":
            found = {key: round(value, 4) for key, value in record.items()}
    return found

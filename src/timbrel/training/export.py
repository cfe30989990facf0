"""A training run → a model bundle."""

from __future__ import annotations

import os
from pathlib import Path

from timbrel.bundles.kinds import TASKS, loaded
from timbrel.training.checkpoint import BEST_FILE, CHECKPOINT_FILE, load_checkpoint
from timbrel.training.record import Record
from timbrel.training.task import FinishedRun


def export_run(
    run: str | os.PathLike,
    output: str | os.PathLike,
    *,
    name: str | None = None,
    best: bool = False,
) -> list[Path]:
    """Write the bundle of a run, with its averaged weights.

    What its card says comes from the checkpoint alone: the run's other files are for people.

    Parameters
    ----------
    run
        Folder of the training run.
    output
        The bundle's folder, which must not exist yet.
    name
        The model's name; the folder's where it is None.
    best
        Take the weights of the best validation instead of the last ones.

    Returns
    -------
    list of Path
        The folders that were written: that of the bundle, and those of further models that the run
        has trained.

    Raises
    ------
    InputError
        If the run has no checkpoint.
    OutputError
        If the folder exists, or its parent does not.
    """
    run, output = Path(run), Path(output)
    checkpoint = load_checkpoint(run, BEST_FILE if best else CHECKPOINT_FILE)
    record = Record.of_checkpoint(checkpoint, str(run))
    about = {"name": name or output.name, **record.about(checkpoint["step"])}
    finished = FinishedRun(record.recipe, record.notes, checkpoint)
    return loaded(TASKS[record.recipe.task]).export(finished, output, about)

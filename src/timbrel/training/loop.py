"""The one training loop: any task, one process or many, limited by steps or minutes, resumable."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from timbrel.bundles.bundle import load_bundle
from timbrel.bundles.kinds import TASKS, loaded
from timbrel.errors import InputError
from timbrel.files import write_text
from timbrel.progress import Progress, silent
from timbrel.training.checkpoint import CHECKPOINT_FILE, load_checkpoint
from timbrel.training.log import Log
from timbrel.training.processes import Processes, agree, mean
from timbrel.training.recipe import Recipe, write_recipe
from timbrel.training.record import Record, notes_of, start_notes
from timbrel.training.task import Task
from timbrel.training.trainer import Trainer

RECIPE_FILE, RUN_FILE = "recipe.yaml", "run.json"
_LOG_EVERY = 50
# glibc's mallopt: M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD, in bytes.
_MALLOC_OPTIONS = {-1: 2**31 - 1, -2: 2**28, -3: 2**30}
_BATCHES_AHEAD = 3


def train(
    recipe: Recipe,
    data: str | os.PathLike,
    run: str | os.PathLike,
    *,
    resume: bool = False,
    steps: int | None = None,
    minutes: float | None = None,
    device: str | None = None,
    say: Callable[[str], None] = print,
    progress: Progress = silent,
) -> int:
    """Train until the recipe's steps are done or the time is up.

    Started by ``torchrun``, each process takes its share of every batch (DistributedDataParallel,
    NCCL on GPUs, gloo on CPUs), and the first one writes.

    Parameters
    ----------
    recipe
        What to train, and how.
    data
        A folder that `timbrel prepare` made.
    run
        Folder for the checkpoint, the log (JSON lines and TensorBoard) and a copy of the recipe.
    resume
        Go on from the run's checkpoint, if it has one. Without it, a run that exists is refused.
        The recipe may differ from the run's in what `timbrel.training.record.CHANGEABLE` lists.
    steps
        Stop after so many steps in all; the recipe's schedule stays as it is.
    minutes
        Stop after so many minutes of training.
    device
        "cpu" or "cuda"; a GPU where there is one if None.
    say
        Takes a line of news.

    Returns
    -------
    int
        The number of steps done in all.

    Raises
    ------
    InputError
        If recipe, data or the run that is to be gone on with do not fit, before anything is
        written; or if the loss is no number.
    """
    run = Path(run)
    with Processes() as (rank, world):
        past = _past(run, recipe, world, resume=resume)
        _keep_freed_memory()
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(recipe.seed)
        task_type = loaded(TASKS[recipe.task])
        task: Task = task_type(recipe, Path(data), rank=rank, world=world, progress=progress)
        record = _record(task, recipe, past, run)
        trainer = Trainer(recipe, task, torch.device(device), world, is_new=record.is_new)
        if past is not None:
            trainer.load(past, rank, world)
        course = _Course(run, recipe, task, trainer, record, rank, world, say)
        deadline = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
        return course.go(recipe.steps if steps is None else min(steps, recipe.steps), deadline)


def _past(run: Path, recipe: Recipe, world: int, *, resume: bool) -> dict[str, Any] | None:
    """The checkpoint that a run goes on from, if it has one; what cannot be trained is refused."""
    if recipe.batch_size % world:
        raise InputError(f"a batch of {recipe.batch_size} cannot be shared by {world} processes")
    if recipe.task not in TASKS:
        raise InputError(f"task '{recipe.task}' is unknown; known: {', '.join(TASKS)}")
    if not (run / CHECKPOINT_FILE).exists():
        return None
    if not resume:
        raise InputError(f"{run}: holds a run already; give --resume to go on with it")
    past = load_checkpoint(run)
    Record.of_checkpoint(past, str(run)).gone_on_with(recipe, past["step"], str(run))
    return past


def _record(task: Task, recipe: Recipe, past: dict[str, Any] | None, run: Path) -> Record:
    """What is to be remembered of a run, which goes on or begins: then the task gets its start."""
    if past is not None:
        record = Record.of_checkpoint(past, str(run))
        record = record.gone_on_with(recipe, past["step"], str(run))
        return record.with_notes(notes_of(task, record.notes["start"]), str(run))
    if not recipe.start_from:
        return Record(recipe, notes_of(task, None))
    start = load_bundle(recipe.start_from, kind=task.kind)
    missing = task.start(start)
    return Record(recipe, notes_of(task, start_notes(start, missing)))


class _Course:
    """A run under way: steps, and now and then a look at how it goes."""

    def __init__(
        self,
        run: Path,
        recipe: Recipe,
        task: Task,
        trainer: Trainer,
        record: Record,
        rank: int,
        world: int,
        say: Callable[[str], None],
    ) -> None:
        self._run, self._recipe, self._task, self._trainer = run, recipe, task, trainer
        self._record = record
        self._rank, self._world = rank, world
        self._say = say if rank == 0 else lambda _: None
        self._losses: list[Tensor] = []
        self._log: Log | None = None
        if rank == 0:
            run.mkdir(parents=True, exist_ok=True)
            self._log = Log(run, trainer.step)
            write_recipe(run / RECIPE_FILE, recipe)
            write_text(run / RUN_FILE, json.dumps(record.notes, indent=2) + "\n")
            if record.notes["start"] and trainer.step == 0:
                say(f"starts from {record.notes['start']['origin']}")
            for change in record.changes:
                if change.step == trainer.step:
                    self._log.change(change)
                    say(f"goes on with {change}")

    def go(self, last_step: int, deadline: float) -> int:
        """Train to a step or until a moment; gives the number of steps done."""
        recipe, trainer = self._recipe, self._trainer
        began = time.monotonic()
        for batch in _ahead(self._task, trainer.step, last_step):
            self._losses.append(trainer.advance(batch))
            step = trainer.step
            out_of_time = agree(time.monotonic() > deadline, self._world)
            is_last = step == last_step or out_of_time
            if step % _LOG_EVERY == 0 or is_last:
                speed = len(self._losses) / (time.monotonic() - began)
                left = min((last_step - step) / speed, deadline - time.monotonic())
                self._report(last_step, speed, left / 60)
                began = time.monotonic()
            if step % recipe.validate_every == 0 or is_last:
                self._validate()
                began = time.monotonic()
            if step % recipe.checkpoint_every == 0 or is_last:
                trainer.save(self._run, self._record, self._rank, self._world)
            if is_last:
                break
        if self._log is not None:
            self._log.close()
        return trainer.step

    def _report(self, last_step: int, speed: float, minutes_left: float) -> None:
        """Say and log how the loss goes."""
        step, rate = self._trainer.step, self._trainer.rate
        loss = float(mean(torch.stack(self._losses).mean(), self._world))
        if not np.isfinite(loss):
            raise InputError(f"{self._run}: the loss is not finite at step {step}; lower the rate")
        if self._log is not None:
            self._log.line("train", step, {"loss": loss, "steps_per_s": speed, "rate": rate})
        self._say(
            f"step {step} of {last_step}, loss {loss:.5f}, {speed:.2f} steps/s, "
            f"{max(minutes_left, 0):.0f} min left"
        )
        self._losses = []

    def _validate(self) -> None:
        """Judge the averaged weights, and keep them if they are the best so far."""
        if self._log is None:
            return
        with self._trainer.averaged() as model:
            found = self._task.validate(model)
        step = self._trainer.step
        self._log.validation(step, found)
        self._record, is_best = self._record.validated(step, found, self._task)
        if is_best:
            self._trainer.save_best(self._run, self._record)
        shown = ", ".join(f"{k} {v:.4f}" for k, v in found.measures.items() if "/" not in k)
        self._say(f"valid: {shown}{', the best so far' if is_best else ''}")


def _keep_freed_memory() -> None:
    """Have glibc keep the memory of freed tensors: giving it back costs a third of the time."""
    libc = ctypes.util.find_library("c")
    mallopt = getattr(ctypes.CDLL(libc), "mallopt", None) if libc else None
    if mallopt is not None:
        for option, value in _MALLOC_OPTIONS.items():
            mallopt(option, value)


def _ahead(task: Task, step: int, last_step: int) -> Iterator[Any]:
    """Batches of the steps, prepared in a thread while the model computes."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [
            pool.submit(task.batch, s) for s in range(step, min(step + _BATCHES_AHEAD, last_step))
        ]
        for current in range(step, last_step):
            batch = waiting.pop(0).result()
            if current + _BATCHES_AHEAD < last_step:
                waiting.append(pool.submit(task.batch, current + _BATCHES_AHEAD))
            yield batch

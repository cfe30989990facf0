"""The one training loop: any task, one process or many, bounded by steps or minutes, resumable."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.tensorboard import SummaryWriter

from timbrel.bundles.bundle import load_bundle
from timbrel.bundles.kinds import KINDS, loaded
from timbrel.bundles.weights import with_weights
from timbrel.corpus.preparation import manifest_sha256
from timbrel.errors import InputError
from timbrel.progress import Progress, silent
from timbrel.training.checkpoint import (
    CHECKPOINT_FILE,
    load_checkpoint,
    random_state,
    restore_random_state,
    save_checkpoint,
)
from timbrel.training.optimizer import Optimizer
from timbrel.training.recipe import Recipe, write_recipe
from timbrel.training.task import Task, Validation

RECIPE_FILE, RUN_FILE, LOG_FILE = "recipe.yaml", "run.json", "log.jsonl"
_LOG_EVERY = 50
# glibc's mallopt: M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD, in bytes.
_MALLOC_OPTIONS = {-1: 2**31 - 1, -2: 2**28, -3: 2**30}
_BATCHES_AHEAD = 3
# A critic must forget quickly: what it judges changes.
_CRITIC_BETAS = (0.8, 0.9)


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
    """
    run, data = Path(run), Path(data)
    last_step = recipe.steps if steps is None else min(steps, recipe.steps)
    with _Processes() as (rank, world):
        if recipe.batch_size % world:
            raise InputError(
                f"a batch of {recipe.batch_size} cannot be shared by {world} processes"
            )
        has_checkpoint = (run / CHECKPOINT_FILE).exists()
        if has_checkpoint and not resume:
            raise InputError(f"{run}: holds a run already; give --resume to go on with it")
        if recipe.task not in KINDS:
            raise InputError(f"task '{recipe.task}' is unknown; known: {', '.join(KINDS)}")
        _keep_freed_memory()
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(recipe.seed)
        task_type = loaded(KINDS[recipe.task].task)
        task: Task = task_type(recipe, data, rank=rank, world=world, progress=progress)
        if recipe.start_from:
            with_weights(task.model, load_bundle(recipe.start_from, kind=recipe.task)).train()
        trainer = _Trainer(recipe, task, torch.device(device), world)
        if has_checkpoint:
            trainer.load(load_checkpoint(run), rank, world)
        elif rank == 0:
            run.mkdir(parents=True, exist_ok=True)
        log = _Log(run, rank)
        if rank == 0:
            write_recipe(run / RECIPE_FILE, recipe)
            _describe(run, task, data)
        deadline = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
        losses: list[Tensor] = []
        began, step = time.monotonic(), trainer.step
        for batch in _ahead(task, step, last_step):
            losses.append(trainer.advance(batch))
            step = trainer.step
            out_of_time = _agree(time.monotonic() > deadline, world)
            is_last = step == last_step or out_of_time
            if step % _LOG_EVERY == 0 or is_last:
                loss = float(_mean(torch.stack(losses).mean(), world))
                if not np.isfinite(loss):
                    raise InputError(
                        f"{run}: the loss is not finite at step {step}; lower the rate"
                    )
                speed = len(losses) / (time.monotonic() - began)
                log.line("train", step, {"loss": loss, "steps_per_s": speed, "rate": trainer.rate})
                left = (last_step - step) / speed / 60
                left = min(left, (deadline - time.monotonic()) / 60)
                if rank == 0:
                    say(
                        f"step {step} of {last_step}, loss {loss:.5f}, {speed:.2f} steps/s, "
                        f"{max(left, 0):.0f} min left"
                    )
                losses, began = [], time.monotonic()
            if step % recipe.validate_every == 0 or is_last:
                if rank == 0:
                    with trainer.averaged() as model:
                        found = task.validate(model)
                    log.validation(step, found)
                    shown = {k: v for k, v in found.measures.items() if "/" not in k}
                    say(f"valid: {', '.join(f'{k} {v:.4f}' for k, v in shown.items())}")
                began = time.monotonic()
            if step % recipe.checkpoint_every == 0 or is_last:
                trainer.save(run, rank, world)
            if is_last:
                break
        log.close()
    return step


class _Trainer:
    """The state of a run and one step of it."""

    def __init__(self, recipe: Recipe, task: Task, device: torch.device, world: int) -> None:
        self.step = 0
        self.rate = 0.0
        self._recipe = recipe
        self._task = task
        self._device = device
        task.model.to(device)
        self._parameters: list[Tensor] = [p for p in task.model.parameters() if p.requires_grad]
        self._optimizer = Optimizer(task.model, recipe)
        self._average = [p.detach().clone() for p in self._parameters]
        self._critic = None if task.critic is None else _Critic(task.critic, recipe, device, world)
        model = task.wrapped()
        if device.type == "cuda":
            model.compile()
        self._model = DistributedDataParallel(model) if world > 1 else model

    def advance(self, batch: Any) -> Tensor:
        """One optimiser step; gives this process's loss."""
        self.rate = self._recipe.learning_rate_at(self.step)
        bf16 = self._recipe.precision == "bfloat16"
        autocast = torch.autocast(self._device.type, torch.bfloat16, enabled=bf16)
        with autocast:
            loss = self._task.loss(self._model, batch, self.step)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, self._recipe.gradient_clip)
        self._optimizer.step(self.rate)
        if self._critic is not None:
            self._critic.advance(self._task, self.rate, autocast)
        self.step += 1
        decay = self._recipe.ema_decay
        if not self._recipe.start_from:
            # Early on the average follows quickly, so that it forgets the random beginning.
            decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self._average, self._parameters, 1 - decay)
        return loss.detach()

    def averaged(self) -> AbstractContextManager[nn.Module]:
        """The task's model with the averaged weights, for the time of a with block."""
        return AveragedWeights(self._task.model, self._average)

    def save(self, run: Path, rank: int, world: int) -> None:
        states = [self._task.state()]
        if world > 1:
            gathered: list[Any] = [None] * world
            distributed.all_gather_object(gathered, self._task.state())
            states = gathered
        if rank != 0:
            return
        save_checkpoint(
            run,
            {
                "step": self.step,
                "model": self._task.model.state_dict(),
                "average": self._average,
                "optimizer": self._optimizer.state_dict(),
                "critic": None if self._critic is None else self._critic.state(),
                "random": random_state(),
                "task": states,
            },
        )

    def load(self, content: dict[str, Any], rank: int, world: int) -> None:
        if world != len(content["task"]):
            raise InputError(
                f"the checkpoint is of {len(content['task'])} processes; resume with as many"
            )
        try:
            self._task.model.load_state_dict(content["model"])
        except RuntimeError as error:
            words = " ".join(str(error).split())
            raise InputError(
                f"the checkpoint is of another model than the recipe's ({words})"
            ) from None
        self.step = content["step"]
        for mine, saved in zip(self._average, content["average"], strict=True):
            mine.copy_(saved)
        self._optimizer.load_state_dict(content["optimizer"])
        if self._critic is not None:
            self._critic.load_state(content["critic"])
        restore_random_state(content["random"])
        self._task.load_state(content["task"][rank])


class _Critic:
    """A task's discriminators and their optimiser."""

    def __init__(self, critic: nn.Module, recipe: Recipe, device: torch.device, world: int) -> None:
        self._module = critic.to(device)
        self._clip, self._world = recipe.gradient_clip, world
        self._parameters: list[Tensor] = list(critic.parameters())
        self._optimizer = torch.optim.Adam(
            self._parameters, lr=recipe.learning_rate, betas=_CRITIC_BETAS
        )
        self._module.requires_grad_(False)  # but within its own steps

    def advance(self, task: Task, rate: float, autocast: AbstractContextManager[Any]) -> None:
        """One step at a rate, if the critic judges already."""
        self._module.requires_grad_(True)
        with autocast:
            loss = task.critic_loss()
        if loss is not None:
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if self._world > 1:
                gradients = [p.grad for p in self._parameters if p.grad is not None]
                for gradient in gradients:
                    distributed.all_reduce(gradient)
                torch._foreach_div_(gradients, self._world)
            nn.utils.clip_grad_norm_(self._parameters, self._clip)
            self._optimizer.step()
        self._module.requires_grad_(False)

    def state(self) -> dict[str, Any]:
        return {"model": self._module.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        self._module.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])


class AveragedWeights(AbstractContextManager):
    """Lend a model its averaged weights for the time of a with block, in evaluation mode."""

    def __init__(self, model: nn.Module, average: list[Tensor]) -> None:
        self._model, self._average = model, average
        self._parameters = [p for p in model.parameters() if p.requires_grad]

    def __enter__(self) -> nn.Module:
        self._trained = [p.detach().clone() for p in self._parameters]
        self._copy(self._average)
        self._model.eval()
        return self._model

    def __exit__(self, *exception: object) -> None:
        self._copy(self._trained)
        self._model.train()

    @torch.no_grad()
    def _copy(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self._parameters, values, strict=True):
            parameter.copy_(value)


class _Log:
    """JSON lines and TensorBoard, written by the first process alone."""

    def __init__(self, run: Path, rank: int) -> None:
        self._file: TextIO | None = None
        if rank == 0:
            self._file = (run / LOG_FILE).open("a", encoding="utf-8")
            self._board = SummaryWriter(str(run / "tensorboard"))

    def line(self, kind: str, step: int, values: dict[str, float]) -> None:
        if self._file is None:
            return
        self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}", value, step)

    def validation(self, step: int, found: Validation) -> None:
        self.line("valid", step, found.measures)
        if self._file is not None:
            found.draw(self._board, step)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._board.close()


class _Processes(AbstractContextManager):
    """Join the other processes that torchrun started, if it did."""

    def __enter__(self) -> tuple[int, int]:
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return 0, 1
        backend = "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            backend = "cpu:gloo,cuda:nccl"  # `_agree` has its numbers on the CPU
        distributed.init_process_group(backend)
        return distributed.get_rank(), world

    def __exit__(self, *exception: object) -> None:
        if distributed.is_initialized():
            distributed.destroy_process_group()


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


def _agree(stop: bool, world: int) -> bool:
    """Whether any process wants to stop; all must do the same."""
    if world == 1:
        return stop
    wish = torch.tensor([float(stop)])
    return bool(_mean(wish, world) > 0)


def _mean(value: Tensor, world: int) -> Tensor:
    if world > 1:
        value = value.clone()
        distributed.all_reduce(value)
        value /= world
    return value


def _describe(run: Path, task: Task, data: Path) -> None:
    """Write down where the run comes from."""
    described = task.describe()
    if "data_manifest_sha256" not in described:
        described["data_manifest_sha256"] = manifest_sha256(data)
    notes = {
        **described,
        "git_commit": _git_commit(),
        "torch": torch.__version__,
    }
    (run / RUN_FILE).write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")


def _git_commit() -> str | None:
    """The commit of a checkout of Timbrel; None where it was installed in another way."""
    if shutil.which("git") is None:
        return None
    command = ["git", "rev-parse", "HEAD"]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return found.stdout.strip() or None

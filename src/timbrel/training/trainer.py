"""The state of a training run, and one step of it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from timbrel.errors import InputError
from timbrel.training.averaging import AveragedWeights, averaged_tensors, copy_average
from timbrel.training.checkpoint import (
    BEST_FILE,
    CHECKPOINT_FILE,
    random_state,
    restore_random_state,
    save_checkpoint,
)
from timbrel.training.optimizer import Optimizer
from timbrel.training.recipe import Recipe
from timbrel.training.record import Record
from timbrel.training.task import Task

# A critic must forget quickly, because the model that it judges keeps changing.
_CRITIC_BETAS = (0.8, 0.9)


class Trainer:
    """The state of a run and one step of it.

    Parameters
    ----------
    recipe, task
        What is trained.
    device
        Where it is trained.
    world
        How many processes train together.
    is_new
        Whether the network, or a part of it, began at random.
    """

    def __init__(
        self, recipe: Recipe, task: Task, device: torch.device, world: int, *, is_new: bool
    ) -> None:
        self.step = 0
        self.rate = 0.0
        self._is_new = is_new
        self._recipe = recipe
        self._task = task
        self._device = device
        task.model.to(device)
        self._parameters: list[Tensor] = [p for p in task.model.parameters() if p.requires_grad]
        self._optimizer = Optimizer(task.model, recipe)
        self._averaged = averaged_tensors(task.model)
        self._average = [tensor.detach().clone() for tensor in self._averaged]
        self._critic = None if task.critic is None else _Critic(task.critic, recipe, device, world)
        model = task.wrapped()
        if device.type == "cuda":
            model.compile()
        self._model = model
        if world > 1:
            idle = task.has_idle_parameters
            self._model = DistributedDataParallel(model, find_unused_parameters=idle)

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
        if self._is_new:
            # Early on the average follows quickly, so that it forgets the random beginning.
            decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self._average, self._averaged, 1 - decay)
        return loss.detach()

    def averaged(self) -> AbstractContextManager[nn.Module]:
        """The task's model with the averaged weights, for the time of a with block."""
        return AveragedWeights(self._task.model, self._average)

    def save(self, run: Path, record: Record, rank: int, world: int) -> None:
        """Write the checkpoint, all processes together."""
        states = [self._task.state()]
        if world > 1:
            gathered: list[Any] = [None] * world
            distributed.all_gather_object(gathered, self._task.state())
            states = gathered
        if rank != 0:
            return
        save_checkpoint(
            run / CHECKPOINT_FILE,
            {
                **self._weights(record),
                "optimizer": self._optimizer.state_dict(),
                "critic": None if self._critic is None else self._critic.state(),
                "random": random_state(),
                "task": states,
            },
        )

    def save_best(self, run: Path, record: Record) -> None:
        """Write what an export needs: these weights were the best so far."""
        save_checkpoint(run / BEST_FILE, self._weights(record))

    def _weights(self, record: Record) -> dict[str, Any]:
        return {
            "step": self.step,
            "record": record.content(),
            "model": self._task.model.state_dict(),
            "average": self._average,
        }

    def load(self, content: dict[str, Any], rank: int, world: int) -> None:
        """Take what `save` wrote."""
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
        copy_average(self._average, content["average"])
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

"""What the training loop wants of a task: a model, batches, a loss and a validation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn


@dataclass(frozen=True)
class Validation:
    """What a task finds on the validation split."""

    measures: dict[str, float]
    # True and predicted mel, each (frames, n_mels), for TensorBoard.
    picture: tuple[np.ndarray, np.ndarray] | None = None


class Task(ABC):
    """The loop's view of a task; what most tasks leave as it is has a default.

    `model` is what is saved and averaged; `critic` are discriminators that are trained against it,
    where a task has some.
    """

    model: nn.Module
    critic: nn.Module | None = None

    def critic_loss(self) -> Tensor | None:
        """What the critic loses on the last call of `loss`; None where it does not judge yet."""
        return None

    @abstractmethod
    def batch(self, step: int) -> Any:
        """Give the process's share of a step's batch, a function of the step; runs in a thread."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any, step: int) -> Tensor:
        """A scalar whose mean over the processes is the loss of the whole batch."""

    def wrapped(self) -> nn.Module:
        """A module whose forward pass is that of training, for DDP and torch.compile."""
        return self.model

    @abstractmethod
    def validate(self, model: nn.Module) -> Validation: ...

    def state(self) -> dict[str, Tensor]:
        """What must survive from step to step beside the model."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:  # noqa: B027
        """Take what `state` gave."""

    @abstractmethod
    def describe(self) -> dict:
        """What an export must know: configuration, instruments, data."""

"""What the tasks on single notes have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from timbrel.notes.dataset import data_origin, read_split
from timbrel.progress import Progress
from timbrel.training.recipe import Recipe, known
from timbrel.training.task import Validation


class NotesTask(ABC):
    """A task on a data set of notes; see `Mel2MelTask` for the parameters.

    A subclass names its kind, the type of its options and that of its configuration, and builds
    its model of the latter.
    """

    kind: ClassVar[str]
    options_type: ClassVar[type]
    config_type: ClassVar[type]
    critic: nn.Module | None = None

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        rank: int,
        world: int,
        progress: Progress,  # noqa: ARG002
    ) -> None:
        self._seed, self._folder = recipe.seed, folder
        self._options: Any = known(self.options_type, recipe.options, "options")
        self._train, self._valid = (read_split(folder, split) for split in ("train", "valid"))
        self._origin = data_origin(folder)
        share = recipe.batch_size // world
        self._items = range(rank * share, (rank + 1) * share)
        self.config: Any = known(self.config_type, recipe.model, "model")
        self.model = self.make_model()

    @abstractmethod
    def make_model(self) -> nn.Module:
        """Build the network of `config`."""

    @abstractmethod
    def batch(self, step: int) -> Any: ...

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any, step: int) -> Tensor: ...

    @abstractmethod
    def validate(self, model: nn.Module) -> Validation: ...

    def critic_loss(self) -> None:  # noqa: B027
        """Nothing judges these models but their loss."""

    def wrapped(self) -> nn.Module:
        """Give the model: its forward pass is that of training."""
        return self.model

    def state(self) -> dict[str, Tensor]:
        """Nothing but the model survives a step."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:  # noqa: B027
        """Nothing is carried from step to step."""

    def describe(self) -> dict:
        return {"kind": self.kind, **self._origin, "config": asdict(self.config)}

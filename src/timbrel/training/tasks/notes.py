"""Code shared by the tasks on single notes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

from timbrel.bundles.kinds import KINDS, loaded
from timbrel.constants import SAMPLE_RATE
from timbrel.notes.dataset import data_origin, read_split
from timbrel.progress import Progress
from timbrel.training.recipe import Recipe, known
from timbrel.training.task import Task


@dataclass(frozen=True)
class TensorBatch:
    """Examples as tensors, each a field of a subclass."""

    def to(self, device: torch.device) -> Self:
        """Give the same batch on a device."""
        return type(self)(*(getattr(self, field.name).to(device) for field in fields(self)))


class NotesTask(Task):
    """A task on a data set of notes; see `Mel2MelTask` for the parameters.

    A subclass names its kind and the type of its options.
    """

    options_type: ClassVar[type]

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
        self.config: Any = known(loaded(KINDS[self.kind].sizes), recipe.model, "model")
        self.model: Any = self.network(self.config, recipe)

    def describe(self) -> dict:
        return {
            **self._origin,
            "config": asdict(self.config),
            "bundle": {"sample_rate": SAMPLE_RATE},
        }

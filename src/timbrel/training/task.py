"""The interface of a training task: a model, batches, a loss, a validation, finally a bundle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from timbrel.bundles.bundle import Bundle
from timbrel.bundles.kinds import KINDS, loaded
from timbrel.bundles.weights import Model, with_weights
from timbrel.training.averaging import set_averaged
from timbrel.training.recipe import Recipe, known


@dataclass(frozen=True)
class FinishedRun:
    """What a training run left: its recipe, what it noted of itself, its weights."""

    recipe: Recipe
    notes: dict[str, Any]
    checkpoint: dict[str, Any]

    def averaged(self, model: Model) -> Model:
        """Give a new model the averaged weights of the checkpoint."""
        model.load_state_dict(self.checkpoint["model"])
        set_averaged(model, self.checkpoint["average"])
        return model


@dataclass(frozen=True)
class Validation:
    """What a task finds on the validation split."""

    measures: dict[str, float]

    def draw(self, board: Any, step: int) -> None:
        """Give TensorBoard what it can show beside the measures."""


class Task(ABC):
    """The loop's view of a task; what most tasks leave as it is has a default.

    `model` is what is saved and averaged; `critic` are discriminators that are trained against it,
    where a task has some.
    """

    # A row of `timbrel.bundles.kinds.KINDS`: what a run begins with, and what it is exported as.
    kind: ClassVar[str]
    # The measure of a validation that says which weights of a run are the best.
    judged_by: str
    lower_is_better: ClassVar[bool] = True
    # Whether some of the model's parameters never get a gradient, which DDP must know.
    has_idle_parameters: bool = False
    model: nn.Module
    critic: nn.Module | None = None

    def critic_loss(self) -> Tensor | None:
        """What the critic loses on the last call of `loss`; None where it does not judge yet."""
        return None

    def start(self, bundle: Bundle) -> str:
        """Give the model the weights of a bundle of its kind; says what the bundle has not got.

        Raises
        ------
        InputError
            If the bundle's weights are those of another model.
        """
        with_weights(self.model, bundle).train()
        return ""

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
        """What an export must know: `config`, the network's sizes; `bundle`, what the kind's bundle
        holds beside; `card`, what its card says beside the recipe; and of the data `soundfont`,
        `license`, `attribution` and `data_manifest_sha256`.
        """

    @classmethod
    @abstractmethod
    def network(cls, sizes: Any, recipe: Recipe) -> nn.Module:
        """Make the network of some sizes."""

    @classmethod
    def export(cls, run: FinishedRun, output: Path, about: dict[str, Any]) -> list[Path]:
        """Write the bundle of a run; gives the folders that were written.

        Parameters
        ----------
        run
            What the run left.
        output
            The bundle's folder, which must not exist yet.
        about
            Name, licence, attribution and training summary, for the bundle's configuration.
        """
        kind = KINDS[cls.kind]
        sizes = known(loaded(kind.sizes), run.notes["config"], str(output))
        network = run.averaged(cls.network(sizes, run.recipe))
        own = run.notes["bundle"]
        if "mel" in kind.keys:
            own = own | {"mel": run.recipe.mel}
        loaded(kind.exporter)(network, output, **about, **own)
        return [output]

"""Code shared by the tasks of vocoders: clips of audio, with true or predicted mels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from timbrel.progress import Progress
from timbrel.training.audio_dataset import AudioClips
from timbrel.training.recipe import Recipe, known
from timbrel.training.task import Task


@dataclass(frozen=True)
class PredictedMels:
    """The options of every vocoder's recipe."""

    # From a step on, crops have the mels that a Mel2Mel bundle predicts.
    predicted_by: str = ""
    predicted_from: int = 0
    predicted_clips: int = 0  # so many clips of the training split have some; all if 0
    equal_instruments: bool = False  # all are equally likely, instead of all samples


class VocoderTask(Task):
    """Train a vocoder on prepared data; see `Mel2MelTask` for the parameters.

    A subclass names its kind and the type of its options, and makes its configuration and network.
    """

    options_type: ClassVar[type[PredictedMels]]
    config: Any

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        self._recipe = recipe
        self._options: Any = known(self.options_type, recipe.options, "options")
        self._train, self._valid = (
            AudioClips(
                folder,
                split,
                recipe.mel,
                predicted_by=self._options.predicted_by,
                predicted_clips=n_predicted,
                performance=self.reads_performance(recipe),
                equal_instruments=self._options.equal_instruments,
                progress=progress,
            )
            for split, n_predicted in (("train", self._options.predicted_clips), ("valid", 0))
        )
        share = recipe.batch_size // world
        self._items = range(rank * share, (rank + 1) * share)

    @staticmethod
    def reads_performance(recipe: Recipe) -> bool:  # noqa: ARG004
        """Whether the network wants rolls of all keys and bends."""
        return False

    def predicts(self, step: int) -> bool:
        """Whether crops of a step have predicted mels."""
        return bool(self._options.predicted_by) and step >= self._options.predicted_from

    def describe(self) -> dict:
        return {
            "config": asdict(self.config),
            "bundle": {"gain": self._train.settings.gain},
            **self._train.origin(),
        }

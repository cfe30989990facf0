"""The tasks that a recipe can name."""

from __future__ import annotations

from collections.abc import Callable

from timbrel.training.task import Task
from timbrel.training.tasks.autoencoder import AutoencoderTask
from timbrel.training.tasks.mel2mel import Mel2MelTask
from timbrel.training.tasks.parallel import ParallelTask
from timbrel.training.tasks.spectral import BaselineTask, ClassifierTask
from timbrel.training.tasks.wavenet import WaveNetTask

TASKS: dict[str, Callable[..., Task]] = {
    "mel2mel": Mel2MelTask,
    "parallel": ParallelTask,
    "wavenet": WaveNetTask,
    "notes-autoencoder": AutoencoderTask,
    "notes-baseline": BaselineTask,
    "notes-classifier": ClassifierTask,
}

"""The tasks that a recipe can name."""

from __future__ import annotations

from collections.abc import Callable

from timbrel.training.autoencoder_task import AutoencoderTask
from timbrel.training.mel2mel_task import Mel2MelTask
from timbrel.training.parallel_task import ParallelTask
from timbrel.training.spectral_tasks import BaselineTask, ClassifierTask
from timbrel.training.task import Task
from timbrel.training.wavenet_task import WaveNetTask

TASKS: dict[str, Callable[..., Task]] = {
    "mel2mel": Mel2MelTask,
    "parallel": ParallelTask,
    "wavenet": WaveNetTask,
    "notes-autoencoder": AutoencoderTask,
    "notes-baseline": BaselineTask,
    "notes-classifier": ClassifierTask,
}

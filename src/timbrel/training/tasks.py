"""The tasks that a recipe can name."""

from __future__ import annotations

from timbrel.training.autoencoder_task import AutoencoderTask
from timbrel.training.mel2mel_task import Mel2MelTask
from timbrel.training.parallel_task import ParallelTask
from timbrel.training.wavenet_task import WaveNetTask

TASKS: dict[
    str, type[Mel2MelTask] | type[ParallelTask] | type[WaveNetTask] | type[AutoencoderTask]
] = {
    "mel2mel": Mel2MelTask,
    "parallel": ParallelTask,
    "wavenet": WaveNetTask,
    "notes-autoencoder": AutoencoderTask,
}

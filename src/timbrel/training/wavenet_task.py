"""Training of the WaveNet vocoder: likelihood of each sample, given those before it and the mel."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from timbrel.progress import Progress
from timbrel.training.audio_dataset import AudioBatch, AudioClips, audio_batch
from timbrel.training.recipe import Recipe, known
from timbrel.training.task import Validation
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.mulaw import mu_law_encode
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig

# A crop of the validation split for each of so many fixed draws.
_VALID_CROPS, _VALID_STEP = 32, 10**9


@dataclass(frozen=True)
class WaveNetOptions:
    """The options of a WaveNet recipe."""

    crop_frames: int = 144  # the first 2,047 samples only warm up: longer crops waste less
    # From a step on, crops have the mels that a Mel2Mel bundle predicts.
    predicted_by: str = ""
    predicted_from: int = 0
    predicted_clips: int = 0  # so many clips of the training split have some; all if 0


class WaveNetTask:
    """Train WaveNet on prepared data; see `Mel2MelTask` for the parameters."""

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        self._recipe = recipe
        self._options = known(WaveNetOptions, recipe.options, "options")
        self._train, self._valid = (
            AudioClips(
                folder,
                split,
                recipe.mel,
                predicted_by=self._options.predicted_by,
                predicted_clips=n_predicted,
                progress=progress,
            )
            for split, n_predicted in (("train", self._options.predicted_clips), ("valid", 0))
        )
        share = recipe.batch_size // world
        self._items = range(rank * share, (rank + 1) * share)
        self.config: WaveNetConfig = known(
            WaveNetConfig, {"n_mels": recipe.mel.n_mels} | recipe.model, "model"
        )
        self.critic = None
        self.model = WaveNet(self.config)

    def batch(self, step: int) -> AudioBatch:
        options = self._options
        predicted = options.predicted_by and step >= options.predicted_from
        return self._crops(self._train, step, self._items, predicted_share=float(bool(predicted)))

    def loss(self, model: nn.Module, batch: AudioBatch, step: int) -> Tensor:  # noqa: ARG002
        device = next(model.parameters()).device
        samples = torch.from_numpy(self._samples(batch.audio)).to(device)
        parameters = model(
            samples, normalised(torch.from_numpy(batch.mel).to(device), self._recipe.mel)
        )
        # What comes before a crop is not known: the first samples do not count.
        warm = self.config.receptive_field
        return self.model.output.nll(parameters[:, warm:].float(), samples[:, warm:]).mean()

    def critic_loss(self) -> None:
        """Nothing judges this model but its loss."""

    def wrapped(self) -> nn.Module:
        """Give the model: its forward pass is that of training."""
        return self.model

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Validation:
        losses: dict[str, list[float]] = {name: [] for name in self._valid.instruments}
        for item in range(_VALID_CROPS):
            batch = self._crops(self._valid, _VALID_STEP, [item])
            name = self._valid.instruments[self._valid.labels[batch.clip[0]]]
            losses[name].append(float(self.loss(model, batch, 0)))
        measures = {f"nll/{name}": float(np.mean(found)) for name, found in losses.items() if found}
        measures["nll"] = float(np.mean([loss for found in losses.values() for loss in found]))
        return Validation(measures)

    def state(self) -> dict[str, Tensor]:
        """Nothing but the model survives a step."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Nothing is carried from step to step."""

    def describe(self) -> dict:
        return {
            "kind": "wavenet",
            "config": asdict(self.config),
            "instruments": self._train.settings.instruments,
            "gain": self._train.settings.gain,
            "soundfont": self._train.settings.soundfont,
            "predicted_by": self._options.predicted_by,
        }

    def _crops(
        self,
        clips: AudioClips,
        step: int,
        items: range | list[int],
        *,
        predicted_share: float = 0.0,
    ) -> AudioBatch:
        return audio_batch(
            clips,
            step,
            items,
            frames=self._options.crop_frames,
            before=1,
            after=2,
            seed=self._recipe.seed,
            predicted_share=predicted_share,
        )

    def _samples(self, audio: np.ndarray) -> np.ndarray:
        return mu_law_encode(audio) if self.config.output == "categorical" else audio

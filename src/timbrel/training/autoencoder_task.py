"""Training of the autoencoder of notes: likelihood of each sample, given those before and codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.notes.autoencoder import Autoencoder
from timbrel.notes.companding import HALF, compress
from timbrel.notes.dataset import NoteSplit, data_origin, read_split
from timbrel.notes.sizes import AutoencoderConfig
from timbrel.progress import Progress
from timbrel.training.recipe import Recipe, known
from timbrel.training.task import Validation

# Crops of the validation split, for each of so many fixed draws.
_VALID_BATCHES, _VALID_SIZE, _VALID_STEP = 8, 8, 10**9


@dataclass(frozen=True)
class AutoencoderOptions:
    """The options of an autoencoder's recipe."""

    crop_frames: int = 12  # of codes: 6,144 samples, as published
    # Whether the encoder sees what lies around a crop, as it will when it is used; the published
    # training gave it zeros there.
    context: bool = True


class AutoencoderTask:
    """Train the autoencoder on a data set of notes; see `Mel2MelTask` for the parameters."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        rank: int,
        world: int,
        progress: Progress,  # noqa: ARG002
    ) -> None:
        self._seed = recipe.seed
        self._options = known(AutoencoderOptions, recipe.options, "options")
        self._train, self._valid = (read_split(folder, split) for split in ("train", "valid"))
        self._origin = data_origin(folder)
        share = recipe.batch_size // world
        self._items = range(rank * share, (rank + 1) * share)
        self.config: AutoencoderConfig = known(AutoencoderConfig, recipe.model, "model")
        self._context = self.config.context_frames if self._options.context else 0
        self.critic = None
        self.model = Autoencoder(self.config)

    def batch(self, step: int) -> Tensor:
        return self._crops(self._train, step, self._items)

    def loss(self, model: nn.Module, batch: Tensor, step: int) -> Tensor:  # noqa: ARG002
        levels = batch.to(next(model.parameters()).device)
        logits = model(levels, self._context)
        margin = self._context * self.config.hop_length
        labels = levels[:, margin : levels.shape[1] - margin].long() + HALF
        return functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten())

    def critic_loss(self) -> None:
        """Nothing judges this model but its loss."""

    def wrapped(self) -> nn.Module:
        """Give the model: its forward pass is that of training."""
        return self.model

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Validation:
        losses = [
            float(
                self.loss(
                    model,
                    self._crops(
                        self._valid, _VALID_STEP, range(i * _VALID_SIZE, (i + 1) * _VALID_SIZE)
                    ),
                    0,
                )
            )
            for i in range(_VALID_BATCHES)
        ]
        return Validation({"nll": float(np.mean(losses))})

    def state(self) -> dict[str, Tensor]:
        """Nothing but the model survives a step."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Nothing is carried from step to step."""

    def describe(self) -> dict:
        return {
            "kind": "notes-autoencoder",
            **self._origin,
            "config": asdict(self.config),
        }

    def _crops(self, split: NoteSplit, step: int, items: Iterable[int]) -> Tensor:
        """A step's crops, a pure function of its arguments: levels (batch, samples), float32."""
        hop = self.config.hop_length
        length, margin = self._options.crop_frames * hop, self._context * hop
        crops = []
        for item in items:
            random = np.random.default_rng((self._seed, step, item))
            audio = split.audio(int(random.integers(len(split))))
            start = int(random.integers(0, max(len(audio) - length, 0) + 1))
            padded = np.pad(audio, (margin, margin + length))
            crops.append(padded[start : start + length + 2 * margin])
        return torch.from_numpy(compress(np.stack(crops))).float()

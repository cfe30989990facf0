"""Training of the autoencoder of notes: likelihood of each sample, given those before and codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.notes.autoencoder import Autoencoder
from timbrel.notes.codec import KIND
from timbrel.notes.companding import HALF, compress
from timbrel.notes.dataset import NoteSplit
from timbrel.notes.sizes import AutoencoderConfig
from timbrel.training.notes_task import NotesTask
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


class AutoencoderTask(NotesTask):
    """Train the autoencoder on a data set of notes."""

    kind = KIND
    options_type = AutoencoderOptions
    config_type = AutoencoderConfig

    def make_model(self) -> nn.Module:
        self._context = self.config.context_frames if self._options.context else 0
        return Autoencoder(self.config)

    def batch(self, step: int) -> Tensor:
        return self._crops(self._train, step, self._items)

    def loss(self, model: nn.Module, batch: Tensor, step: int) -> Tensor:  # noqa: ARG002
        levels = batch.to(next(model.parameters()).device)
        logits = model(levels, self._context)
        margin = self._context * self.config.hop_length
        labels = levels[:, margin : levels.shape[1] - margin].long() + HALF
        return functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten())

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

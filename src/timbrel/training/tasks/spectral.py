"""Training of the spectral networks of notes: the baseline, and the classifier that judges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.bundles.bundle import Bundle
from timbrel.bundles.weights import in_layout
from timbrel.notes.baseline import BaselineConfig, SpectralBaseline, spectral_loss
from timbrel.notes.classifier import ClassifierConfig, NoteClassifier
from timbrel.notes.dataset import NoteSplit, measured_qualities
from timbrel.notes.export import BASELINE_KIND, CLASSIFIER_KIND, give_norms
from timbrel.notes.spectrum import log_spectrum
from timbrel.progress import Progress
from timbrel.training.recipe import Recipe
from timbrel.training.task import Validation
from timbrel.training.tasks.notes import NotesTask, TensorBatch

_VALID_BATCHES, _VALID_SIZE, _VALID_STEP = 8, 16, 10**9


@dataclass(frozen=True)
class SpectralOptions:
    """The spectral networks have no options beside their recipe."""


@dataclass(frozen=True)
class SpectralBatch(TensorBatch):
    """Notes with what is known of them."""

    spectra: Tensor  # (batch, 512, 256)
    pitches: Tensor  # (batch,) int64
    qualities: Tensor  # (batch, 10) float32


class SpectralTask(NotesTask):
    """What the baseline's and the classifier's have in common."""

    options_type = SpectralOptions

    def start(self, bundle: Bundle) -> str:
        give_norms(self.model, bundle)
        return super().start(bundle)

    def batch(self, step: int) -> SpectralBatch:
        return self._draw(self._train, step, self._items)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Validation:
        found: dict[str, list[float]] = {}
        for i in range(_VALID_BATCHES):
            items = range(i * _VALID_SIZE, (i + 1) * _VALID_SIZE)
            batch = self._draw(self._valid, _VALID_STEP, items)
            for name, value in self._measures(model, batch).items():
                found.setdefault(name, []).append(value)
        return Validation({name: float(np.mean(values)) for name, values in found.items()})

    def _measures(self, model: nn.Module, batch: SpectralBatch) -> dict[str, float]:
        return {"loss": float(self.loss(model, batch, 0))}

    def _draw(self, split: NoteSplit, step: int, items: Iterable[int]) -> SpectralBatch:
        """A step's notes, a pure function of its arguments."""
        chosen = [
            int(np.random.default_rng((self._seed, step, item)).integers(len(split)))
            for item in items
        ]
        return spectral_batch(split, chosen)


class BaselineTask(SpectralTask):
    """Train the baseline to reconstruct spectra."""

    kind = BASELINE_KIND
    judged_by = "loss"

    @classmethod
    def network(cls, sizes: BaselineConfig, recipe: Recipe) -> SpectralBaseline:  # noqa: ARG003
        return in_layout(SpectralBaseline(sizes))

    def loss(self, model: nn.Module, batch: SpectralBatch, step: int) -> Tensor:  # noqa: ARG002
        batch = batch.to(next(model.parameters()).device)
        return spectral_loss(model(batch.spectra, batch.pitches).float(), batch.spectra)


class ClassifierTask(SpectralTask):
    """Train the classifier on pitch and qualities."""

    kind = CLASSIFIER_KIND
    judged_by = "loss"

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        super().__init__(recipe, folder, rank=rank, world=world, progress=progress)
        self._columns = measured_qualities(folder)  # the labels of others say nothing

    @classmethod
    def network(cls, sizes: ClassifierConfig, recipe: Recipe) -> NoteClassifier:  # noqa: ARG003
        return in_layout(NoteClassifier(sizes))

    def loss(self, model: nn.Module, batch: SpectralBatch, step: int) -> Tensor:  # noqa: ARG002
        batch = batch.to(next(model.parameters()).device)
        pitch, qualities = model(batch.spectra)
        pitch_loss = functional.cross_entropy(pitch.float(), batch.pitches)
        return pitch_loss + functional.binary_cross_entropy_with_logits(
            qualities[:, self._columns].float(), batch.qualities[:, self._columns]
        )

    def _measures(self, model: nn.Module, batch: SpectralBatch) -> dict[str, float]:
        batch = batch.to(next(model.parameters()).device)
        pitch, qualities = model(batch.spectra)
        right = ((qualities > 0) == (batch.qualities > 0))[:, self._columns].float()
        return {
            "loss": float(self.loss(model, batch, 0)),
            "pitch_accuracy": float((pitch.argmax(1) == batch.pitches).float().mean()),
            "quality_accuracy": float(right.mean()),
        }


def spectral_batch(split: NoteSplit, indices: Iterable[int]) -> SpectralBatch:
    """Spectra and labels of some notes."""
    indices = list(indices)
    notes = [split.notes[i] for i in indices]
    return SpectralBatch(
        torch.from_numpy(np.stack([log_spectrum(split.audio(i)) for i in indices])),
        torch.tensor([note.pitch for note in notes]),
        torch.tensor([note.qualities for note in notes], dtype=torch.float32),
    )

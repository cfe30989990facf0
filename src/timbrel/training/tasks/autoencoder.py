"""Training of the autoencoder of notes.

It maximises the likelihood of each sample, given the previous samples and the codes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.bundles.bundle import Bundle
from timbrel.bundles.weights import with_weights
from timbrel.engine.companding import HALF, compress
from timbrel.errors import InputError
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.notes.autoencoder import Autoencoder
from timbrel.notes.baseline import N_PITCHES
from timbrel.notes.codec import KIND
from timbrel.notes.dataset import NoteSplit
from timbrel.notes.sizes import SPECTRUM_MEL, SPECTRUM_REACH, NoteAutoencoderConfig
from timbrel.progress import Progress
from timbrel.training.recipe import Recipe, known, refuse_other_sizes
from timbrel.training.task import Validation
from timbrel.training.tasks.notes import NotesTask, TensorBatch

# Validation crops: the number of fixed batches, the crops in each, and the step that draws them.
_VALID_BATCHES, _VALID_SIZE, _VALID_STEP = 8, 8, 10**9


# Each pitch is a direction in the first half of the codes: circles of 12 semitones, of 24, …
_SMALLEST_CIRCLE, _PITCH_SCALE = 12, 4.0
# Frames whose mean level, out of 128, is lower are too faint to have a recognisable pitch.
_AUDIBLE = 4.0
_LOUD = 2.5  # nepers below the loudest band of a crop at which another counts a third of it


@dataclass(frozen=True)
class AutoencoderOptions:
    """The options of an autoencoder's recipe."""

    crop_frames: int = 12  # of codes: 6,144 samples, as published
    # Whether the encoder sees what lies around a crop, as it will when it is used; the published
    # training gave it zeros there.
    context: bool = True
    # What helps a small training, and was not published. A decoder that hears the past exactly
    # takes the pitch from there and not from the codes: so there is noise on the past, of a
    # standard deviation up to so many levels, another one for each crop.
    past_noise: float = 0.0
    # And the codes are taught the pitch, by the likelihood of the note's own among all.
    pitch_weight: float = 0.0
    # Train nothing but what tells the mel from the codes (`spectrum_size`), which learns beside the
    # others and changes nothing about them.
    spectrum_only: bool = False


@dataclass(frozen=True)
class AutoencoderBatch(TensorBatch):
    """Crops of notes."""

    levels: Tensor  # (batch, samples) float32, with the context
    noise: Tensor  # (batch, samples without the context)
    pitches: Tensor  # (batch,) int64
    mel: Tensor  # (batch, hops, n_mels), of all codes but the outer ones, or of none


class AutoencoderTask(NotesTask):
    """Train the autoencoder on a data set of notes."""

    kind = KIND
    judged_by = "nll"
    has_idle_parameters = True  # nothing follows the residual of the decoder's last layer
    options_type = AutoencoderOptions

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        super().__init__(recipe, folder, rank=rank, world=world, progress=progress)
        self._context = self.config.context_frames if self._options.context else 0
        self._directions = pitch_directions(self.config.code_size)
        if self._options.spectrum_only:
            if not self.config.spectrum_size:
                raise InputError("options: spectrum_only wants a model with 'spectrum_size'")
            self.judged_by = "mel_loss"
        if self.config.spectrum_size and self._options.crop_frames <= 2 * SPECTRUM_REACH:
            raise InputError(
                f"options: crop_frames is {self._options.crop_frames}; a model with "
                f"'spectrum_size' wants more than {2 * SPECTRUM_REACH}"
            )
        prototypes = self.model.decoder.prototypes
        if prototypes is not None and self._options.pitch_weight:
            # Where codes are taught the pitch, that is what the first prototypes begin as.
            n = min(N_PITCHES, self.config.n_prototypes)
            with torch.no_grad():
                prototypes.weight[:n] = self._directions[:n]

    @classmethod
    def network(cls, sizes: NoteAutoencoderConfig, recipe: Recipe) -> Autoencoder:  # noqa: ARG003
        return Autoencoder(sizes)

    def start(self, bundle: Bundle) -> str:
        """As `Task.start`; the bundle's network may lack what tells the mel."""
        sizes = known(NoteAutoencoderConfig, bundle.model, str(bundle.path))
        if sizes.spectrum_size or not self.config.spectrum_size:
            return super().start(bundle)
        wanted = replace(self.config, spectrum_size=0)
        refuse_other_sizes(sizes, wanted, bundle.path)
        given = dict(with_weights(Autoencoder(wanted), bundle).named_parameters())
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if name in given:
                    parameter.copy_(given[name])
        return "the layers of the spectrum"

    def batch(self, step: int) -> AutoencoderBatch:
        return self._crops(self._train, step, self._items, self._options.past_noise)

    def loss(self, model: nn.Module, batch: AutoencoderBatch, step: int) -> Tensor:  # noqa: ARG002
        measured = self._measures(model, batch)
        total = measured.get("mel_loss", torch.zeros(()))
        if not self._options.spectrum_only:
            total = total + measured["nll"] + self._options.pitch_weight * measured["pitch_loss"]
        return total

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Validation:
        found: dict[str, list[float]] = {}
        for i in range(_VALID_BATCHES):
            items = range(i * _VALID_SIZE, (i + 1) * _VALID_SIZE)
            batch = self._crops(self._valid, _VALID_STEP, items)
            for name, value in self._measures(model, batch).items():
                found.setdefault(name, []).append(float(value))
        measures = {name: float(np.mean(values)) for name, values in found.items()}
        measures.pop("pitch_loss", None)
        if not self._options.pitch_weight:
            measures.pop("pitch_accuracy", None)
        return Validation(measures)

    def _measures(self, model: nn.Module, batch: AutoencoderBatch) -> dict[str, Tensor]:
        """Losses, and how often the pitch was found in audible frames."""
        batch = batch.to(next(model.parameters()).device)
        only = self._options.spectrum_only
        logits, codes, mel = model(batch.levels, self._context, batch.noise, spectrum_only=only)
        measured = {}
        if mel is not None:
            errors = (mel.float() - batch.mel).abs()
            measured["mel_error"] = errors.mean()
            # What is loud is heard, and least of a mel is loud.
            measured["mel_loss"] = (errors * loudness_weights(batch.mel)).mean()
        if logits is None:
            return measured
        margin = self._context * self.config.hop_length
        levels = batch.levels[:, margin : batch.levels.shape[1] - margin]
        labels = levels.long() + HALF
        measured["nll"] = functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten())
        audible = levels.abs().unflatten(1, (-1, self.config.hop_length)).mean(dim=-1) > _AUDIBLE
        chances = codes.float() @ self._directions.to(codes.device).T  # (batch, frames, 128)
        pitches = batch.pitches[:, None].expand(audible.shape)
        each = functional.cross_entropy(chances.transpose(1, 2), pitches, reduction="none")
        n_audible = audible.sum().clamp(min=1)
        hits = (chances.argmax(dim=-1) == pitches) & audible
        measured["pitch_loss"] = (each * audible).sum() / n_audible
        measured["pitch_accuracy"] = hits.sum() / n_audible
        return measured

    def _crops(
        self, split: NoteSplit, step: int, items: Iterable[int], past_noise: float = 0.0
    ) -> AutoencoderBatch:
        """A step's crops, a pure function of its arguments."""
        hop = self.config.hop_length
        length, margin = self._options.crop_frames * hop, self._context * hop
        crops, noises, pitches, mels = [], [], [], []
        for item in items:
            random = np.random.default_rng((self._seed, step, item))
            index = int(random.integers(len(split)))
            audio = split.audio(index)
            start = int(random.integers(0, max(len(audio) - length, 0) + 1))
            padded = np.pad(audio, (margin, margin + length))
            crop = padded[start : start + length + 2 * margin]
            crops.append(crop)
            mels.append(self._inner_mel(crop, margin))
            deviation = past_noise * random.random()
            noises.append((deviation * random.standard_normal(length)).astype(np.float32))
            pitches.append(split.notes[index].pitch)
        return AutoencoderBatch(
            torch.from_numpy(compress(np.stack(crops))).float(),
            torch.from_numpy(np.stack(noises)),
            torch.tensor(pitches),
            torch.from_numpy(np.stack(mels)),
        )

    def _inner_mel(self, crop: np.ndarray, margin: int) -> np.ndarray:
        """The mel of all codes of a crop, a margin at either end left out, but the outer ones."""
        if not self.config.spectrum_size:
            return np.zeros((0, SPECTRUM_MEL.n_mels), np.float32)
        hop = SPECTRUM_MEL.hop_length
        edge = (margin + SPECTRUM_REACH * self.config.hop_length) // hop
        return mel_spectrogram(crop, SPECTRUM_MEL)[edge : len(crop) // hop - edge]


def loudness_weights(mel: Tensor) -> Tensor:
    """How much each band of a crop counts: 1.1 for its loudest one, 0.1 far below.

    Parameters
    ----------
    mel
        Natural logarithm, shape (batch, hops, n_mels).
    """
    below = mel.amax(dim=(1, 2), keepdim=True) - mel
    return 0.1 + torch.exp(-below / _LOUD)


def pitch_directions(code_size: int) -> Tensor:
    """Directions of the 128 pitches in the space of codes, float32, shape (128, code_size).

    The products of a code with them are logits of pitches.
    """
    n_circles = code_size // 4
    periods = _SMALLEST_CIRCLE * 2.0 ** torch.arange(n_circles)
    angles = 2 * torch.pi * torch.arange(N_PITCHES)[:, None] / periods
    directions = torch.cat([torch.cos(angles), torch.sin(angles)], dim=1)
    return functional.pad(_PITCH_SCALE * directions, (0, code_size - 2 * n_circles))

"""Training of the parallel vocoder by reconstruction: spectra at several resolutions, and mels."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from timbrel.evaluation.metrics import LogCqtCorrelation
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.progress import Progress
from timbrel.training.audio_dataset import TRUE_MELS, AudioBatch, AudioClips, audio_batch
from timbrel.training.recipe import Recipe, known
from timbrel.training.task import Validation
from timbrel.vocoder.excitation import NoteFrames, note_frames
from timbrel.vocoder.losses import MelLoss, MultiResolutionStftLoss
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.parallel import ParallelVocoder, ParallelVocoderConfig, pulses

_VALID_CROPS, _VALID_FRAMES, _VALID_STEP = 60, 500, 10**9
_LOG_CQT_MARGIN_FRAMES = 20  # at either end of a crop, the context is missing


@dataclass(frozen=True)
class ParallelOptions:
    """The options of a parallel vocoder's recipe."""

    crop_frames: int = 96
    mels: str = TRUE_MELS  # or a Mel2Mel bundle, for the last part of the training
    mel_weight: float = 1.0


@dataclass(frozen=True)
class ParallelBatch:
    """Crops with what the notes do in them, padded to one number of notes."""

    crops: AudioBatch
    notes: NoteFrames | None  # with a leading batch axis


class ParallelTask:
    """Train the parallel vocoder on prepared data; see `Mel2MelTask` for the parameters."""

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        self._recipe = recipe
        self._options = known(ParallelOptions, recipe.options, "options")
        self._train, self._valid = (
            AudioClips(folder, split, recipe.mel, mels=self._options.mels, progress=progress)
            for split in ("train", "valid")
        )
        share = recipe.batch_size // world
        self._items = range(rank * share, (rank + 1) * share)
        geometry = {
            "n_mels": recipe.mel.n_mels,
            "sample_rate": recipe.mel.sample_rate,
            "hop_length": recipe.mel.hop_length,
            "n_fft": 4 * recipe.mel.hop_length,
        }
        self.config: ParallelVocoderConfig = known(
            ParallelVocoderConfig, geometry | recipe.model, "model"
        )
        self.model = ParallelVocoder(self.config)
        self._stft_loss = MultiResolutionStftLoss()
        self._mel_loss = MelLoss(recipe.mel)

    def batch(self, step: int) -> ParallelBatch:
        return self._crops(self._train, step, self._items, self._options.crop_frames)

    def loss(self, model: nn.Module, batch: ParallelBatch, step: int) -> Tensor:  # noqa: ARG002
        predicted = self._predicted(model, batch)
        true = torch.from_numpy(batch.crops.audio).to(predicted.device)
        self._mel_loss.to(predicted.device)
        mel_loss = self._options.mel_weight * self._mel_loss(predicted, true)
        return self._stft_loss(predicted, true) + mel_loss

    def wrapped(self) -> nn.Module:
        """Give the model: its forward pass is that of training."""
        return self.model

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Validation:
        losses, pools = [], {name: LogCqtCorrelation() for name in self._valid.instruments}
        margin = _LOG_CQT_MARGIN_FRAMES * self.config.hop_length
        picture = None
        for item in range(_VALID_CROPS):
            batch = self._crops(self._valid, _VALID_STEP, [item], _VALID_FRAMES)
            losses.append(float(self.loss(model, batch, 0)))
            predicted = self._predicted(model, batch)[0].float().cpu().numpy()
            true = batch.crops.audio[0]
            name = self._valid.instruments[self._valid.labels[batch.crops.clip[0]]]
            pools[name].add(true[margin:-margin], predicted[margin:-margin])
            if picture is None:
                config = self._recipe.mel
                picture = (mel_spectrogram(true, config), mel_spectrogram(predicted, config))
        measures = {"loss": float(np.mean(losses))}
        total = LogCqtCorrelation()
        for pool in pools.values():
            total += pool
        measures["log_cqt_correlation"] = total.mean()
        for octave, value in enumerate(total.by_octave(), 1):
            measures[f"log_cqt_correlation/octave {octave}"] = float(value)
        return Validation(measures, picture)

    def state(self) -> dict[str, Tensor]:
        """Nothing but the model survives a step."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Nothing is carried from step to step."""

    def describe(self) -> dict:
        return {
            "kind": "parallel",
            "config": asdict(self.config),
            "instruments": self._train.settings.instruments,
            "gain": self._train.settings.gain,
            "soundfont": self._train.settings.soundfont,
            "mels": self._options.mels,
        }

    def _predicted(self, model: nn.Module, batch: ParallelBatch) -> Tensor:
        device = next(model.parameters()).device
        mel = normalised(torch.from_numpy(batch.crops.mel).to(device), self._recipe.mel)
        if batch.notes is None:
            return model(mel)
        parts = (
            torch.from_numpy(getattr(batch.notes, f.name)).to(device) for f in fields(NoteFrames)
        )
        return model(mel, pulses(*parts, hop_length=self.config.hop_length))

    def _crops(
        self, clips: AudioClips, step: int, items: range | list[int], frames: int
    ) -> ParallelBatch:
        crops = audio_batch(
            clips, step, items, frames=frames, before=0, after=0, seed=self._recipe.seed
        )
        if self.config.conditioning == "mel":
            return ParallelBatch(crops, None)
        found = [
            note_frames(
                clips.roll(clip),
                start,
                start + frames,
                sample_rate=self.config.sample_rate,
                hop_length=self.config.hop_length,
            )
            for clip, start in zip(crops.clip.tolist(), crops.start.tolist(), strict=True)
        ]
        return ParallelBatch(crops, _padded(found))


def _padded(found: list[NoteFrames]) -> NoteFrames:
    """The notes of some crops, with silent ones where a crop has fewer than another."""
    most = max(max(len(notes.gain) for notes in found), 1)

    def stacked(name: str, fill: float) -> np.ndarray:
        arrays = [getattr(notes, name) for notes in found]
        return np.stack(
            [np.pad(a, ((0, most - len(a)), (0, 0)), constant_values=fill) for a in arrays]
        )

    fills = {"harmonics": 1.0}
    return NoteFrames(*(stacked(f.name, fills.get(f.name, 0.0)) for f in fields(NoteFrames)))

"""Training of the parallel vocoder: by reconstruction, then optionally adversarial as well."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from timbrel.constants import SAMPLE_RATE
from timbrel.errors import InputError
from timbrel.measures.correlation import LogCqtCorrelation
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.progress import Progress
from timbrel.training.audio_dataset import AudioBatch, AudioClips, audio_batch
from timbrel.training.recipe import Recipe, known
from timbrel.training.tasks.mels import MelValidation
from timbrel.training.tasks.vocoder import PredictedMels, VocoderTask
from timbrel.vocoder.discriminators import (
    Discriminators,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
)
from timbrel.vocoder.excitation import NoteFrames, stack_notes
from timbrel.vocoder.losses import MelLoss, MultiResolutionStftLoss, SemitoneLoss
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.parallel import ParallelVocoder, ParallelVocoderConfig, tensors
from timbrel.vocoder.sources import Source, source_of
from timbrel.vocoder.strokes import StrokeFrames, stack_strokes

_VALID_CROPS, _VALID_KIT_CROPS, _VALID_FRAMES, _VALID_STEP = 60, 20, 500, 10**9
_LOG_CQT_MARGIN_FRAMES = 20  # at either end of a crop, the context is missing
_SILENT_SHARE = 1 / 64  # of the crops are silence, so that silence is kept


@dataclass(frozen=True)
class ParallelOptions(PredictedMels):
    """The options of a parallel vocoder's recipe."""

    crop_frames: int = 96
    predicted_share: float = 0.5  # of the crops, once there are predicted mels
    # Standard deviation, in nepers, of noise on the mels above the floor, so that the vocoder does
    # not make much of how little a Mel2Mel's windows differ.
    mel_noise: float = 0.0
    mel_weight: float = 1.0
    level_weight: float = 0.0  # of the bands' mean power, as a part of the mel's loss
    phase_weight: float = 0.0
    semitone_weight: float = 0.0  # of the constant-Q spectrum
    # Each step draws so many of the resolutions of the spectral loss, which takes less time; 0
    # stands for all.
    resolutions_per_step: int = 0
    # Where the vocoder plays kits, so many crops of a batch are theirs.
    kit_crops: int = 0
    # From a step on, discriminators judge as well; never if it is 0.
    adversarial_from: int = 0
    adversarial_weight: float = 0.1
    feature_weight: float = 0.2


@dataclass(frozen=True)
class ParallelBatch:
    """Crops with what the score does in them; the last ones may be those of kits."""

    crops: AudioBatch
    noise: np.ndarray  # (batch, frames, n_bins) float32, phases in cycles
    # What the scores do: notes padded to one number, a roll (batch, frames, 176), or nothing.
    score: NoteFrames[np.ndarray] | np.ndarray | None
    strokes: StrokeFrames[np.ndarray] | None  # of the kits


class ParallelTask(VocoderTask):
    """Train the parallel vocoder on prepared data; see `Mel2MelTask` for the parameters."""

    kind = "parallel"
    judged_by, lower_is_better = "log_cqt_correlation", False
    options_type = ParallelOptions

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        super().__init__(recipe, folder, rank=rank, world=world, progress=progress)
        geometry = {
            "n_mels": recipe.mel.n_mels,
            "sample_rate": recipe.mel.sample_rate,
            "hop_length": recipe.mel.hop_length,
            "n_fft": 4 * recipe.mel.hop_length,
        }
        self.config: ParallelVocoderConfig = known(
            ParallelVocoderConfig, geometry | recipe.model, "model"
        )
        self.model = self.network(self.config, recipe)
        self.critic = Discriminators() if self._options.adversarial_from else None
        if self._options.kit_crops and not self.config.plays_kits:
            raise InputError("options: kit_crops has no meaning for a vocoder that plays no kits")
        if self._options.kit_crops and recipe.batch_size != len(self._items):
            raise InputError("options: kit_crops cannot be shared by several processes")
        if self._options.kit_crops > recipe.batch_size:
            raise InputError("options: kit_crops exceeds batch_size")
        self._sources: dict[tuple[str, bool], Source] = {}
        self._stft_loss = MultiResolutionStftLoss(
            recipe.mel.sample_rate, phase_weight=self._options.phase_weight
        )
        # Further losses that count, with their weights.
        self._losses: list[tuple[float, nn.Module]] = []
        if self._options.mel_weight:
            mel_loss = MelLoss(recipe.mel, level_weight=self._options.level_weight)
            self._losses.append((self._options.mel_weight, mel_loss))
        if self._options.semitone_weight:
            semitones = SemitoneLoss(recipe.mel.sample_rate)
            self._losses.append((self._options.semitone_weight, semitones))
        self._last: tuple[Tensor, Tensor] | None = None

    @staticmethod
    def reads_performance(recipe: Recipe) -> bool:
        return recipe.model.get("conditioning") == "performance"

    @classmethod
    def network(cls, sizes: ParallelVocoderConfig, recipe: Recipe) -> ParallelVocoder:
        return ParallelVocoder(sizes, recipe.mel)

    def batch(self, step: int) -> ParallelBatch:
        batch = self._crops(
            self._train,
            step,
            self._items,
            self._options.crop_frames,
            predicted_share=self._options.predicted_share if self.predicts(step) else 0.0,
            silent_share=_SILENT_SHARE,
            n_kits=self._options.kit_crops,
        )
        if not self._options.mel_noise:
            return batch
        mel = batch.crops.mel
        random = np.random.default_rng((self._recipe.seed, step, self._items.start))
        noise = self._options.mel_noise * random.standard_normal(mel.shape, np.float32)
        noisy = np.where(mel > self._recipe.mel.log_floor, mel + noise, mel)
        return replace(batch, crops=replace(batch.crops, mel=noisy))

    def loss(self, model: nn.Module, batch: ParallelBatch, step: int) -> Tensor:
        return self._judged(model, batch, self._mels(model, batch), step)

    def _mels(self, model: nn.Module, batch: ParallelBatch) -> Tensor:
        """The mels that the vocoder is given, natural logarithms (batch, frames, n_mels)."""
        return torch.from_numpy(batch.crops.mel).to(next(model.parameters()).device)

    def _judged(self, model: nn.Module, batch: ParallelBatch, mel: Tensor, step: int) -> Tensor:
        """The loss of what the vocoder makes of mels."""
        predicted = self._predicted(model, batch, mel)
        true = torch.from_numpy(batch.crops.audio).to(predicted.device)
        loss = self._reconstruction_loss(predicted, true, self._resolutions(step))
        self._last = None
        options = self._options
        if self.critic is not None and step >= options.adversarial_from:
            judged = self.critic(predicted)
            with torch.no_grad():
                originals = self.critic(true)
            loss = loss + options.adversarial_weight * adversarial_loss(judged)
            loss = loss + options.feature_weight * feature_loss(originals, judged)
            self._last = predicted.detach(), true
        return loss

    def critic_loss(self) -> Tensor | None:
        """Loss of the discriminators on what the last step made; None before they begin."""
        if self.critic is None or self._last is None:
            return None
        predicted, true = self._last
        return discriminator_loss(self.critic(true), self.critic(predicted))

    @torch.no_grad()
    def validate(self, model: nn.Module) -> MelValidation:
        measures, picture = self._validated(model)
        if self.config.plays_kits:
            found, _ = self._validated(model, kits=True)
            measures |= {f"kits/{key}": value for key, value in found.items()}
        if self.predicts(_VALID_STEP):
            found, _ = self._validated(model, predicted_mels=True)
            measures |= {f"predicted_mels/{key}": value for key, value in found.items()}
        return MelValidation(measures, picture)

    def _validated(
        self, model: nn.Module, *, predicted_mels: bool = False, kits: bool = False
    ) -> tuple[dict[str, float], tuple[np.ndarray, np.ndarray]]:
        losses, pool = [], LogCqtCorrelation()
        margin = _LOG_CQT_MARGIN_FRAMES * self.config.hop_length
        picture = None
        for item in range(_VALID_KIT_CROPS if kits else _VALID_CROPS):
            batch = self._crops(
                self._valid,
                _VALID_STEP,
                [item],
                _VALID_FRAMES,
                predicted_share=float(predicted_mels),
                n_kits=int(kits),
            )
            made = self._predicted(model, batch, self._mels(model, batch))
            original = torch.from_numpy(batch.crops.audio)
            losses.append(float(self._reconstruction_loss(made, original.to(made.device))))
            predicted, true = made[0].float().cpu().numpy(), batch.crops.audio[0]
            clips = (
                soxr.resample(clip[margin:-margin], self.config.sample_rate, SAMPLE_RATE)
                for clip in (true, predicted)
            )
            pool.add(*clips)
            if picture is None:
                config = self._recipe.mel
                picture = (mel_spectrogram(true, config), mel_spectrogram(predicted, config))
        measures = {"loss": float(np.mean(losses)), "log_cqt_correlation": pool.mean()}
        for octave, value in enumerate(pool.by_octave(), 1):
            measures[f"log_cqt_correlation/octave {octave}"] = float(value)
        assert picture is not None
        return measures, picture

    def _resolutions(self, step: int) -> list[tuple[int, int]]:
        """Those of the spectral loss that a step counts."""
        known = self._stft_loss.resolutions
        count = self._options.resolutions_per_step or len(known)
        random = np.random.default_rng((self._recipe.seed, step))
        return [known[i] for i in sorted(random.permutation(len(known))[:count])]

    def _reconstruction_loss(
        self, predicted: Tensor, true: Tensor, resolutions: list[tuple[int, int]] | None = None
    ) -> Tensor:
        loss = self._stft_loss(predicted, true, resolutions)
        for weight, part in self._losses:
            loss = loss + weight * part.to(predicted.device)(predicted, true)
        return loss

    def _predicted(self, model: nn.Module, batch: ParallelBatch, mel: Tensor) -> Tensor:
        device, mel = mel.device, normalised(mel, self._recipe.mel)
        noise = torch.from_numpy(batch.noise).to(device)
        n_kits = 0 if batch.strokes is None else len(batch.strokes.gate)
        n_others = len(mel) - n_kits
        audio = []
        if n_others:
            score: Tensor | NoteFrames[Tensor] | None = None
            if isinstance(batch.score, NoteFrames):
                score = tensors(batch.score, device)
            elif batch.score is not None:
                score = torch.from_numpy(batch.score).to(device)
            audio.append(model(mel[:n_others], noise[:n_others], score))
        if batch.strokes is not None:
            strokes = tensors(batch.strokes, device)
            audio.append(model(mel[n_others:], noise[n_others:], strokes))
        return torch.cat(audio)

    def _crops(
        self,
        clips: AudioClips,
        step: int,
        items: range | list[int],
        frames: int,
        *,
        predicted_share: float = 0.0,
        silent_share: float = 0.0,
        n_kits: int = 0,
    ) -> ParallelBatch:
        """Draw a step's crops; the last `n_kits` of the items are those of kits."""
        seed, n_others = self._recipe.seed, len(items) - n_kits
        parts = []
        for some, among in (
            (items[:n_others], ~clips.is_kit if self.config.plays_kits else None),
            (items[n_others:], clips.is_kit),
        ):
            if some:
                parts.append(
                    audio_batch(
                        clips,
                        step,
                        some,
                        frames=frames,
                        before=0,
                        after=0,
                        seed=seed,
                        predicted_share=predicted_share,
                        among=among,
                    )
                )
        crops = joined(parts)
        # The batch is a pure function of the step, whoever shares it.
        chances = [np.random.default_rng((seed, step, item, 1)) for item in items]
        noise = np.stack([c.random((frames, self.config.n_bins), np.float32) for c in chances])
        silent = np.array([chance.random() < silent_share for chance in chances])
        crops.audio[silent] = 0.0
        crops.mel[silent] = clips.config.log_floor
        places = list(zip(crops.clip.tolist(), crops.start.tolist(), strict=True))
        score: NoteFrames[np.ndarray] | np.ndarray | None = None
        strokes = None
        if self.config.conditioning == "roll":
            rolls = [clips.roll(clip).window(start, start + frames) for clip, start in places]
            score = np.stack(rolls)
            score[silent] = 0.0
        if self.config.knows_pulses:
            found = [self._source(clips, clip).frames(s, s + frames) for clip, s in places]
            if n_others:
                score = stack_notes(found[:n_others])
                score.gain[silent[:n_others]] = 0.0
            if n_kits:
                strokes = stack_strokes(found[n_others:])
                for part in (strokes.sources, strokes.gate, strokes.keys):
                    part[silent[n_others:]] = 0.0
        return ParallelBatch(crops, noise, score, strokes)

    def _source(self, clips: AudioClips, clip: int) -> Any:
        key = clips.clips[clip].midi, bool(clips.is_kit[clip])
        if key not in self._sources:
            self._sources[key] = source_of(clips.roll(clip), asdict(self.config))
        return self._sources[key]


def joined(parts: list[AudioBatch]) -> AudioBatch:
    """Batches one after the other."""
    return AudioBatch(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(AudioBatch))
    )

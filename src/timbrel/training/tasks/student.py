"""Training of the parallel student: distilled from a WaveNet with a Gaussian output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.constants import SAMPLE_RATE
from timbrel.errors import InputError
from timbrel.measures.correlation import LogCqtCorrelation
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.progress import Progress
from timbrel.training.audio_dataset import AudioBatch, AudioClips, audio_batch
from timbrel.training.recipe import Recipe, known
from timbrel.training.tasks.mels import MelValidation
from timbrel.training.tasks.vocoder import PredictedMels, VocoderTask
from timbrel.vocoder.losses import MelLoss, MultiResolutionStftLoss, PowerLoss
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.shaping import filters_of, n_taps, shaped
from timbrel.vocoder.student import (
    NativeStudent,
    Student,
    StudentConfig,
    can_be_native,
    divergence,
)
from timbrel.vocoder.wavenet import Gaussian
from timbrel.vocoder.wavenet_export import load_wavenet
from timbrel.vocoder.wavenet_native import NativeWaveNet, is_possible

_VALID_CROPS, _VALID_FRAMES, _VALID_STEP = 24, 250, 10**9


@dataclass(frozen=True)
class StudentOptions(PredictedMels):
    """The options of a student's recipe."""

    teacher: str = ""  # the bundle of a WaveNet with a Gaussian output
    crop_frames: int = 112  # the teacher's receptive field only warms up: longer crops waste less
    silent_share: float = 1 / 64  # of the crops
    kl_weight: float = 1.0
    # Of the squared difference of log deviations: with the divergence alone, which hardly punishes
    # deviations that are too small, students are unstable.
    regulariser: float = 4.0
    # The teacher's log deviation counts as no less: its least ones are as small as the rounding of
    # what it hears. What is quieter than that is judged by its spectrum alone, or silence would
    # have to hiss as loudly.
    least_log_deviation: float = -7.0
    power_weight: float = 1.0
    stft_weight: float = 1.0
    mel_weight: float = 1.0


class StudentBatch(NamedTuple):
    """Crops, and the noise that the student makes its sound of."""

    crops: AudioBatch
    # Each (batch, samples) float32; see `timbrel.vocoder.shaping`.
    noise: np.ndarray
    shaped: np.ndarray
    log_deviation: np.ndarray


class _Made(NamedTuple):
    """What a student makes of a batch."""

    audio: Tensor  # (batch, samples)
    log_deviation: Tensor
    noise: Tensor
    mel: Tensor  # normalised
    level: Tensor  # log


class StudentTask(VocoderTask):
    """Train the parallel student on prepared data; see `Mel2MelTask` for the parameters.

    Raises
    ------
    InputError
        If there is no teacher, or it is none for the recipe's mels.
    """

    kind = "student"
    judged_by, lower_is_better = "log_cqt_correlation", False
    options_type = StudentOptions

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        options = known(StudentOptions, recipe.options, "options")
        self._teacher_bundle = _teacher(options.teacher, recipe)
        super().__init__(recipe, folder, rank=rank, world=world, progress=progress)
        self.config: StudentConfig = known(
            StudentConfig, {"n_mels": recipe.mel.n_mels} | recipe.model, "model"
        )
        self.model: Student = self.network(self.config, recipe)
        # The teacher is no part of the model: it is neither trained nor averaged nor saved.
        self._teacher = load_wavenet(self._teacher_bundle).requires_grad_(False)
        is_native = recipe.precision == "bfloat16" and is_possible(self._teacher.config)
        self._native_teacher = NativeWaveNet(self._teacher) if is_native else None
        self._warm = self._teacher.config.receptive_field
        if options.crop_frames * recipe.mel.hop_length <= self._warm:
            raise InputError(
                f"options: crop_frames is {options.crop_frames}; a crop must be longer than the "
                f"{self._warm} samples that warm the teacher up"
            )
        self._stft_loss = MultiResolutionStftLoss(recipe.mel.sample_rate)
        self._power_loss = PowerLoss(recipe.mel.sample_rate)
        self._mel_loss = MelLoss(recipe.mel)

    @classmethod
    def network(cls, sizes: StudentConfig, recipe: Recipe) -> Student:
        return Student(sizes, recipe.mel)

    def wrapped(self) -> nn.Module:
        """The network, with native layers where they are possible and the recipe wants bfloat16."""
        on_cpu = next(self.model.parameters()).device.type == "cpu"
        if on_cpu and self._recipe.precision == "bfloat16" and can_be_native(self.config):
            return NativeStudent(self.model)
        return self.model

    def describe(self) -> dict:
        teacher = self._teacher_bundle
        steps = teacher.training.get("steps", "unknown")
        told = f"{teacher.name} (steps: {steps}, licence: {teacher.license})"
        return {**super().describe(), "card": {"teacher": told}}

    def batch(self, step: int) -> StudentBatch:
        share = float(self.predicts(step))
        frames, silent = self._options.crop_frames, self._options.silent_share
        return self._crops(
            self._train,
            step,
            self._items,
            frames,
            predicted_share=share,
            silent_share=silent,
        )

    def loss(self, model: nn.Module, batch: StudentBatch, step: int) -> Tensor:  # noqa: ARG002
        made = self._made(model, batch)
        kl, regulariser = self._distilled(made)
        options = self._options
        distilled = options.kl_weight * (kl + options.regulariser * regulariser)
        return distilled + self._reconstruction_loss(made.audio, batch)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> MelValidation:
        kls, losses, pool, picture = [], [], LogCqtCorrelation(), None
        for item in range(_VALID_CROPS):
            batch = self._crops(self._valid, _VALID_STEP, [item], _VALID_FRAMES)
            made = self._made(model, batch)
            kls.append(float(self._distilled(made)[0]))
            losses.append(float(self._reconstruction_loss(made.audio, batch)))
            predicted = made.audio[0, self._warm :].cpu().numpy()
            true = batch.crops.audio[0, self._warm :]
            rate = self._recipe.mel.sample_rate
            pool.add(*(soxr.resample(clip, rate, SAMPLE_RATE) for clip in (true, predicted)))
            if picture is None:
                config = self._recipe.mel
                picture = mel_spectrogram(true, config), mel_spectrogram(predicted, config)
        assert picture is not None
        measures = {
            "log_cqt_correlation": pool.mean(),
            "kl": float(np.mean(kls)),
            "loss": float(np.mean(losses)),
            "silence_dbfs": self._silence_dbfs(model),
        }
        return MelValidation(measures, picture)

    def _silence_dbfs(self, model: nn.Module) -> float:
        """How loud a silent mel is."""
        batch = self._crops(
            self._valid, _VALID_STEP, [_VALID_CROPS], _VALID_FRAMES, silent_share=1.0
        )
        made = self._made(model, batch)
        return float(10 * torch.log10(made.audio.square().mean() + 1e-20))

    def _made(self, model: nn.Module, batch: StudentBatch) -> _Made:
        device = next(self.model.parameters()).device
        noise, shaped_noise, deviation, mel = (
            torch.from_numpy(array).to(device)
            for array in (batch.noise, batch.shaped, batch.log_deviation, batch.crops.mel)
        )
        mel = normalised(mel, self._recipe.mel)
        audio, log_deviation = model(shaped_noise, deviation, mel)
        return _Made(audio, log_deviation, noise, mel, self.model.log_level(mel))

    def _distilled(self, made: _Made) -> tuple[Tensor, Tensor]:
        """Mean divergence from the teacher, and mean squared difference of log deviations."""
        device = made.audio.device
        native = self._native_teacher if device.type == "cpu" else None
        teacher = native or self._teacher.to(device)
        warm, least = self._warm, self._options.least_log_deviation
        output = self._teacher.output
        assert isinstance(output, Gaussian)
        parameters = teacher(made.audio, made.mel, warm).float()
        teacher_mean, teacher_log = output.moments(parameters)
        teacher_log = teacher_log.clamp(min=least)
        log = made.log_deviation[:, warm:]
        mean = made.audio[:, warm:] - log.exp() * made.noise[:, warm:]
        counts = (made.level[:, warm:] > least).float()
        kl = divergence(mean, log, teacher_mean, teacher_log)
        apart = (teacher_log - log).square()
        n = counts.sum().clamp(min=1)
        return (kl * counts).sum() / n, (apart * counts).sum() / n

    def _reconstruction_loss(self, audio: Tensor, batch: StudentBatch) -> Tensor:
        """Of spectra, for which only the student must have warmed up."""
        self._mel_loss.to(audio.device)
        made = audio[:, self._warm :]
        true = torch.from_numpy(batch.crops.audio[:, self._warm :]).to(audio.device)
        options = self._options
        return (
            options.stft_weight * self._stft_loss(made, true)
            + options.mel_weight * self._mel_loss(made, true)
            + options.power_weight * self._power_loss(made, true)
        )

    def _crops(
        self,
        clips: AudioClips,
        step: int,
        items: range | list[int],
        frames: int,
        *,
        predicted_share: float = 0.0,
        silent_share: float = 0.0,
    ) -> StudentBatch:
        crops = audio_batch(
            clips,
            step,
            items,
            frames=frames,
            before=1,
            after=2,
            seed=self._recipe.seed,
            predicted_share=predicted_share,
        )
        config = self._recipe.mel
        before = n_taps(config) - 1
        noise = []
        for item, audio, mel in zip(items, crops.audio, crops.mel, strict=True):
            chance = np.random.default_rng((self._recipe.seed, step, item, 1))
            if chance.random() < silent_share:
                audio[:] = 0.0
                mel[:] = config.log_floor
            noise.append(chance.standard_normal(before + len(audio), np.float32))
        drawn = np.stack(noise)
        filters = filters_of(crops.mel[:, 1:-1], config)
        return StudentBatch(crops, drawn[:, before:], *shaped(drawn, filters, config.hop_length))


def _teacher(name: str, recipe: Recipe) -> Bundle:
    """The bundle of a recipe's teacher; what cannot teach is refused."""
    if not name:
        raise InputError(
            "options: a student needs a teacher, the bundle of a WaveNet with a Gaussian output "
            "(--set options.teacher=FOLDER)"
        )
    bundle = load_bundle(name, kind="wavenet")
    output = bundle.model.get("output")
    if output != "gaussian":
        raise InputError(
            f"{name}: its output is {output}; a student's teacher must have a gaussian one, as of "
            "recipes/wavenet-gaussian.yaml"
        )
    if bundle.mel != recipe.mel:
        raise InputError(
            f"{name}: this teacher reads mels of {bundle.mel}; the recipe's are of {recipe.mel}"
        )
    return bundle

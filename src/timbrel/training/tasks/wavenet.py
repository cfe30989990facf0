"""Training of the WaveNet vocoder.

It maximises the likelihood of each sample, given the previous samples and the mel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from timbrel.bundles.bundle import Bundle
from timbrel.engine.mulaw import N_LEVELS, mu_law_decode, mu_law_encode, mu_law_positions
from timbrel.progress import Progress
from timbrel.training.audio_dataset import AudioBatch, AudioClips, audio_batch
from timbrel.training.recipe import Recipe, known, refuse_other_sizes
from timbrel.training.task import Validation
from timbrel.training.tasks.vocoder import PredictedMels, VocoderTask
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.wavenet import OF_THE_OUTPUT, Continuous, WaveNet, WaveNetConfig
from timbrel.vocoder.wavenet_export import load_wavenet
from timbrel.vocoder.wavenet_native import NativeWaveNet, is_possible

# Validation crops: how many are drawn, and the step that draws them.
_VALID_CROPS, _VALID_STEP = 32, 10**9


@dataclass(frozen=True)
class WaveNetOptions(PredictedMels):
    """The options of a WaveNet recipe."""

    crop_frames: int = 144  # the first 2,047 samples only warm up: longer crops waste less
    # A network that hears the past exactly learns late to heed the mel. So there may be noise on
    # the past, of a standard deviation up to so many levels of µ-law, another one for each crop;
    # it was not published. A continuous past is not rounded: a level is 1/23 of an amplitude that
    # is not small, and 0.0002 of full scale in silence.
    past_noise: float = 0.0
    # A share of the crops is silent, half of them from some frame on: music alone hardly ever shows
    # what silence sounds like, and a network that has not learnt it may hold any level for ever.
    silent_share: float = 0.0


class WaveNetTask(VocoderTask):
    """Train WaveNet on prepared data; see `Mel2MelTask` for the parameters."""

    kind = "wavenet"
    judged_by = "nll"
    options_type = WaveNetOptions

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        super().__init__(recipe, folder, rank=rank, world=world, progress=progress)
        self.config: WaveNetConfig = known(
            WaveNetConfig, {"n_mels": recipe.mel.n_mels} | recipe.model, "model"
        )
        self.model: WaveNet = self.network(self.config, recipe)

    def start(self, bundle: Bundle) -> str:
        """As `Task.start`; the bundle's network may have another output.

        It then gives everything but the layers that read and predict samples.
        """
        known_sizes = known(WaveNetConfig, bundle.model, str(bundle.path))
        if known_sizes.output == self.config.output:
            return super().start(bundle)
        wanted = replace(self.config, output=known_sizes.output, n_mixtures=known_sizes.n_mixtures)
        refuse_other_sizes(known_sizes, wanted, bundle.path)
        given = dict(load_wavenet(bundle).named_parameters())
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if name.partition(".")[0] not in OF_THE_OUTPUT:
                    parameter.copy_(given[name])
        return f"the layers {' and '.join(OF_THE_OUTPUT)}"

    @classmethod
    def network(cls, sizes: WaveNetConfig, recipe: Recipe) -> WaveNet:  # noqa: ARG003
        return WaveNet(sizes)

    def wrapped(self) -> nn.Module:
        """The network, with native layers where they are possible and the recipe wants bfloat16."""
        on_cpu = next(self.model.parameters()).device.type == "cpu"
        if on_cpu and self._recipe.precision == "bfloat16" and is_possible(self.config):
            return NativeWaveNet(self.model)
        return self.model

    def batch(self, step: int) -> AudioBatch:
        share = float(self.predicts(step))
        batch = self._crops(self._train, step, self._items, predicted_share=share)
        random = np.random.default_rng((self._recipe.seed, step, self._items.start, 1))
        for audio, mel in zip(batch.audio, batch.mel, strict=True):
            if random.random() < self._options.silent_share:
                first = int(random.integers(0, len(mel) // 2)) * int(random.integers(0, 2))
                mel[first:] = self._recipe.mel.log_floor
                audio[first * self._recipe.mel.hop_length :] = 0.0
        return batch

    def loss(self, model: nn.Module, batch: AudioBatch, step: int) -> Tensor:
        if not self._options.past_noise:
            return self._nll(model, batch, batch.audio)
        random = np.random.default_rng((self._recipe.seed, step, self._items.start))
        deviation = self._options.past_noise * random.random((len(batch.audio), 1))
        noise = deviation * random.standard_normal(batch.audio.shape)
        if isinstance(self.model.output, Continuous):
            levels = mu_law_positions(batch.audio) + noise
        else:
            levels = mu_law_encode(batch.audio) + np.rint(noise)
        return self._nll(model, batch, mu_law_decode(np.clip(levels, 0, N_LEVELS - 1)))

    def _nll(self, model: nn.Module, batch: AudioBatch, past: np.ndarray) -> Tensor:
        """Likelihood of a batch's samples, where the network is given another past."""
        parameters, samples = self._predicted(model, batch, past)
        return self.model.output.nll(parameters, samples).mean()

    def _predicted(
        self, model: nn.Module, batch: AudioBatch, past: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """Parameters (batch, time, n_parameters) of the samples (batch, time), and these."""
        device = next(model.parameters()).device
        given, samples = (
            torch.from_numpy(self._samples(audio)).to(device) for audio in (past, batch.audio)
        )
        mel = normalised(torch.from_numpy(batch.mel).to(device), self._recipe.mel)
        # What comes before a crop is not known: the first samples do not count.
        warm = self.config.receptive_field
        return model(given, mel, warm).float(), samples[:, warm:]

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Validation:
        output = self.model.output
        losses: dict[str, list[float]] = {name: [] for name in self._valid.instruments}
        of_levels: list[float] = []  # what a categorical network's likelihood compares with
        for item in range(_VALID_CROPS):
            batch = self._crops(self._valid, _VALID_STEP, [item])
            name = self._valid.instruments[self._valid.labels[batch.clip[0]]]
            parameters, samples = self._predicted(model, batch, batch.audio)
            losses[name].append(float(output.nll(parameters, samples).mean()))
            if isinstance(output, Continuous):
                of_levels.append(float(output.nll_of_levels(parameters, samples).mean()))
        measures = {f"nll/{name}": float(np.mean(found)) for name, found in losses.items() if found}
        measures["nll"] = float(np.mean([loss for found in losses.values() for loss in found]))
        if of_levels:
            measures["nll_of_levels"] = float(np.mean(of_levels))
        return Validation(measures)

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
        return audio if isinstance(self.model.output, Continuous) else mu_law_encode(audio)

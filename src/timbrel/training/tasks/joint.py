"""Joint training of a Mel2Mel and a parallel vocoder: from scores to sound, through both.

ClariNet (Ping, Peng and Chen 2018) trained a whole chain from text to waveform. Here both networks
begin with their trained weights. In a share of the crops the vocoder is given the mels that the
Mel2Mel makes in the same step, and what is heard of them trains both; in the others it is given the
true mels, so that it stays a vocoder for any mel. The Mel2Mel also keeps to the true mels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.bundles.weights import with_weights
from timbrel.constants import DEFAULT_MODEL, PERFORMANCE
from timbrel.errors import InputError, OutputError
from timbrel.mel.export import MEL2MEL_SUFFIX, write_retrained
from timbrel.mel.mel2mel import Mel2Mel, load_mel2mel
from timbrel.progress import Progress
from timbrel.score.sounding import SoundingNotes, sounding_notes
from timbrel.training.audio_dataset import AudioClips, mel2mel_of
from timbrel.training.recipe import Recipe, known
from timbrel.training.task import FinishedRun
from timbrel.training.tasks.parallel import ParallelBatch, ParallelOptions, ParallelTask
from timbrel.vocoder.parallel import ParallelVocoder, ParallelVocoderConfig
from timbrel.vocoder.parallel_export import write_parallel_bundle

_WARM_UP_FRAMES = 64  # that the forward LSTM reads before a crop


@dataclass(frozen=True)
class JointOptions(ParallelOptions):
    """The options of a joint recipe, beside those of a parallel vocoder's.

    `predicted_share` says how many of the crops the Mel2Mel makes the mels of.
    """

    mel2mel: str = DEFAULT_MODEL  # a shipped model's name, or a bundle's folder
    # Of the distance of its mels from the true ones, in nepers.
    true_mel_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.predicted_by:
            raise InputError(
                "options: predicted_by has no meaning for joint training; mel2mel names the model"
            )
        if self.adversarial_from:
            raise InputError("options: joint training has no discriminators")


class Played(NamedTuple):
    """What a Mel2Mel makes the mels of some crops of."""

    items: np.ndarray  # (crops,) int64: which of the batch they are
    roll: np.ndarray  # (crops, warm-up + frames + context, roll_size) float32
    instrument: np.ndarray  # (crops,) int64: rows of its embedding
    told: tuple[SoundingNotes, ...]


@dataclass(frozen=True)
class JointBatch(ParallelBatch):
    """Crops, of which some are played by the Mel2Mel; None where none are."""

    played: Played | None


class Chain(nn.Module):
    """Both networks; its forward pass is that of either."""

    def __init__(
        self, vocoder: ParallelVocoder, synthesizer: Mel2Mel, context: int, floor: float
    ) -> None:
        super().__init__()
        self.vocoder, self.synthesizer = vocoder, synthesizer
        synthesizer.embedding.requires_grad_(False)  # encoders and timbres stay right
        self._context, self._floor = context, floor

    def forward(self, first: Tensor | Played, *others: Any) -> Tensor:
        """The mels (crops, frames, n_mels) of what is played; or the audio of mels."""
        if not isinstance(first, Played):
            return self.vocoder(first, *others)
        model = self.synthesizer
        device = model.embedding.weight.device
        roll = torch.from_numpy(first.roll).to(device)
        timbre = model.embedding(torch.from_numpy(first.instrument).to(device))
        features = model.features(roll, timbre)
        n_known = roll.shape[1] - self._context
        past, _ = model.past(features[:, :n_known])
        past = past[:, _WARM_UP_FRAMES:]
        future = model.future(features[:, _WARM_UP_FRAMES:])[:, : past.shape[1]]
        alone = model.alone(first.told, timbre, past.shape[1], self._floor)
        return model.mel(past, future, timbre, alone).float()


class JointTask(ParallelTask):
    """Train both on prepared data; see `Mel2MelTask` for the parameters.

    Raises
    ------
    InputError
        If the Mel2Mel makes other mels than the recipe's, or lacks an instrument of the data.
    """

    options_type = JointOptions

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        super().__init__(recipe, folder, rank=rank, world=world, progress=progress)
        bundle = mel2mel_of(self._options.mel2mel, recipe.mel, self._train.instruments)
        if (bundle.roll == PERFORMANCE) != self.reads_performance(recipe):
            raise InputError(
                f"{bundle.path}: reads a {bundle.roll} roll, unlike the vocoder of the recipe"
            )
        self._tells_notes = bool(bundle.model.get("note_units"))
        rows = {instrument.name: i for i, instrument in enumerate(bundle.instruments)}
        self._rows = np.array([rows[name] for name in self._train.instruments])
        self._context = bundle.window.context
        # A vocoder whose crops are all of true mels leaves the Mel2Mel without gradients.
        self.has_idle_parameters = True

    def start(self, bundle: Bundle) -> str:
        assert isinstance(self.model, Chain)
        with_weights(self.model.vocoder, bundle)
        self.model.train()
        return ""

    def predicts(self, step: int) -> bool:  # noqa: ARG002
        return True

    def loss(self, model: nn.Module, batch: ParallelBatch, step: int) -> Tensor:
        mel = self._mels(model, batch)
        loss = self._judged(model, batch, mel, step)
        assert isinstance(batch, JointBatch)
        if batch.played is not None:
            true = torch.from_numpy(batch.crops.mel[batch.played.items]).to(mel.device)
            distance = (mel[batch.played.items] - true).abs().mean()
            loss = loss + self._options.true_mel_weight * distance
        return loss

    def _mels(self, model: nn.Module, batch: ParallelBatch) -> Tensor:
        assert isinstance(batch, JointBatch)
        mel = super()._mels(model, batch)
        if batch.played is None:
            return mel
        made = model(batch.played).clamp(min=self._recipe.mel.log_floor)
        return mel.index_copy(0, torch.from_numpy(batch.played.items).to(mel.device), made)

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
    ) -> JointBatch:
        batch = super()._crops(clips, step, items, frames, silent_share=silent_share, n_kits=n_kits)
        chances = [np.random.default_rng((self._recipe.seed, step, i, 2)).random() for i in items]
        chosen = np.array(chances) < predicted_share
        chosen &= batch.crops.mel.max(axis=(1, 2)) > clips.config.log_floor
        (which,) = np.nonzero(chosen)
        return JointBatch(
            batch.crops,
            batch.noise,
            batch.score,
            batch.strokes,
            self._played(clips, batch, which, frames) if len(which) else None,
        )

    def _played(
        self, clips: AudioClips, batch: ParallelBatch, items: np.ndarray, frames: int
    ) -> Played:
        rolls, told = [], []
        for item in items:
            roll, start = clips.roll(int(batch.crops.clip[item])), int(batch.crops.start[item])
            stop = start + frames
            rolls.append(roll.window(start - _WARM_UP_FRAMES, stop + self._context))
            if self._tells_notes:
                told.append(sounding_notes(roll, start, stop))
        labels = clips.labels[batch.crops.clip[items]]
        return Played(items, np.stack(rolls), self._rows[labels], tuple(told))

    @classmethod
    def network(cls, sizes: ParallelVocoderConfig, recipe: Recipe) -> Chain:  # type: ignore[override]
        options = known(JointOptions, recipe.options, "options")
        bundle = load_bundle(options.mel2mel, kind="mel2mel")
        return Chain(
            ParallelVocoder(sizes, recipe.mel),
            load_mel2mel(bundle).train(),
            bundle.window.context,
            recipe.mel.floor,
        )

    @classmethod
    def export(cls, run: FinishedRun, output: Path, about: dict[str, Any]) -> list[Path]:
        """Write the vocoder's bundle, and beside it that of the Mel2Mel."""
        options = known(JointOptions, run.recipe.options, "options")
        beside = output.with_name(output.name + MEL2MEL_SUFFIX)
        if beside.exists():
            raise OutputError(f"{beside}: exists; remove it, or export to another folder")
        sizes = known(ParallelVocoderConfig, run.notes["config"], str(output))
        model = run.averaged(cls.network(sizes, run.recipe))
        write_parallel_bundle(
            model.vocoder, output, mel=run.recipe.mel, **about, **run.notes["bundle"]
        )
        bundle = load_bundle(options.mel2mel, kind="mel2mel")
        write_retrained(model.synthesizer, beside, bundle, about)
        return [output, beside]

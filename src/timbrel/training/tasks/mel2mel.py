"""Training of Mel2Mel: from piano roll and timbre to the mel of the rendered score."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from timbrel.bundles.bundle import WINDOW, Bundle
from timbrel.constants import PERFORMANCE
from timbrel.errors import InputError
from timbrel.measures.correlation import log_mel_measures
from timbrel.mel.losses import LOSSES
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig, load_mel2mel
from timbrel.mel.note_network import LOUDEST
from timbrel.progress import Progress
from timbrel.score.sounding import SoundingNotes
from timbrel.training.dataset import MelBatch, MelClips, lane_batch
from timbrel.training.mel_critic import MelCritic
from timbrel.training.mel_validation import MANY_INSTRUMENTS, validation_mels
from timbrel.training.recipe import Recipe, known, refuse_other_sizes
from timbrel.training.single_notes import NoteBatch, SingleNotes
from timbrel.training.task import Task
from timbrel.training.tasks.mels import MelValidation
from timbrel.vocoder.discriminators import adversarial_loss, discriminator_loss, feature_loss

# Layers that a network may have got since it began, by what their sizes are called.
_LAYERS = {
    "head_size": "the head",
    "film_size": "the layer before the FiLM vectors",
    "note_units": "the network of single notes",
}
_BELOW_FLOOR = 2.5  # nepers that a silent note is to lie below the floor, so that many stay silent
_SILENT = 0.02  # nepers above the floor
_JUDGED_FRAMES, _JUDGED_DRAW = 128, 11  # of a crop, by the critic; and what draws them
_SHARES = (1, 1, 2, 4)  # how many hops make a crop, unless a recipe says more


@dataclass(frozen=True)
class Mel2MelOptions:
    """The options of a Mel2Mel recipe."""

    loss: str = "tanh-log-abs"
    crop_frames: int = 512
    crops_per_visit: int = 8
    # The right context is cut as windowed inference will cut it: each step draws after how many
    # frames the backward LSTM begins anew, and how many frames it sees beyond its window: no more
    # than the window has, so that this costs no more than twice the time. Where no hops are given,
    # they are `_SHARES` of the crop.
    hops: tuple[int, ...] = ()
    contexts: tuple[int, ...] = (16, 32, 64)
    equal_instruments: bool = False  # all are equally likely, instead of all frames
    # The instruments keep the places in the space that the start gave them, so that encoders and
    # timbres that were made for it stay right.
    fixed_space: bool = False
    # Where the model has a network of single notes: how many of them it learns from each step, and
    # from how many frames of each. Without music, it learns from them alone.
    single_notes: int = 0
    frames_of_note: int = 24
    # So many of an instrument count alone as well as all together, as in music. Otherwise sums come
    # out too quiet, since the network learns the median of a level that it is not certain of.
    notes_together: int = 4
    music: bool = True
    # From a step on, a critic judges the mels of music as well (`training/mel_critic.py`).
    adversarial_from: int = 0
    adversarial_weight: float = 0.0005  # beside squared errors of about 0.003
    feature_weight: float = 0.001
    # What bundles say of windowed inference.
    window_hop: int = WINDOW.hop
    window_context: int = WINDOW.context

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise InputError(f"loss '{self.loss}' is unknown; known: {', '.join(LOSSES)}")
        if self.notes_together < 1 or self.single_notes % self.notes_together:
            raise InputError(
                f"single_notes, {self.single_notes}, must be a multiple of notes_together"
            )
        if not (self.music or self.single_notes):
            raise InputError("nothing to learn from: music, or a number of single notes")
        if self.adversarial_from and not self.music:
            raise InputError("adversarial_from has no meaning without music, which a critic judges")
        if not self.hops:
            shares = tuple(self.crop_frames // share for share in _SHARES)
            object.__setattr__(self, "hops", shares)
        for hop in self.hops:
            if self.crop_frames % hop:
                raise InputError(
                    f"crops of {self.crop_frames} frames cannot be divided into hops of {hop}"
                )
        if min(self.hops) < min(self.contexts):
            raise InputError(f"hops of {min(self.hops)} frames are shorter than all contexts")


class Mel2MelBatch(NamedTuple):
    """What a step learns from."""

    music: MelBatch | None
    notes: NoteBatch | None


class Mel2MelTask(Task):
    """Train Mel2Mel on prepared data.

    Parameters
    ----------
    recipe, folder
        The recipe and the prepared data.
    rank, world
        This process's number and the number of processes, which share the lanes of a batch.
    """

    kind = "mel2mel"
    judged_by = "error_db"

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        self._recipe = recipe
        self._options = known(Mel2MelOptions, recipe.options, "options")
        self._train, self._valid = (
            MelClips(
                folder,
                split,
                recipe.mel,
                performance=recipe.model.get("roll") == PERFORMANCE,
                equal_instruments=self._options.equal_instruments,
                progress=progress,
            )
            for split in ("train", "valid")
        )
        share = recipe.batch_size // world
        self._lanes = range(rank * share, (rank + 1) * share)
        self.config: Mel2MelConfig = known(
            Mel2MelConfig,
            {"n_instruments": len(self._train.instruments), "n_mels": recipe.mel.n_mels}
            | recipe.model,
            "model",
        )
        self.model: Mel2Mel = Mel2Mel(self.config)
        if self.model.notes is None:  # tanh saturates far from the data: start at its mean
            with torch.no_grad():
                self.model.output.bias.copy_(torch.from_numpy(self._train.mean_mel()))
        self._alone = SingleNotes(self._train) if self._options.single_notes else None
        if self._alone is not None and not (len(self._alone) and self.model.notes is not None):
            raise InputError(
                f"{folder}: single notes are learnt by a model with note_units, of data that were "
                "prepared with --single-notes"
            )
        self._n_notes = self._options.single_notes // world
        if self._options.single_notes % (world * self._options.notes_together):
            raise InputError(
                f"options: single_notes, {self._options.single_notes}, cannot be shared by {world} "
                f"processes in groups of {self._options.notes_together} (notes_together)"
            )
        self.critic: MelCritic | None = None
        if self._options.adversarial_from:
            self.critic = MelCritic(recipe.mel, self.config.roll_size)
        # Of the last step: what was made, the originals, and their rolls.
        self._last: tuple[Tensor, Tensor, Tensor] | None = None
        self.has_idle_parameters = not self._options.music  # those of the LSTMs
        size = (1, share, self.config.hidden_size)
        self._state = (torch.zeros(size), torch.zeros(size))

    def batch(self, step: int) -> Mel2MelBatch:
        options, notes = self._options, None
        if self._alone is not None:
            seed = (self._recipe.seed, self._lanes.start)
            notes = self._alone.batch(
                step, self._n_notes, options.frames_of_note, seed, options.notes_together
            )
        return Mel2MelBatch(self._music(step) if options.music else None, notes)

    def _music(self, step: int) -> MelBatch:
        return lane_batch(
            self._train,
            step,
            self._lanes,
            crop_frames=self._options.crop_frames,
            crops_per_visit=self._options.crops_per_visit,
            context=self._truncation(step)[1],
            seed=self._recipe.seed,
            told=self.model.notes is not None,
        )

    def loss(self, model: nn.Module, batch: Mel2MelBatch, step: int) -> Tensor:
        music, notes = batch
        predicted, state, alone = model(
            None if music is None else self._crop(music, step),
            None if notes is None else self._notes(notes),
        )
        total = self.model.output.weight.new_zeros(())
        if music is not None:
            self._state = (state[0].detach().float(), state[1].detach().float())
            true, weight = (self._tensor(part) for part in (music.mel, music.weight))
            errors = LOSSES[self._options.loss](predicted.float(), true).mean(dim=-1)
            total = total + (errors * weight).mean()
            total = total + self._judged(predicted.float(), true, weight, music, step)
        if notes is not None:
            true = self._tensor(notes.mel)
            total = total + self._error(alone, true) / 2
            # What was measured alone has the floor in it already.
            above = torch.log((torch.exp(2 * true) - self._recipe.mel.floor**2).clamp(min=1e-30))
            apart = self._together(alone) - self._together(above / 2)
            total = total + apart.abs().mean() / 2
        return total

    def _judged(
        self, made: Tensor, true: Tensor, weight: Tensor, music: MelBatch, step: int
    ) -> Tensor | float:
        """What the critic finds of mels."""
        self._last, options = None, self._options
        if self.critic is None or step < options.adversarial_from:
            return 0.0
        random = np.random.default_rng((self._recipe.seed, step, _JUDGED_DRAW))
        start = int(random.integers(max(made.shape[1] - _JUDGED_FRAMES, 0) + 1))
        roll, made, true, weight = (
            one[:, start : start + min(_JUDGED_FRAMES, made.shape[1])]
            for one in (self._tensor(music.roll), made, true, weight)
        )
        # Frames that do not count, and what lies below the floor, are nobody's fault.
        seen = made.clamp(min=self._recipe.mel.log_floor)
        seen = torch.where(weight[..., None] > 0, seen, true)
        judged = self.critic(seen, roll)
        with torch.no_grad():
            originals = self.critic(true, roll)
        self._last = seen.detach(), true, roll
        return options.adversarial_weight * adversarial_loss(
            judged
        ) + options.feature_weight * feature_loss(originals, judged)

    def critic_loss(self) -> Tensor | None:
        if self.critic is None or self._last is None:
            return None
        made, true, roll = self._last
        return discriminator_loss(self.critic(true, roll), self.critic(made, roll))

    def _crop(self, music: MelBatch, step: int) -> _Crop:
        hop, context = self._truncation(step)
        fresh = self._tensor(music.fresh)[None, :, None]
        hidden, cell = (part.to(fresh.device).masked_fill(fresh, 0.0) for part in self._state)
        return _Crop(
            self._tensor(music.roll),
            self._tensor(music.instrument),
            (hidden, cell),
            self._options.crop_frames,
            hop,
            context,
            music.told,
        )

    def _notes(self, batch: NoteBatch) -> _Notes:
        given = (batch.notes, batch.instrument, batch.times_s)
        return _Notes(*(self._tensor(part) for part in given))

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.model.output.weight.device)

    def _error(self, found: Tensor, true: Tensor) -> Tensor:
        """Mean absolute error; what is silent has only to be well below the floor."""
        floor = self._recipe.mel.log_floor
        above = (found - (floor - _BELOW_FLOOR)).clamp(min=0)
        return torch.where(true <= floor + _SILENT, above, (found - true).abs()).mean()

    def _together(self, mels: Tensor) -> Tensor:
        """Log-mels of notes, whose powers are summed in groups: what each adds to the floor."""
        floor = self._recipe.mel.floor**2
        power = torch.exp((2 * mels.float()).clamp(max=2 * LOUDEST))
        groups = power.unflatten(0, (-1, self._options.notes_together)).sum(dim=1)
        return torch.log(floor + groups) / 2

    def start(self, bundle: Bundle) -> str:
        """As `Task.start`; layers that a bundle lacks stay as they begin.

        They change nothing, but for a network of single notes, beside which all else begins anew.
        """
        theirs = known(Mel2MelConfig, bundle.model, str(bundle.path))
        added = {
            key: words
            for key, words in _LAYERS.items()
            if getattr(self.config, key) and not getattr(theirs, key)
        }
        if not added:
            return super().start(bundle)
        without: dict[str, Any] = dict.fromkeys(added, 0)
        if "note_units" in added:
            without["timbre_units"] = theirs.timbre_units
        wanted = replace(self.config, **without)
        refuse_other_sizes(theirs, wanted, bundle.path)
        self.model.load_state_dict(load_mel2mel(bundle).state_dict(), strict=False)
        if "note_units" in added:  # what the other layers said before, single notes are to say
            nn.init.zeros_(self.model.output.weight)
            nn.init.zeros_(self.model.output.bias)
        return " and ".join(added.values())

    def wrapped(self) -> nn.Module:
        """Give the model with the forward pass of training."""
        return _TrainingPass(
            self.model, fixed_space=self._options.fixed_space, floor=self._recipe.mel.floor
        )

    def _truncation(self, step: int) -> tuple[int, int]:
        random = np.random.default_rng((self._recipe.seed, step))
        hop = int(random.choice(self._options.hops))
        contexts = [context for context in self._options.contexts if context <= hop]
        return hop, int(random.choice(contexts))

    @torch.no_grad()
    def validate(self, model: nn.Module) -> MelValidation:
        assert isinstance(model, Mel2Mel)
        true, whole = validation_mels(model, self._valid)
        measures = {}
        for name, a, b in zip(self._valid.instruments, true, whole, strict=True):
            found = log_mel_measures(a, b)
            measures[f"centred_correlation/{name}"] = found.centred_correlation
            measures[f"correlation/{name}"] = found.correlation
            measures[f"error_db/{name}"] = found.error_db
        for key in ("centred_correlation", "correlation", "error_db"):
            parts = [value for name, value in measures.items() if name.startswith(key + "/")]
            measures[key] = float(np.nanmean(parts))
        if len(true) > MANY_INSTRUMENTS:
            measures |= self._of_lookaheads(model)
        return MelValidation(measures, (true[0][:1000], whole[0][:1000]))

    def _of_lookaheads(self, model: Mel2Mel) -> dict[str, float]:
        """The centred correlation where the network sees so many frames ahead and no more."""
        measures = {}
        for context in sorted({min(self._options.contexts), 1, max(self._options.contexts)}):
            true, cut = validation_mels(model, self._valid, context=context)
            pairs = zip(true, cut, strict=True)
            found = [log_mel_measures(a, b).centred_correlation for a, b in pairs]
            measures[f"centred_correlation_ahead_{context}"] = float(np.nanmean(found))
        return measures

    def state(self) -> dict[str, Tensor]:
        return {"hidden": self._state[0], "cell": self._state[1]}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self._state = (state["hidden"], state["cell"])

    def describe(self) -> dict:
        return {
            "config": asdict(self.config),
            "bundle": {
                "gain": self._train.settings.gain,
                "instruments": self._train.settings.instruments,
                "kits": self._kits(),
                "window": {
                    "hop": self._options.window_hop,
                    "context": self._options.window_context,
                },
            },
            "card": {"loss": self._options.loss},
            **self._train.origin(),
        }

    def _kits(self) -> dict[str, list[int]]:
        """The keys of each drum kit: those that were struck."""
        kits: dict[str, set[int]] = {}
        for index in np.flatnonzero(self._train.is_kit).tolist():
            keys = self._train.roll(index).notes[:, 2].astype(int).tolist()
            kits.setdefault(self._train.clips[index].instrument, set()).update(keys)
        return {name: sorted(keys) for name, keys in kits.items()}

    @classmethod
    def network(cls, sizes: Mel2MelConfig, recipe: Recipe) -> Mel2Mel:  # noqa: ARG003
        return Mel2Mel(sizes)


class _Crop(NamedTuple):
    """Music, as the network is given it."""

    roll: Tensor  # (batch, n_frames + context, roll_size)
    instrument: Tensor  # (batch,)
    state: tuple[Tensor, Tensor]
    n_frames: int
    hop: int
    context: int
    told: tuple[SoundingNotes, ...]


class _Notes(NamedTuple):
    """Single notes, as the network is given them."""

    notes: Tensor  # (notes, 4)
    instrument: Tensor  # (notes,)
    times_s: Tensor  # (notes, frames, 2)


class _TrainingPass(nn.Module):
    """Mel2Mel on a crop, from a carried state, with its right context cut; and on single notes."""

    def __init__(self, model: Mel2Mel, *, fixed_space: bool, floor: float) -> None:
        super().__init__()
        self.model = model
        self._fixed_space, self._floor = fixed_space, floor

    def forward(
        self, crop: _Crop | None, notes: _Notes | None
    ) -> tuple[Tensor | None, tuple[Tensor, Tensor] | None, Tensor | None]:
        """The mel of a crop and its last state, and that of notes; None of what is not given."""
        mel, state, alone = None, None, None
        if crop is not None:
            mel, state = self._crop(crop)
        if notes is not None:
            assert self.model.notes is not None
            alone = self.model.notes(notes.notes, self._timbre(notes.instrument), notes.times_s)
        return mel, state, alone

    def _timbre(self, instrument: Tensor) -> Tensor:
        timbre = self.model.embedding(instrument)
        if self._fixed_space:  # a gradient of zero, since DDP wants one of each parameter
            timbre = timbre.detach() + 0.0 * timbre
        return timbre

    def _crop(self, crop: _Crop) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        model, timbre = self.model, self._timbre(crop.instrument)
        features = model.features(crop.roll, timbre)
        past, state = model.past(features[:, : crop.n_frames], crop.state)
        future = model.windowed_future(features, crop.n_frames, crop.hop, crop.context)
        alone = model.alone(crop.told, timbre, crop.n_frames, self._floor)
        return model.mel(past, future, timbre, alone), state

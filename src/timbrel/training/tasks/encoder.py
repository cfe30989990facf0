"""Training of the timbre encoder: from the mel of a sound to its point in a Mel2Mel's space."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from timbrel.bundles.bundle import load_bundle
from timbrel.bundles.weights import in_layout
from timbrel.errors import InputError
from timbrel.hearing.encoder import Encoder, negative_log_likelihood
from timbrel.hearing.sizes import Calibration, EncoderConfig, normalised_points
from timbrel.progress import Progress
from timbrel.training.attribution import combined
from timbrel.training.encoder_examples import (
    Known,
    MadeMels,
    Maker,
    Making,
    Nothings,
    Renders,
    Truth,
    read_clips,
)
from timbrel.training.encoder_validation import CALIBRATION_KEY, EncoderValidation
from timbrel.training.mel_augmentation import MelAugmentation, augmented
from timbrel.training.recipe import Recipe, known
from timbrel.training.task import FinishedRun, Task, Validation

_LEAST_FRAMES = 8
# A Mel2Mel makes mels for so many steps at a time, each of so many windows' length.
_STEPS_OF_A_POOL, _POOL_SIZE = 24, 48


@dataclass(frozen=True)
class EncoderOptions:
    """The options of an encoder's recipe."""

    mel2mel: str  # whose space is meant: a shipped model's name, or a bundle's folder
    # Prepared data of other makers' instruments, which stand for the Mel2Mel's of their programs.
    more_data: tuple[str, ...] = ()
    more_share: float = 0.2
    made_share: float = 0.25  # of the crops, those that the Mel2Mel makes
    nothing_share: float = 0.06  # of the crops, those that are no instrument
    shortest_s: float = 0.3
    longest_s: float = 4.0  # also the length of a window at run time
    augmentation: dict = field(default_factory=dict)  # fields of `MelAugmentation`
    point_weight: float = 0.2  # of the points' likelihood, against that of the instruments

    def __post_init__(self) -> None:
        shares = (self.more_share * bool(self.more_data), self.made_share, self.nothing_share)
        if min(shares) < 0 or sum(shares) >= 1:
            raise InputError("the shares of examples must leave some for the data's own renders")
        if not 0 < self.shortest_s <= self.longest_s:
            raise InputError("'shortest_s' must be more than 0 and no more than 'longest_s'")


@dataclass(frozen=True)
class Examples:
    """A batch: mels, and what is true of them."""

    mel: np.ndarray  # (batch, time, n_mels) float32
    known: Known


class EncoderTask(Task):
    """Train an encoder on prepared data; see `Mel2MelTask` for the parameters."""

    kind = "encoder"
    judged_by = "score"
    lower_is_better = False

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        self._recipe, self._rank = recipe, rank
        self._options = options = known(EncoderOptions, recipe.options, "options")
        self._augmentation = known(MelAugmentation, options.augmentation, "options: augmentation")
        self._making = Making()
        self._mel2mel = bundle = load_bundle(options.mel2mel, kind="mel2mel")
        if recipe.mel != bundle.mel:
            raise InputError(f"'mel' must be that of {options.mel2mel}: {asdict(bundle.mel)}")
        self._truth = Truth(bundle.instruments)

        def renders(path: Path, split: str) -> Renders:
            clips = read_clips(path, split, bundle, progress=progress)
            return Renders(clips, bundle.instruments, path)

        self._train, valid = renders(folder, "train"), renders(folder, "valid")
        self._more = [renders(Path(path), "train") for path in options.more_data]
        self._maker = Maker(bundle, self._train, self._truth, self._making)
        self._nothings = Nothings(self._train.clips)
        self._pool: tuple[int, MadeMels] | None = None
        self._n_items = recipe.batch_size // world
        self.config: EncoderConfig = known(
            EncoderConfig,
            {
                "n_instruments": len(bundle.instruments),
                "timbre_size": len(bundle.instruments[0].embedding),
                "n_mels": recipe.mel.n_mels,
            }
            | recipe.model,
            "model",
        )
        self.model: Encoder = self.network(self.config, recipe)
        self._validation = EncoderValidation(
            valid, self._truth, bundle, self._making, window_s=options.longest_s
        )

    def batch(self, step: int) -> Examples:
        random = np.random.default_rng((self._recipe.seed, step, self._rank))
        options, truth = self._options, self._truth
        # All processes draw the same length, so that none waits for another.
        octaves = np.log2(options.longest_s / options.shortest_s)
        length = np.random.default_rng((self._recipe.seed, step)).random()
        frame_rate = self._recipe.mel.frame_rate
        seconds = options.shortest_s * 2 ** (length * octaves)
        n_frames = max(round(seconds * frame_rate), _LEAST_FRAMES)
        wanted = self._augmentation.source_frames(n_frames)
        made = self._made(step)
        mels, points, shares = [], [], []
        for kind in random.random(self._n_items):
            if kind < options.nothing_share:
                mel, what = self._nothings.draw(random, wanted), truth.of_label(-1, random)
            elif kind < options.nothing_share + options.made_share:
                mel, what = self._of_pool(made, random, wanted)
            else:
                is_more = self._more and random.random() < self._more_share
                source = (
                    self._more[int(random.integers(len(self._more)))] if is_more else self._train
                )
                mel, label = source.draw(random, wanted)
                what = truth.of_label(label, random)
            mels.append(mel)
            points.append(what[0])
            shares.append(what[1])
        changed = augmented(np.stack(mels), n_frames, self._recipe.mel, self._augmentation, random)
        return Examples(changed, Known(np.stack(points), np.stack(shares)))

    @property
    def _more_share(self) -> float:
        """The share of other makers' clips among all renders."""
        options = self._options
        return options.more_share / (1 - options.nothing_share - options.made_share)

    def _made(self, step: int) -> MadeMels:
        """What the Mel2Mel made for this step and its neighbours."""
        number = step // _STEPS_OF_A_POOL
        if self._pool is None or self._pool[0] != number:
            random = np.random.default_rng((self._recipe.seed, number, self._rank, 1))
            n_frames = round(self._options.longest_s * self._recipe.mel.frame_rate)
            wanted = self._augmentation.source_frames(n_frames)
            self._pool = number, self._maker.make(random, _POOL_SIZE, wanted)
        return self._pool[1]

    def _of_pool(
        self, made: MadeMels, random: np.random.Generator, wanted: int
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        index = int(random.integers(len(made.mels)))
        start = int(random.integers(0, made.mels.shape[1] - wanted + 1))
        what = made.known.points[index], made.known.shares[index]
        return made.mels[index, start : start + wanted], what

    def loss(self, model: nn.Module, batch: Examples, step: int) -> Tensor:  # noqa: ARG002
        device = next(model.parameters()).device
        encoded = model(torch.from_numpy(batch.mel).to(device))
        points = torch.from_numpy(batch.known.points).to(device)
        shares = torch.from_numpy(batch.known.shares).to(device)
        with torch.autocast(device.type, enabled=False):
            place = negative_log_likelihood(encoded, points).mean()
            entropy = -(shares * encoded.logits.log_softmax(dim=1)).sum(dim=1).mean()
        return self._options.point_weight * place + entropy

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Validation:
        assert isinstance(model, Encoder)
        return Validation(self._validation.measures(model))

    def describe(self) -> dict:
        about = self._train.clips.origin()
        others = [more.clips.settings.attribution for more in self._more]
        about["attribution"] = combined(about["attribution"], *others)
        return {
            "config": asdict(self.config),
            "bundle": {
                "mel2mel": self._mel2mel.name,
                "instruments": self._mel2mel.config["instruments"],
                "window_s": self._options.longest_s,
            },
            **about,
        }

    @classmethod
    def network(cls, sizes: EncoderConfig, recipe: Recipe) -> Encoder:
        options = known(EncoderOptions, recipe.options, "options")
        instruments = load_bundle(options.mel2mel, kind="mel2mel").instruments
        return in_layout(Encoder(sizes, normalised_points(instruments)))

    @classmethod
    def export(cls, run: FinishedRun, output: Path, about: dict[str, Any]) -> list[Path]:
        found = run.checkpoint["record"]["validation"]
        chosen = {
            key.removeprefix(CALIBRATION_KEY): value
            for key, value in found.items()
            if key.startswith(CALIBRATION_KEY)
        }
        run.notes["bundle"]["calibration"] = asdict(Calibration(**chosen))
        return super().export(run, output, about)

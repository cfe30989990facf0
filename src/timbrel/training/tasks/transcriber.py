"""Training of the transcriber: from audio to the notes that sound in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.bundles.bundle import Bundle
from timbrel.bundles.weights import in_layout, with_weights
from timbrel.errors import InputError, need_packages
from timbrel.progress import Progress
from timbrel.training.augmentation import Augmentation, balance, gain, recorded, speech
from timbrel.training.note_clips import PART, Cut, NoteClips, merged
from timbrel.training.recipe import Recipe, known, refuse_other_sizes
from timbrel.training.task import FinishedRun, Task, Validation
from timbrel.training.transcriber_validation import THRESHOLD_KEY, validated
from timbrel.transcription.decoding import Thresholds
from timbrel.transcription.network import Transcriber
from timbrel.transcription.sizes import (
    BEND,
    FRAME,
    KIND,
    MAX_BEND_CENTS,
    OFFSET,
    ONSET,
    VELOCITY,
    TranscriberConfig,
)
from timbrel.transcription.torch_front_end import TorchFrontEnd

_UNLIKELY = -4.0  # a logit
_COMMON_SHARE = 0.1  # of the error of a part's velocities that is the same for all of them
# How much likelier what is no note is where there are no notes.
_EMPTY_DRUMS_SHARE, _EMPTY_SPEECH_SHARE = 0.4, 0.4


@dataclass(frozen=True)
class TranscriberOptions:
    """The options of a transcriber's recipe."""

    crop_s: float = 2.6
    # At the beginning of a crop the network does not know what sounded before, so this much does
    # not count.
    lead_s: float = 0.2
    augmentation: dict = field(default_factory=dict)  # fields of `Augmentation`
    valid_s: float = 8.0  # of each instrument
    # Prepared data of other makers' instruments.
    more_data: tuple[str, ...] = ()
    more_share: float = 0.2  # of the parts
    families: dict = field(default_factory=dict)  # how much likelier some are than others
    onset_weight: float = 0.2
    frame_weight: float = 0.05
    offset_weight: float = 0.075
    velocity_weight: float = 0.2
    bend_weight: float = 0.025
    only_velocities: bool = False  # train nothing but what reads velocities

    def __post_init__(self) -> None:
        object.__setattr__(self, "more_data", tuple(self.more_data))  # YAML gives lists
        if not 0 <= self.more_share <= 1:
            raise InputError("'more_share' must be from 0 to 1")
        if not all(isinstance(f, int | float) and f > 0 for f in self.families.values()):
            raise InputError("'families' must say by what factor, above 0, each is likelier")
        if not 0 <= self.lead_s < self.crop_s:
            raise InputError("'lead_s' must be shorter than 'crop_s'")


@dataclass(frozen=True)
class NotesInAudio:
    """A batch: audio, and what sounds in each frame."""

    audio: np.ndarray  # (batch, samples) float32
    labels: np.ndarray  # (batch, frames, 88, heads + 1) float32; see `merged`


class TranscriberTask(Task):
    """Train the transcriber on prepared data of any rate; see `Mel2MelTask` for the parameters."""

    kind = KIND
    options_type: ClassVar[type[TranscriberOptions]] = TranscriberOptions
    judged_by = "onset_pitch_f1"
    lower_is_better = False

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        need_packages("train", "the validation of a transcriber", "mir_eval")
        self._seed = recipe.seed
        self._options: Any = known(self.options_type, recipe.options, "options")
        self._augmentation = known(
            Augmentation, self._options.augmentation, "options: augmentation"
        )
        self.config: TranscriberConfig = known(TranscriberConfig, recipe.model, "model")
        rate = self.config.sample_rate
        families = self._options.families
        self._train, *self._more = (
            NoteClips(path, "train", rate, families=families, progress=progress)
            for path in (folder, *map(Path, self._options.more_data))
        )
        self._valid = NoteClips(folder, "valid", rate, progress=progress)
        share = recipe.batch_size // world
        self._items = range(rank * share, (rank + 1) * share)
        self._n_frames = round(self._options.crop_s * self.config.frame_rate)
        self._margin = max(self.config.windows) // 2
        self._n_samples = (self._n_frames - 1) * self.config.hop_length + 2 * self._margin
        self.model = self.network(self.config, recipe)
        # A reader takes the place of the head of velocities.
        self.has_idle_parameters = self.config.reader_size > 0
        self._front_end = TorchFrontEnd(self.config)

    def start(self, bundle: Bundle) -> str:
        """As `Task.start`; the context and blocks that a bundle lacks change nothing at first."""
        theirs = known(TranscriberConfig, bundle.model, str(bundle.path))
        n_blocks = len(theirs.dilations)
        context = self.config if theirs.context_size else theirs
        shared = replace(
            self.config,
            dilations=self.config.dilations[:n_blocks],
            ahead=self.config.ahead[:n_blocks],
            context_size=context.context_size,
            context_before=context.context_before,
            reader_size=(self.config if theirs.reader_size else theirs).reader_size,
        )
        refuse_other_sizes(theirs, shared, bundle.path)
        self._transcriber.load_state_dict(
            with_weights(Transcriber(theirs), bundle).state_dict(), strict=False
        )
        return ""

    @property
    def _transcriber(self) -> Transcriber:
        """The network that is trained, or its part that transcribes."""
        assert isinstance(self.model, Transcriber)
        return self.model

    def batch(self, step: int) -> NotesInAudio:
        crops = [self._crop(np.random.default_rng((self._seed, step, i))) for i in self._items]
        audio, labels = (np.stack(column) for column in zip(*crops, strict=True))
        return NotesInAudio(audio, labels)

    def _crop(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Audio and labels of a crop, a function of the generator's seed."""
        how, rate = self._augmentation, self.config.sample_rate
        length_s = self._n_samples / rate
        is_empty = random.random() < how.empty_share
        others = (random.random() < how.second_share) + (random.random() < how.third_share)
        is_detuned = random.random() < how.detune_share
        cents = is_detuned * random.uniform(-how.detune_cents, how.detune_cents)
        audio: np.ndarray = np.zeros(self._n_samples, np.float32)
        labels = []
        for i in range(0 if is_empty else 1 + others):
            clips = self._source(random)
            cut = clips.draw(random, clips.pitched, length_s)
            cut = replace(cut, speed=float(2 ** (cents / 1200)))
            part = clips.audio(cut, self._n_samples)
            level = gain(random.uniform(how.softest_other_db, 0.0)) * balance(audio, part)
            audio = audio + (level if i else 1.0) * part
            labels.append(self._labels(clips, cut))
        drums_share = how.drums_share + is_empty * _EMPTY_DRUMS_SHARE
        clips = self._source(random)
        if clips.background is not None and random.random() < drums_share:
            part = clips.audio(clips.draw(random, clips.background, length_s), self._n_samples)
            audio = audio + gain(random.uniform(*how.drums_db)) * balance(audio, part) * part
        if random.random() < how.speech_share + is_empty * _EMPTY_SPEECH_SHARE:
            part = speech(self._n_samples, rate, random)
            audio = audio + gain(random.uniform(*how.speech_db)) * balance(audio, part) * part
        return recorded(audio, rate, how, random), merged(labels, self._n_frames)

    def _source(self, random: np.random.Generator) -> NoteClips:
        """The data or, by chance, other makers'."""
        if self._more and random.random() < self._options.more_share:
            return self._more[int(random.integers(len(self._more)))]
        return self._train

    def _labels(self, clips: NoteClips, cut: Cut) -> np.ndarray:
        config = self.config
        return clips.labels(
            cut,
            first_s=self._margin / config.sample_rate,
            frame_rate=config.frame_rate,
            n_frames=self._n_frames,
        )

    def loss(self, model: nn.Module, batch: NotesInAudio, step: int) -> Tensor:  # noqa: ARG002
        values, _ = model(self._spectra(batch.audio, next(model.parameters()).device))
        return self._labelled_loss(values, batch.labels)

    def _spectra(self, audio: np.ndarray, device: torch.device) -> Tensor:
        """What the network hears of audio (batch, samples); see `TorchFrontEnd`."""
        front_end = self._front_end.to(device)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            return front_end(torch.from_numpy(audio).to(device))

    def _labelled_loss(self, values: Tensor, labels: np.ndarray) -> Tensor:
        # What comes with frame t is about frame t − ahead; the first of these are not known well.
        ahead = self.config.frames_ahead
        lead = round(self._options.lead_s * self.config.frame_rate)
        true = torch.from_numpy(labels).to(values.device)[:, lead : self._n_frames - ahead]
        return self._loss(values[:, ahead + lead :].float(), true)

    def _loss(self, values: Tensor, true: Tensor) -> Tensor:
        """The sum of the heads' losses, of a frame."""
        options = self._options
        n_frames = values.shape[0] * values.shape[1]

        def entropy(head: int) -> Tensor:
            return functional.binary_cross_entropy_with_logits(
                values[..., head], true[..., head], reduction="sum"
            )

        struck, sounding = true[..., ONSET], true[..., FRAME]
        wrong = values[..., VELOCITY] - true[..., VELOCITY]
        velocity = _velocity_error(wrong, struck, true[..., PART])
        bend = sounding * ((values[..., BEND] - true[..., BEND]) / MAX_BEND_CENTS).square()
        total = (
            options.onset_weight * entropy(ONSET)
            + options.frame_weight * entropy(FRAME)
            + options.offset_weight * entropy(OFFSET)
            + options.velocity_weight * velocity
            + options.bend_weight * bend.sum()
        )
        return total / n_frames

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Validation:
        return Validation(self._measures(model))

    def _measures(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, Transcriber)
        return validated(model, self._front_end, self._valid, excerpt_s=self._options.valid_s)

    def describe(self) -> dict:
        return {
            "config": asdict(self.config),
            "bundle": {"sample_rate": self.config.sample_rate},
            **self._train.origin(),
        }

    @classmethod
    def network(cls, sizes: TranscriberConfig, recipe: Recipe) -> nn.Module:
        return new_transcriber(sizes, known(cls.options_type, recipe.options, "options"))

    @classmethod
    def export(cls, run: FinishedRun, output: Path, about: dict[str, Any]) -> list[Path]:
        run.notes["bundle"]["thresholds"] = chosen_thresholds(run).as_dict()
        return super().export(run, output, about)


def _velocity_error(wrong: Tensor, struck: Tensor, part: Tensor) -> Tensor:
    """The sum of how wrong velocities (clips, frames, keys) are within each part of each clip.

    How loud the whole of a part is says little: it may have been played, mixed and recorded at any
    level. So the error that all its notes have in common counts only by `_COMMON_SHARE`.
    """
    total = wrong.new_zeros(())
    for number in range(round(float(part.max())) + 1):
        counts = struck * (part == number)
        weight = counts.sum(dim=(1, 2))
        common = (counts * wrong).sum(dim=(1, 2)) / weight.clamp(min=1e-6)
        within = (counts * (wrong - common[:, None, None]).abs()).sum()
        total = total + within + _COMMON_SHARE * (weight * common.abs()).sum()
    return total


def new_transcriber(
    sizes: TranscriberConfig, options: TranscriberOptions | None = None
) -> Transcriber:
    """Make a network that begins with what most keys are most of the time: silent.

    Raises
    ------
    InputError
        If only velocities are to be trained, and the network has nothing that reads them.
    """
    model = in_layout(Transcriber(sizes))
    if options is not None and options.only_velocities:
        if model.reader is None:
            raise InputError("'only_velocities' needs a model with a 'reader_size'")
        model.requires_grad_(False)
        model.reader.requires_grad_(True)
    with torch.no_grad():
        for head in (ONSET, FRAME, OFFSET):
            nn.init.constant_(model.outputs[head].bias, _UNLIKELY)
    return model


def chosen_thresholds(run: FinishedRun) -> Thresholds:
    """Those that the run's last validation chose."""
    found = run.checkpoint["record"]["validation"]
    chosen = {
        key.removeprefix(THRESHOLD_KEY): value
        for key, value in found.items()
        if key.startswith(THRESHOLD_KEY)
    }
    return Thresholds(**chosen) if chosen else Thresholds()

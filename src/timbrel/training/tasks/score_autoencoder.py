"""Training of a transcriber and a Mel2Mel through each other, on audio with and without labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.constants import DEFAULT_MODEL, LICENSE_NOT_STATED
from timbrel.errors import InputError, OutputError
from timbrel.fitting.material import DEEP_FLOOR
from timbrel.hearing.from_audio import TimbreEncoder, encoder_for, speaks_of
from timbrel.hearing.sizes import KIND as ENCODER_KIND
from timbrel.hearing.sizes import embeddings_of
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.mel.export import MEL2MEL_SUFFIX, write_retrained
from timbrel.mel.losses import LOSSES
from timbrel.mel.mel2mel import load_mel2mel
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.progress import Progress
from timbrel.training.attribution import combined
from timbrel.training.encoder_examples import WARM_UP_FRAMES, Renders, part, read_clips
from timbrel.training.recipe import Recipe, known
from timbrel.training.score_autoencoder import Heard, Played, Said, ScoreAutoencoder, cycle_loss
from timbrel.training.task import FinishedRun
from timbrel.training.tasks.transcriber import (
    NotesInAudio,
    TranscriberOptions,
    TranscriberTask,
    chosen_thresholds,
    new_transcriber,
)
from timbrel.training.unlabelled import UnlabelledClips
from timbrel.transcription.decoding import Thresholds
from timbrel.transcription.export import write_transcriber_bundle
from timbrel.transcription.network import Transcriber
from timbrel.transcription.relaxed_roll import RollLayout
from timbrel.transcription.sizes import KIND, TranscriberConfig
from timbrel.transcription.transcriber import thresholds_of

RELAXED, STRAIGHT_THROUGH = ROLLS = ("relaxed", "straight-through")
_VALID_STEP, _VALID_CROPS = 10**9, 8


@dataclass(frozen=True)
class ScoreAutoencoderOptions(TranscriberOptions):
    """The options of an autoencoder's recipe, beside those of a transcriber's."""

    unlabelled: str | tuple[str, ...] = ()  # one folder of audio, or several
    unlabelled_license: str = LICENSE_NOT_STATED  # for the card
    unlabelled_clips: int = 4  # in a step, of all processes together
    unlabelled_s: float = 3.6
    # What began before a clip is not heard, so this much does not count in the cycle.
    unlabelled_lead_s: float = 0.8
    mel2mel: str = DEFAULT_MODEL  # what plays: a shipped model's name, or a bundle's folder
    encoder: str = ""  # what hears timbres; the one that is shipped for the Mel2Mel if empty
    # The subfolders that the audio lies in name the Mel2Mel's instruments, and no encoder is asked.
    named_instruments: bool = False
    cycle_weight: float = 2.0  # 0: the control, which sees no audio without labels
    cycle_loss: str = "tanh-log-abs"
    roll: str = RELAXED  # one of `ROLLS`; see `timbrel.transcription.relaxed_roll`
    level_range_db: float = 20.0  # by which recordings may be louder or softer than what is played
    train_synthesizer: bool = False  # the Mel2Mel, too: by the cycle and by the labelled data
    synthesizer_weight: float = 10.0  # of its loss on the labelled data

    def __post_init__(self) -> None:
        super().__post_init__()
        folders = (self.unlabelled,) if isinstance(self.unlabelled, str) else self.unlabelled
        is_list = isinstance(folders, tuple | list) and all(isinstance(f, str) for f in folders)
        if not is_list or not folders or "" in folders:
            raise InputError(
                "an autoencoder needs audio without labels: a folder, or a list of them "
                "(--set options.unlabelled=FOLDER)"
            )
        object.__setattr__(self, "unlabelled", tuple(folders))
        if not 0 <= self.unlabelled_lead_s < self.unlabelled_s:
            raise InputError("'unlabelled_lead_s' must be shorter than 'unlabelled_s'")
        if self.unlabelled_clips < 1:
            raise InputError("'unlabelled_clips' must be at least 1; the control is cycle_weight 0")
        if self.cycle_loss not in LOSSES:
            raise InputError(
                f"cycle_loss '{self.cycle_loss}' is unknown; known: {', '.join(LOSSES)}"
            )
        if self.roll not in ROLLS:
            raise InputError(f"roll '{self.roll}' is unknown; known: {', '.join(ROLLS)}")
        if min(self.cycle_weight, self.level_range_db, self.synthesizer_weight) < 0:
            raise InputError("weights and 'level_range_db' must not be negative")


@dataclass(frozen=True)
class CycleClips:
    """Audio without labels."""

    audio: np.ndarray  # (batch, samples) float32, at the transcriber's rate
    mel: np.ndarray  # (batch, frames, n_mels) float32, not floored
    timbre: np.ndarray  # (batch, timbre_size) float32


@dataclass(frozen=True)
class KnownMels:
    """Scores with their mels, which lack the rolls' first frames."""

    roll: np.ndarray  # (batch, WARM_UP_FRAMES + frames, roll_size) float32
    mel: np.ndarray  # (batch, frames, n_mels) float32
    timbre: np.ndarray  # (batch, timbre_size) float32


@dataclass(frozen=True)
class AutoencoderBatch(NotesInAudio):
    """Labelled audio, and what the cycle and the synthesizer are trained on; None without them."""

    cycle: CycleClips | None
    known: KnownMels | None


class ScoreAutoencoderTask(TranscriberTask):
    """Train a transcriber through a Mel2Mel; see `Mel2MelTask` for the parameters.

    Raises
    ------
    InputError
        If there is no audio without labels; or the Mel2Mel cannot read what the transcriber says;
        or nothing says in which timbre the audio is to be played again.
    """

    options_type = ScoreAutoencoderOptions
    model: ScoreAutoencoder

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        options = known(ScoreAutoencoderOptions, recipe.options, "options")
        share, rest = divmod(options.unlabelled_clips, world)
        if rest:
            raise InputError(
                f"{options.unlabelled_clips} unlabelled clips cannot be shared by {world} processes"
            )
        self._mel2mel = bundle = load_bundle(options.mel2mel, kind="mel2mel")
        layout_of(bundle, known(TranscriberConfig, recipe.model, "model"))
        super().__init__(recipe, folder, rank=rank, world=world, progress=progress)
        self._clips = UnlabelledClips(
            options.unlabelled, folder, bundle.mel.sample_rate, progress=progress
        )
        self._timbres = (
            _NamedTimbres(self._clips, bundle)
            if options.named_instruments
            else _HeardTimbres(_encoder(options.encoder, bundle))
        )
        self._crops = range(rank * share, (rank + 1) * share)
        self._n_cycle = round(options.unlabelled_s * self.config.frame_rate)
        self._renders: Renders | None = None
        if options.train_synthesizer:
            clips = read_clips(folder, "train", bundle, progress=progress)
            self._renders = Renders(clips, bundle.instruments, folder)

    @property
    def _transcriber(self) -> Transcriber:
        return self.model.transcriber

    def batch(self, step: int) -> AutoencoderBatch:
        labelled = super().batch(step)
        options = self._options
        cycle = self._cycle(step, self._crops) if options.cycle_weight else None
        known_mels = None if self._renders is None else self._known(step, self._renders)
        return AutoencoderBatch(labelled.audio, labelled.labels, cycle, known_mels)

    def _cycle(self, step: int, items: range) -> CycleClips:
        """Clips without labels, a function of the step."""
        config, mel = self.config, replace(self._mel2mel.mel, floor=DEEP_FLOOR)
        # Silence at the ends is for the windows and what the network hears ahead; the mel's frames
        # are as many as those of the transcriber that it knows, and begin with them.
        n_frames = self._n_cycle + config.frames_ahead
        n_samples = (n_frames - 1) * config.hop_length + 2 * self._margin
        n_source = -(-n_samples * mel.sample_rate // config.sample_rate)
        first = round(self._margin / config.sample_rate * mel.frame_rate)
        n_mel = round(self._n_cycle / config.frame_rate * mel.frame_rate)
        clips = []
        for item in items:
            random = np.random.default_rng((self._seed, step, item, 2))
            crop = self._clips.draw(random, n_source)
            audio = soxr.resample(crop.audio, mel.sample_rate, config.sample_rate)
            audio = np.pad(audio, (0, max(n_samples - len(audio), 0)))[:n_samples]
            deep = mel_spectrogram(crop.audio, mel)
            timbre = self._timbres.of(crop.file, deep)
            clips.append((audio, deep[first : first + n_mel], timbre.astype(np.float32)))
        return CycleClips(*(np.stack(column) for column in zip(*clips, strict=True)))

    def _known(self, step: int, renders: Renders) -> KnownMels:
        """Scores of the labelled data with their mels."""
        n_frames = round(self._options.unlabelled_s * self._mel2mel.mel.frame_rate)
        points = embeddings_of(self._mel2mel.instruments).astype(np.float32)
        found = []
        for item in self._crops:
            random = np.random.default_rng((self._seed, step, item, 3))
            index = int(random.choice(len(renders.labels), p=renders.shares))
            start = renders.start(random, index, n_frames)
            roll = renders.clips.roll(index).window(start - WARM_UP_FRAMES, start + n_frames)
            mel = part(renders.clips, index, start, n_frames)
            found.append((roll, mel, points[renders.labels[index]]))
        return KnownMels(*(np.stack(column) for column in zip(*found, strict=True)))

    def loss(self, model: nn.Module, batch: NotesInAudio, step: int) -> Tensor:  # noqa: ARG002
        assert isinstance(batch, AutoencoderBatch)
        device, options = next(model.parameters()).device, self._options
        said: Said = model(
            self._spectra(batch.audio, device),
            None if batch.cycle is None else self._heard(batch.cycle, device),
            None if batch.known is None else _played(batch.known, device),
        )
        total = self._labelled_loss(said.values, batch.labels)
        if batch.cycle is not None and said.cycle is not None:
            total = total + options.cycle_weight * self._cycle_loss(said.cycle, batch.cycle)
        if batch.known is not None and said.played is not None:
            true = torch.from_numpy(batch.known.mel).to(device)
            made = said.played[:, WARM_UP_FRAMES:].float()
            errors = LOSSES[options.cycle_loss](made, true)
            total = total + options.synthesizer_weight * errors.mean()
        return total

    def _heard(self, clips: CycleClips, device: torch.device) -> Heard:
        return Heard(self._spectra(clips.audio, device), torch.from_numpy(clips.timbre).to(device))

    def _cycle_loss(self, made: Tensor, clips: CycleClips) -> Tensor:
        mel, options = self._mel2mel.mel, self._options
        lead = round(options.unlabelled_lead_s * mel.frame_rate)
        true = torch.from_numpy(clips.mel).to(made.device)
        return cycle_loss(
            made[:, lead:].float(),
            true[:, lead:],
            loss=options.cycle_loss,
            floor=mel.log_floor,
            level_range=options.level_range_db / DB_PER_NEPER,
        )

    def _measures(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, ScoreAutoencoder)
        # Of the control, too: what it loses in the cycle that it is not trained for.
        clips = self._cycle(_VALID_STEP, range(_VALID_CROPS))
        made = model.again(self._heard(clips, next(model.parameters()).device))
        found = float(self._cycle_loss(made, clips))
        return super()._measures(model.transcriber) | {"cycle_loss": found}

    def describe(self) -> dict:
        about, options, bundle = super().describe(), self._options, self._mel2mel
        about["license"] += f" (the audio without labels: {options.unlabelled_license})"
        about["attribution"] = combined(about["attribution"], bundle.attribution)
        minutes = self._clips.duration_s / 60
        sums = hashlib.sha256("\n".join(sorted(self._clips.hashes)).encode()).hexdigest()
        is_used = "trained on" if options.cycle_weight else "measured on, not trained on"
        return {
            **about,
            "card": {
                "audio without labels": f"{minutes:.1f} minutes, {is_used} (SHA-256 of its files' "
                f"sums: {sums})",
                "played again by": f"{bundle.name} (licence: {bundle.license}), "
                + ("trained, too" if options.train_synthesizer else "as it is"),
                "weight of the cycle": options.cycle_weight,
            },
        }

    @classmethod
    def network(cls, sizes: TranscriberConfig, recipe: Recipe) -> ScoreAutoencoder:
        options = known(ScoreAutoencoderOptions, recipe.options, "options")
        bundle, thresholds = load_bundle(options.mel2mel, kind="mel2mel"), Thresholds()
        if recipe.start_from:
            thresholds = thresholds_of(load_bundle(recipe.start_from, kind=KIND))
        return ScoreAutoencoder(
            new_transcriber(sizes, options),
            load_mel2mel(bundle).train(),
            bundle.mel,
            layout_of(bundle, sizes),
            thresholds,
            decided=options.roll == STRAIGHT_THROUGH,
            train_synthesizer=options.train_synthesizer,
        )

    @classmethod
    def export(cls, run: FinishedRun, output: Path, about: dict[str, Any]) -> list[Path]:
        """Write the transcriber's bundle, and beside it that of the Mel2Mel, if it was trained."""
        options = known(ScoreAutoencoderOptions, run.recipe.options, "options")
        sizes = known(TranscriberConfig, run.notes["config"], str(output))
        model = run.averaged(cls.network(sizes, run.recipe))
        beside = output.with_name(output.name + MEL2MEL_SUFFIX)
        if options.train_synthesizer and beside.exists():
            raise OutputError(f"{beside}: exists; remove it, or export to another folder")
        chosen = chosen_thresholds(run).as_dict()
        write_transcriber_bundle(
            model.transcriber, output, thresholds=chosen, **about, **run.notes["bundle"]
        )
        if not options.train_synthesizer:
            return [output]
        bundle = load_bundle(options.mel2mel, kind="mel2mel")
        write_retrained(model.synthesizer, beside, bundle, about)
        return [output, beside]


def layout_of(bundle: Bundle, sizes: TranscriberConfig) -> RollLayout:
    """The roll between a transcriber and a Mel2Mel's bundle.

    Raises
    ------
    InputError
        If their frame rates do not fit.
    """
    try:
        return RollLayout(bundle.roll, bundle.mel.frame_rate, sizes.frame_rate)
    except InputError as error:
        raise InputError(f"{bundle.path}: {error}") from None


def _played(mels: KnownMels, device: torch.device) -> Played:
    return Played(*(torch.from_numpy(array).to(device) for array in (mels.roll, mels.timbre)))


def _encoder(name: str, bundle: Bundle) -> TimbreEncoder:
    """What hears timbres in a Mel2Mel's space."""
    try:
        found = load_bundle(name, kind=ENCODER_KIND) if name else encoder_for(bundle)
    except InputError as error:
        raise InputError(
            f"options: {error}; or give audio whose subfolders name the instruments "
            "(options.named_instruments)"
        ) from None
    if not speaks_of(found, bundle) or found.mel != bundle.mel:
        raise InputError(f"options: the encoder {found.path} is not one of {bundle.name}'s space")
    return TimbreEncoder(found)


class _HeardTimbres:
    """The timbre of a clip: the mean of what an encoder hears."""

    def __init__(self, encoder: TimbreEncoder) -> None:
        self._encoder = encoder

    def of(self, file: int, mel: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """The point of a clip with a log-mel (frames, n_mels), (timbre_size,)."""
        floored = np.maximum(mel, np.float32(self._encoder.bundle.mel.log_floor))
        return self._encoder.region(self._encoder.hear_mel(floored)).mean


class _NamedTimbres:
    """The timbre of a clip: that of the instrument after which its folder is named.

    Raises
    ------
    InputError
        If a file lies in the folder of none; names it.
    """

    def __init__(self, clips: UnlabelledClips, bundle: Bundle) -> None:
        places = {one.name.lower(): i for i, one in enumerate(bundle.instruments)}
        for path, name in zip(clips.paths, clips.subfolders, strict=True):
            if name.lower() not in places:
                raise InputError(
                    f"{path}: lies in no subfolder that names an instrument of {bundle.name} "
                    "(options.named_instruments)"
                )
        points = embeddings_of(bundle.instruments)
        self._points = points[[places[name.lower()] for name in clips.subfolders]]

    def of(self, file: int, mel: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """As for `_HeardTimbres`."""
        return self._points[file]

"""Prepared data → batches for Mel2Mel.

A batch is a pure function of the step, so that a run that was killed can be resumed as if it had
not been. A batch holds `batch_size` lanes. A lane visits a clip for `crops_per_visit` consecutive
crops, and the network's state is carried from one crop to the next. The network thus learns to hold
long notes, and only the first crop of a visit begins without knowing which notes were struck
before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

import joblib
import numpy as np

from timbrel.corpus.preparation import Clip, Settings, manifest_sha256, read_clip, read_data
from timbrel.errors import InputError
from timbrel.files import atomic_path
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.progress import Progress, silent
from timbrel.score.midi import read_midi
from timbrel.score.piano_roll import N_CHANNELS, PianoRoll

# At the start of a visit inside a clip, the network does not know which notes are already sounding,
# so this many frames do not count.
_WARM_UP_FRAMES = 32


@dataclass(frozen=True)
class MelBatch:
    """A batch of Mel2Mel's; `time` is the crop, and the rolls hold `context` frames more."""

    roll: np.ndarray  # (batch, time + context, 176) float32
    mel: np.ndarray  # (batch, time, n_mels) float32
    instrument: np.ndarray  # (batch,) int64
    weight: np.ndarray  # (batch, time) float32: 0 where a frame does not count
    fresh: np.ndarray  # (batch,) bool: a visit begins, the state is to be forgotten


class MelClips:
    """The clips of one split as rolls and cached mel spectrograms.

    Parameters
    ----------
    folder
        Prepared data.
    split
        "train" or "valid".
    config
        Geometry of the mel spectrograms, which are computed once and kept in the folder.
    progress
        Wraps the finished items, as ``progress(items, total, label)``.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        config: MelConfig,
        *,
        progress: Progress = silent,
    ) -> None:
        self.settings: Settings
        self.settings, clips = read_data(folder)
        if self.settings.sample_rate != config.sample_rate:
            raise InputError(
                f"{folder}: is data of {self.settings.sample_rate} Hz; the recipe's mel geometry "
                f"is {config}"
            )
        self.clips = [clip for clip in clips if clip.split == split]
        if not self.clips:
            raise InputError(f"{folder}: has no clips of the split '{split}'")
        self.instruments = list(self.settings.instruments)
        self._paths = [_mel_path(folder, clip, config) for clip in self.clips]
        missing = [i for i, path in enumerate(self._paths) if not path.exists()]
        tasks = (
            joblib.delayed(_cache_mel)(folder, self.clips[i], config, self._paths[i])
            for i in missing
        )
        done = joblib.Parallel(n_jobs=-1, return_as="generator_unordered")(tasks)
        for _ in progress(done, len(missing), f"mel spectrograms ({split})"):
            pass
        self._rolls: dict[str, PianoRoll] = {}
        self._folder, self._config = folder, config
        self.n_frames = np.array([clip.n_samples // config.hop_length for clip in self.clips])
        self.labels = np.array([self.instruments.index(clip.instrument) for clip in self.clips])
        self._mels = [np.load(path, mmap_mode="r") for path in self._paths]

    def origin(self) -> dict[str, str]:
        """What a model's card says of the data."""
        return {
            "soundfont": self.settings.soundfont,
            "license": self.settings.license,
            "attribution": self.settings.attribution,
            "data_manifest_sha256": manifest_sha256(self._folder),
        }

    def roll(self, index: int) -> PianoRoll:
        name = self.clips[index].midi
        if name not in self._rolls:
            score = read_midi(self._folder / "midi" / name)
            self._rolls[name] = PianoRoll(score.notes, self._config.frame_rate)
        return self._rolls[name]

    def mel(self, index: int, start: int, stop: int) -> np.ndarray:
        """Frames of a clip's natural-log mel, float32."""
        return np.asarray(self._mels[index][start:stop], np.float32)

    def mean_mel(self) -> np.ndarray:
        """Mean of each bin over a sample of all clips, shape (n_mels,)."""
        return np.mean(
            [np.asarray(mel[::50], np.float32).mean(axis=0) for mel in self._mels], axis=0
        )


def lane_batch(
    clips: MelClips,
    step: int,
    lanes: Iterable[int],
    *,
    crop_frames: int,
    crops_per_visit: int,
    context: int,
    seed: int,
) -> MelBatch:
    """The crops that some lanes hold at a step."""
    batch = [
        _lane_crop(clips, step, lane, crop_frames, crops_per_visit, context, seed) for lane in lanes
    ]
    roll, mel, instrument, weight, fresh = (np.stack(column) for column in zip(*batch, strict=True))
    return MelBatch(roll, mel, instrument, weight, fresh)


def _lane_crop(
    clips: MelClips,
    step: int,
    lane: int,
    crop_frames: int,
    crops_per_visit: int,
    context: int,
    seed: int,
) -> tuple:
    # Lanes begin their visits at different steps, so that no batch is all beginnings.
    visit, crop = divmod(step + lane, crops_per_visit)
    random = np.random.default_rng((seed, lane, visit))
    shares = clips.n_frames / clips.n_frames.sum()
    index = int(random.choice(len(clips.clips), p=shares))
    length = crop_frames * crops_per_visit
    first = int(random.integers(0, max(int(clips.n_frames[index]) - length, 0) + 1))
    start = first + crop * crop_frames
    stop = min(start + crop_frames, int(clips.n_frames[index]))

    roll = np.zeros((crop_frames + context, N_CHANNELS), np.float32)
    roll[:] = clips.roll(index).window(start, start + crop_frames + context)
    mel = np.zeros((crop_frames, clips.mel(index, 0, 0).shape[1]), np.float32)
    weight = np.zeros(crop_frames, np.float32)
    if stop > start:
        mel[: stop - start] = clips.mel(index, start, stop)
        weight[: stop - start] = 1.0
    fresh = crop == 0 or step == 0
    if fresh and start > 0:
        weight[:_WARM_UP_FRAMES] = 0.0
    return roll, mel, clips.labels[index], weight, np.bool_(fresh)


def _mel_path(folder: Path, clip: Clip, config: MelConfig) -> Path:
    key = hashlib.sha256(repr(astuple(config)).encode()).hexdigest()[:12]
    return folder / "mel" / key / f"{clip.audio_sha256}.npy"


def _cache_mel(folder: Path, clip: Clip, config: MelConfig, path: Path) -> None:
    mel = mel_spectrogram(read_clip(folder, clip), config)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, mel.astype(np.float16))

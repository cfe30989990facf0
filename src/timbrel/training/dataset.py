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
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from timbrel.corpus.preparation import Clip, Settings, origin, read_clip, read_data
from timbrel.corpus.selection import SCORE, SINGLE_NOTES
from timbrel.corpus.soundfont import BEND_SHARE, PITCH_RESOLUTION
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.progress import Progress, silent
from timbrel.score.midi import read_midi
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.pitch import Pitches
from timbrel.score.sounding import SoundingNotes, sounding_notes
from timbrel.training.cached import cached_arrays

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
    told: tuple[SoundingNotes, ...] = ()  # what is heard of notes in each crop, if it was asked for


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
    performance
        Whether rolls hold all keys and bends (`PerformanceRoll`).
    equal_instruments
        Whether all instruments are equally likely to be drawn; otherwise all frames are.
    progress
        Wraps the finished items, as ``progress(items, total, label)``.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        config: MelConfig,
        *,
        performance: bool = False,
        equal_instruments: bool = False,
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
        self._mels = cached_arrays(
            [_mel_path(folder, clip, config) for clip in self.clips],
            _mel,
            [(folder, clip, config) for clip in self.clips],
            progress=progress,
            label=f"mel spectrograms ({split})",
        )
        self._performance = performance
        self._rolls: dict[tuple[str, bool], PianoRoll] = {}
        self._folder, self.config = folder, config
        self.n_frames = np.array([clip.n_samples // config.hop_length for clip in self.clips])
        self.labels = np.array([self.instruments.index(clip.instrument) for clip in self.clips])
        # Single notes are drawn in their own way, by `SingleNotes`, where there is music besides.
        is_music = np.array([clip.kind != SINGLE_NOTES for clip in self.clips])
        has_music = np.isin(self.labels, self.labels[is_music])
        self.is_drawn = is_music | ~has_music
        # How likely each clip is drawn.
        frames = self.n_frames * self.is_drawn
        self.shares = frames / frames.sum()
        if equal_instruments:
            of_instrument = np.bincount(self.labels, frames, len(self.instruments))
            self.shares = frames / of_instrument[self.labels]
            self.shares = self.shares / self.shares.sum()
        self.is_kit = np.array([clip.is_kit for clip in self.clips])

    def origin(self) -> dict[str, str]:
        """What a model's card says of the data."""
        return origin(self.settings, self._folder)

    def roll(self, index: int) -> PianoRoll:
        clip = self.clips[index]
        if (clip.midi, clip.is_kit) not in self._rolls:
            self._rolls[clip.midi, clip.is_kit] = read_roll(
                self._folder, clip, self.config.frame_rate, performance=self._performance
            )
        return self._rolls[clip.midi, clip.is_kit]

    def mel(self, index: int, start: int, stop: int) -> np.ndarray:
        """Frames of a clip's natural-log mel, float32."""
        return np.asarray(self._mels[index][start:stop], np.float32)

    def frames(self, index: int, frames: np.ndarray) -> np.ndarray:
        """Some frames of a clip's mel, in any order, float32."""
        return np.asarray(self._mels[index][frames], np.float32)

    def mean_mel(self) -> np.ndarray:
        """Mean of each bin over a sample of all clips, shape (n_mels,)."""
        return np.mean(
            [np.asarray(mel[::50], np.float32).mean(axis=0) for mel in self._mels], axis=0
        )


def read_roll(folder: Path, clip: Clip, frame_rate: float, *, performance: bool) -> PianoRoll:
    """The score of a clip, as its instrument played it.

    Parameters
    ----------
    folder
        Prepared data.
    clip
        One of its clips.
    frame_rate
        Of the roll, a second.
    performance
        Whether the roll is to hold all keys and bends (`PerformanceRoll`).
    """
    score = read_midi(folder / "midi" / clip.midi)
    if not performance:
        return PianoRoll(score.notes, frame_rate)
    if clip.is_kit:
        strokes = [note for track in score.drum_tracks for note in track.notes]
        return PerformanceRoll(strokes, frame_rate, is_kit=True)
    # Of composed scores, the notes alone were played; what was written for it is one track.
    if clip.kind == SCORE or not score.tracks:
        return PerformanceRoll(score.notes, frame_rate)
    (track,) = score.tracks
    bend = replace(track.bend, values=tuple(BEND_SHARE * value for value in track.bend.values))
    pitches = Pitches(bend, track.tuning, track.vibrato, clip.program, resolution=PITCH_RESOLUTION)
    return PerformanceRoll(track.notes, frame_rate, pitches=pitches)


def lane_batch(
    clips: MelClips,
    step: int,
    lanes: Iterable[int],
    *,
    crop_frames: int,
    crops_per_visit: int,
    context: int,
    seed: int,
    told: bool = False,
) -> MelBatch:
    """The crops that some lanes hold at a step; `told`: with their single notes."""
    places = [_lane_place(clips, step, lane, crop_frames, crops_per_visit, seed) for lane in lanes]
    batch = [_lane_crop(clips, step, *place, crop_frames, context) for place in places]
    roll, mel, instrument, weight, fresh = (np.stack(column) for column in zip(*batch, strict=True))
    notes = [
        sounding_notes(clips.roll(index), start, start + crop_frames)
        for index, start, _ in (places if told else ())
    ]
    return MelBatch(roll, mel, instrument, weight, fresh, tuple(notes))


def _lane_place(
    clips: MelClips, step: int, lane: int, crop_frames: int, crops_per_visit: int, seed: int
) -> tuple[int, int, bool]:
    """Clip and first frame of the crop that a lane holds, and whether a visit begins with it."""
    # Lanes begin their visits at different steps, so that no batch is all beginnings.
    visit, crop = divmod(step + lane, crops_per_visit)
    random = np.random.default_rng((seed, lane, visit))
    index = int(random.choice(len(clips.clips), p=clips.shares))
    length = crop_frames * crops_per_visit
    first = int(random.integers(0, max(int(clips.n_frames[index]) - length, 0) + 1))
    return index, first + crop * crop_frames, crop == 0


def _lane_crop(
    clips: MelClips, step: int, index: int, start: int, begins: bool, crop_frames: int, context: int
) -> tuple:
    stop = min(start + crop_frames, int(clips.n_frames[index]))
    roll = clips.roll(index).window(start, start + crop_frames + context)
    mel = np.zeros((crop_frames, clips.mel(index, 0, 0).shape[1]), np.float32)
    weight = np.zeros(crop_frames, np.float32)
    if stop > start:
        mel[: stop - start] = clips.mel(index, start, stop)
        weight[: stop - start] = 1.0
    fresh = begins or step == 0
    if fresh and start > 0:
        weight[:_WARM_UP_FRAMES] = 0.0
    return roll, mel, clips.labels[index], weight, np.bool_(fresh)


def _mel_path(folder: Path, clip: Clip, config: MelConfig) -> Path:
    key = hashlib.sha256(repr(astuple(config)).encode()).hexdigest()[:12]
    return folder / "mel" / key / f"{clip.audio_sha256}.npy"


def _mel(folder: Path, clip: Clip, config: MelConfig) -> np.ndarray:
    return mel_spectrogram(read_clip(folder, clip), config).astype(np.float16)

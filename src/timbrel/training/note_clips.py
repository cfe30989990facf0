"""Prepared data → crops of audio with the notes that sound in them, for training a transcriber.

A crop's labels are those of its frames and of a piano's 88 keys: onsets and releases as triangles
that fall to 0 two frames away, so that their places between frames are known; sounding keys; the
velocity at onsets; and how far a key's sound is above its pitch, in cents.

**What a release is.** It is what the player does: the end of the key, or of the pedal that holds
it; never the moment when the sound has faded. Where a sound rings on regardless of its key (a harp,
a celesta), the release cannot be heard, and a network learns where it is likely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from timbrel.constants import LOWEST_PITCH, N_PITCHES
from timbrel.corpus.preparation import origin, read_data
from timbrel.corpus.sounds import read_sounds
from timbrel.errors import InputError
from timbrel.progress import Progress, silent
from timbrel.score.instruments import FAMILY_NAMES, UNPITCHED_PROGRAMS, family_of
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.training.dataset import read_roll
from timbrel.training.samples import excerpt, kept_samples
from timbrel.transcription.sizes import BEND, FRAME, HEADS, OFFSET, ONSET, VELOCITY

PART = len(HEADS)  # the column that says which of the sounds that are heard together strikes
_REACH_FRAMES = 2  # of the triangles of onsets and releases
_SILENCE_S = 0.5
_SPARE = 64  # samples, for the ends of a resampler
_ROLL_RATE = 100.0  # frames a second of the rolls, of which only the notes are used


@dataclass(frozen=True)
class Cut:
    """A part of a clip, played faster by a factor and so higher."""

    clip: int
    start_s: float  # in the clip; may lie before its beginning
    speed: float = 1.0


class NoteClips:
    """The clips of one split as samples at one rate, and their notes.

    Parameters
    ----------
    folder
        Prepared data of any sample rate. The samples are kept there, in 16 bits.
    split
        "train" or "valid".
    sample_rate
        To which the clips are resampled, in Hz.
    families
        How much likelier than others the instruments of some families are drawn, by
        `FAMILY_NAMES`.
    progress
        Wraps the finished items, as ``progress(items, total, label)``.

    Raises
    ------
    InputError
        If nothing in the data has a pitch, or a family is none.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        sample_rate: int,
        *,
        families: Mapping[str, float] | None = None,
        progress: Progress = silent,
    ) -> None:
        self.settings, clips = read_data(folder)
        self.clips = [clip for clip in clips if clip.split == split]
        self.sample_rate = sample_rate
        self._folder = folder
        self._samples = kept_samples(
            folder, self.clips, sample_rate, split=split, progress=progress
        )
        self.durations_s = np.array([len(samples) / sample_rate for samples in self._samples])
        is_pitched = np.array(
            [not clip.is_kit and clip.program not in UNPITCHED_PROGRAMS for clip in self.clips],
            bool,
        )
        # What is drawn, and how likely: each instrument as likely as any other of its family.
        self._families = families or {}
        for name in self._families:
            if name not in FAMILY_NAMES:
                raise InputError(f"'{name}' is no family; there are {', '.join(FAMILY_NAMES)}")
        pitched = self._shares(is_pitched)
        self.background = self._shares(~is_pitched)  # drums and noises, of which nothing is known
        if pitched is None:
            raise InputError(f"{folder}: has no clips of instruments with a pitch for '{split}'")
        self.pitched = pitched
        self.instruments = sorted(
            {clip.instrument for clip, yes in zip(self.clips, is_pitched, strict=True) if yes}
        )
        self.silent_keys = {sound.name: sound.silent_keys for sound in read_sounds(folder)}
        self._rolls: dict[str, PerformanceRoll] = {}

    def _shares(self, among: np.ndarray) -> np.ndarray | None:
        """How likely each clip is drawn: instruments of a family are equal, and all seconds."""
        if not among.any():
            return None
        names = np.unique([clip.instrument for clip in self.clips], return_inverse=True)[1]
        lengths = self.durations_s * among
        of_instrument = np.bincount(names, lengths)[names]
        shares = np.divide(lengths, of_instrument, out=np.zeros(len(lengths)), where=among)
        shares *= [self._families.get(family_of(clip.program), 1.0) for clip in self.clips]
        return shares / shares.sum()

    def origin(self) -> dict[str, str]:
        """What a model's card says of the data."""
        return origin(self.settings, self._folder)

    def roll(self, index: int) -> PerformanceRoll:
        """The notes of a clip, as its instrument played them, but for those of silent keys."""
        clip = self.clips[index]
        key = f"{clip.instrument}/{clip.midi}"
        if key not in self._rolls:
            roll = read_roll(self._folder, clip, _ROLL_RATE, performance=True)
            assert isinstance(roll, PerformanceRoll)
            heard = ~np.isin(np.round(roll.notes[:, 2]), self.silent_keys.get(clip.instrument, ()))
            self._rolls[key] = PerformanceRoll(roll.notes[heard], _ROLL_RATE, pitches=roll.pitches)
        return self._rolls[key]

    def notes(self, index: int) -> np.ndarray:
        """Start and end in seconds, pitch as it begins, velocity of a clip's notes, (notes, 4)."""
        roll = self.roll(index)
        notes = roll.notes.copy()
        notes[:, 2] = np.floor(notes[:, 2] + roll.pitches.shift(notes[:, 0], notes[:, 0]) + 0.5)
        inside = (notes[:, 2] >= LOWEST_PITCH) & (notes[:, 2] < LOWEST_PITCH + N_PITCHES)
        return notes[inside]

    def draw(self, random: np.random.Generator, shares: np.ndarray, length_s: float) -> Cut:
        """A part of a clip, by chance; up to half of a second before or behind it is silent."""
        index = int(random.choice(len(self.clips), p=shares))
        latest_s = max(self.durations_s[index] - length_s, 0.0)
        start_s = random.uniform(-_SILENCE_S, latest_s + _SILENCE_S)
        return Cut(index, float(start_s))

    def audio(self, cut: Cut, n_samples: int) -> np.ndarray:
        """The samples of a part, float32, (n_samples,); zeros beyond the clip's ends."""
        samples = self._samples[cut.clip]
        start = round(cut.start_s * self.sample_rate)
        wanted = n_samples if cut.speed == 1 else int(np.ceil(n_samples * cut.speed)) + _SPARE
        audio = excerpt(samples, start, wanted)
        if cut.speed != 1:
            audio = soxr.resample(audio, cut.speed, 1.0, quality="LQ")
        return audio[:n_samples]

    def labels(self, cut: Cut, *, first_s: float, frame_rate: float, n_frames: int) -> np.ndarray:
        """What sounds in a part, float32, (n_frames, 88, 5), in the order of `HEADS`.

        Parameters
        ----------
        cut
            The part.
        first_s
            Where its first frame lies, in seconds of the part.
        frame_rate, n_frames
            Frames a second, and how many.
        """
        roll = self.roll(cut.clip)
        labels = np.zeros((n_frames, N_PITCHES, len(HEADS)), np.float32)
        # Times in frames of the part.
        origin_s = cut.start_s + first_s * cut.speed
        starts, ends = (roll.notes[:, :2] - origin_s).T / cut.speed * frame_rate
        detune = 12 * np.log2(cut.speed)
        near = (ends > -_REACH_FRAMES) & (starts < n_frames + _REACH_FRAMES)
        for i in np.flatnonzero(near).tolist():
            start, end = float(starts[i]), float(max(ends[i], starts[i] + 1))
            first, last = round(start), max(round(end), round(start) + 1)
            frames = np.arange(max(first, 0), min(last, n_frames))
            onset_s = roll.notes[i, 0]
            times_s = np.append(onset_s, origin_s + frames / frame_rate * cut.speed)
            pitch = roll.notes[i, 2] + detune + roll.pitches.shift(times_s, onset_s)
            keys = np.floor(pitch + 0.5).astype(np.int64) - LOWEST_PITCH
            cents = 100 * (pitch - LOWEST_PITCH - keys)
            _note(labels, start, end, frames, keys, cents, float(roll.notes[i, 3]) / 127)
        _drop_hidden_releases(labels)
        return labels


def merged(parts: Sequence[np.ndarray], n_frames: int) -> np.ndarray:
    """The labels of sounds that are heard together, of none or of some, each (n_frames, 88, 5).

    Returns
    -------
    labels : ndarray of float32, shape (n_frames, 88, 6)
        The last column, `PART`, is the number of the part that strikes, counted from 0.
    """
    total = np.zeros((n_frames, N_PITCHES, len(HEADS) + 1), np.float32)
    for number, part in enumerate(parts):
        newer = part[..., FRAME] > 0
        total[..., BEND] = np.where(newer, part[..., BEND], total[..., BEND])
        total[..., PART][part[..., VELOCITY] > total[..., VELOCITY]] = number
        for head in (ONSET, FRAME, OFFSET, VELOCITY):
            np.maximum(total[..., head], part[..., head], out=total[..., head])
    _drop_hidden_releases(total)
    return total


def _note(
    labels: np.ndarray,
    start: float,
    end: float,
    frames: np.ndarray,
    keys: np.ndarray,
    cents: np.ndarray,
    velocity: float,
) -> None:
    """Write a note; the first of its keys and cents are those of its onset."""
    on_keys = (keys >= 0) & (keys < N_PITCHES)
    if on_keys[0]:
        _triangle(labels[:, keys[0], ONSET], start)
        # Wherever the onset is above 0.
        reach = _REACH_FRAMES
        near = np.arange(max(round(start) - reach, 0), min(round(start) + reach + 1, len(labels)))
        place = labels[near, keys[0], VELOCITY]
        labels[near, keys[0], VELOCITY] = np.maximum(place, velocity)
    inside = on_keys[1:]
    labels[frames[inside], keys[1:][inside], FRAME] = 1.0
    labels[frames[inside], keys[1:][inside], BEND] = cents[1:][inside]
    if on_keys[-1]:
        _triangle(labels[:, keys[-1], OFFSET], end)


def _triangle(column: np.ndarray, centre: float) -> None:
    """Write 1 at a place between frames, falling to 0 on both sides."""
    first = max(int(np.floor(centre)) - _REACH_FRAMES, 0)
    frames = np.arange(first, min(int(np.ceil(centre)) + _REACH_FRAMES + 1, len(column)))
    values = 1 - np.abs(frames - centre) / _REACH_FRAMES
    column[frames] = np.maximum(column[frames], values)


def _drop_hidden_releases(labels: np.ndarray) -> None:
    """A release while the key sounds on, and is not struck anew, is none."""
    frame, onset = labels[..., FRAME] > 0, labels[..., ONSET]
    ahead = np.zeros_like(frame)
    ahead[:-_REACH_FRAMES] = frame[_REACH_FRAMES:]
    struck = onset > 0
    for shift in (1, 2, 3):
        struck[:-shift] |= onset[shift:] > 0
    labels[..., OFFSET] *= ~(ahead & frame & ~struck)

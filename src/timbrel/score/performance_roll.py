"""Score → piano roll of all 128 keys, with bends: the input of the models of all instruments.

It is like `timbrel.score.piano_roll`, but has a channel for each MIDI key, so that every key of a
drum kit has its own, and one more channel for bends. A note appears at the key nearest to its
sounding pitch; if it is bent across to the next key, its frames move there without a new onset. The
last channel holds the deviation of the newest note from its key, doubled: from −1 to 1.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from timbrel.constants import PERFORMANCE, PIANO
from timbrel.score.piano_roll import N_CHANNELS, PianoRoll
from timbrel.score.pitch import AS_WRITTEN, Pitches
from timbrel.score.score import Note, Track

N_KEYS = 128
N_PERFORMANCE_CHANNELS = 2 * N_KEYS + 1
# The width of each kind of roll.
ROLL_SIZES = {PIANO: N_CHANNELS, PERFORMANCE: N_PERFORMANCE_CHANNELS}


def roll_of(
    kind: str, track: Track, notes: Iterable[Note] | np.ndarray, frame_rate: float
) -> PianoRoll:
    """The roll of some notes of a track, of the kind that a model reads.

    Parameters
    ----------
    kind
        Of `ROLL_SIZES`.
    track
        Whose bends, tuning and vibrato count, if the kind knows them.
    notes, frame_rate
        See `PianoRoll`.
    """
    if kind == PIANO:
        return PianoRoll(notes, frame_rate)
    pitches = Pitches(track.bend, track.tuning, track.vibrato, track.program)
    return PerformanceRoll(notes, frame_rate, pitches=pitches, is_kit=track.is_kit)


class PerformanceRoll(PianoRoll):
    """The roll of a track; see `PianoRoll` for what its times mean.

    Parameters
    ----------
    notes
        Of the track, or their `note_table`. A note that starts before 0 has frames but no onset.
    frame_rate
        Frames a second: that of the model's mels.
    pitches
        Where the notes are bent.
    is_kit
        Whether the notes' pitches are the keys of a drum kit, which are not bent.
    n_frames
        Length of the roll; just long enough for the last note where it is None.
    """

    lowest_key, n_keys = 0, N_KEYS

    def __init__(
        self,
        notes: Iterable[Note] | np.ndarray,
        frame_rate: float,
        *,
        pitches: Pitches = AS_WRITTEN,
        is_kit: bool = False,
        n_frames: int | None = None,
    ) -> None:
        super().__init__(notes, frame_rate, n_frames=n_frames)
        self.pitches = AS_WRITTEN if is_kit else pitches
        self.is_kit = is_kit
        off_keys = bool(np.mod(self.notes[:, 2], 1).any())  # by the scale that they are tuned to
        self._between_keys = self.pitches.is_bent or self.pitches.has_vibrato or off_keys

    @property
    def n_channels(self) -> int:
        return N_PERFORMANCE_CHANNELS

    def window(self, start: int, stop: int) -> np.ndarray:
        """Frames `start` to `stop`; what lies outside the roll is empty.

        Returns
        -------
        roll : ndarray of float32, shape (stop - start, 257)
        """
        if not self._between_keys:
            return super().window(start, stop)
        roll = np.zeros((stop - start, self.n_channels), np.float32)
        first = max(start, 0)
        last = max(min(stop, self.n_frames), first)
        times_s = np.arange(first, last) / self.frame_rate
        begun = self.n_begun(last)
        for i in np.flatnonzero(self._stops[:begun] > first).tolist():
            begin, end = max(self._starts[i], first), min(self._stops[i], last)
            part = slice(begin - first, end - first)
            keys, _ = self._nearest(i, times_s[part])
            frames = np.arange(begin, end) - start
            roll[frames, keys] = np.maximum(roll[frames, keys], self._values[i])
            if self._starts[i] >= first:
                onset = self._starts[i] - start, keys[0] + N_KEYS
                roll[onset] = max(roll[onset], self._values[i])
        # Of the newest note, also when it is over: what rings on is bent as well.
        newest = np.searchsorted(self._starts, np.arange(first, last), side="right") - 1
        for i in np.unique(newest[newest >= 0]).tolist():
            own = np.flatnonzero(newest == i)
            _, rest = self._nearest(i, times_s[own])
            roll[own + first - start, -1] = 2 * rest
        return roll

    def shifts(self, times_s: np.ndarray, notes: np.ndarray) -> np.ndarray:
        """How far some notes are bent at some times, in semitones, (notes, times)."""
        shifts = np.zeros((len(notes), len(times_s)))
        if self.pitches.is_bent or self.pitches.has_vibrato:
            for row, onset_s in zip(shifts, self.notes[notes, 0].tolist(), strict=True):
                row[:] = self.pitches.shift(times_s, onset_s)
        return shifts

    def _nearest(self, index: int, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The key nearest to where a note sounds at each time, and how far it is above it."""
        pitch = self.notes[index, 2] + self.pitches.shift(times_s, self.notes[index, 0])
        key = np.clip(np.floor(pitch + 0.5), 0, N_KEYS - 1).astype(np.int64)
        return key, np.clip(pitch - key, -0.5, 0.5)

"""Score → piano roll: which keys are sounding and which are struck, frame by frame.

Kim et al., "Neural Music Synthesis for Flexible Timbre Control" (2019): 88 channels of frames and
88 of onsets, pitches 21–108; the value is the velocity divided by 127 while a key sounds, else 0.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from timbrel.constants import LOWEST_PITCH, N_PITCHES
from timbrel.errors import InputError
from timbrel.score.score import Note, note_table

N_CHANNELS = 2 * N_PITCHES


class PianoRoll:
    """The piano roll of some notes, computed window by window to save memory.

    A time falls into frame ``floor(frame_rate · t + ½)``. An onset is one frame long; the frames of
    a note end before the frame of its release, but there is at least one. Where notes of the same
    pitch overlap, the higher velocity applies.

    Parameters
    ----------
    notes
        Notes with playable pitches, or their `note_table`. A note that starts before 0 has frames
        but no onset.
    frame_rate
        Frame rate of the model's mels, in frames per second.
    n_frames
        Length of the roll; if None, just long enough for the last note.
    """

    lowest_key, n_keys = LOWEST_PITCH, N_PITCHES

    def __init__(
        self,
        notes: Iterable[Note] | np.ndarray,
        frame_rate: float,
        *,
        n_frames: int | None = None,
    ) -> None:
        table = notes if isinstance(notes, np.ndarray) else note_table(notes)
        self.notes = table  # see `note_table`
        self.frame_rate = frame_rate
        self._starts = to_frames(table[:, 0], frame_rate)
        self._stops = np.maximum(to_frames(table[:, 1], frame_rate), self._starts + 1)
        self._latest_stops = np.maximum.accumulate(self._stops)
        self._keys = np.floor(table[:, 2] + 0.5).astype(np.int64) - self.lowest_key
        self._values = (table[:, 3] / 127).astype(np.float32)
        if len(table) and not (self._keys.min() >= 0 and self._keys.max() < self.n_keys):
            keys = f"{self.lowest_key}–{self.lowest_key + self.n_keys - 1}"
            raise InputError(f"a piano roll holds the pitches {keys} only")
        self.n_frames = int(self._stops.max(initial=0)) if n_frames is None else n_frames

    def __len__(self) -> int:
        return self.n_frames

    @property
    def n_channels(self) -> int:
        """Width of the roll."""
        return 2 * self.n_keys

    def window(self, start: int, stop: int) -> np.ndarray:
        """Frames `start` to `stop`; frames outside the roll are empty.

        Returns
        -------
        roll : ndarray of float32, shape (stop - start, 176)
        """
        roll = np.zeros((stop - start, self.n_channels), np.float32)
        # The part of the window that lies within the roll; empty where none does.
        first = max(start, 0)
        last = max(min(stop, self.n_frames), first)
        over = np.searchsorted(self._latest_stops, first, side="right")
        begun = self.n_begun(last)
        for i in over + np.flatnonzero(self._stops[over:begun] > first):
            key, value = self._keys[i], self._values[i]
            frames = roll[max(self._starts[i], first) - start : min(self._stops[i], last) - start]
            np.maximum(frames[:, key], value, out=frames[:, key])
            if self._starts[i] >= first:
                onset = self._starts[i] - start, key + self.n_keys
                roll[onset] = max(roll[onset], value)
        return roll

    def whole(self) -> np.ndarray:
        """All frames, shape (n_frames, 176)."""
        return self.window(0, self.n_frames)

    def n_begun(self, frame: int) -> int:
        """How many notes begin before a frame."""
        return int(np.searchsorted(self._starts, frame))

    def first_sounding(self, frame: int) -> int | None:
        """The first frame from `frame` on in which a note sounds; None if there is none."""
        last = self.last_stop(frame)
        if last is not None and last > frame:
            return frame
        index = self.n_begun(frame)
        return int(self._starts[index]) if index < len(self._starts) else None

    def last_stop(self, frame: int) -> int | None:
        """The end frame of the last-ending note that begins before `frame`; None if there is none.

        It is later than `frame` if such a note is still sounding.
        """
        index = self.n_begun(frame)
        return int(self._latest_stops[index - 1]) if index else None


def to_frames(times_s: np.ndarray, frame_rate: float) -> np.ndarray:
    """The frame that each time falls into; halves are rounded up, as on the page."""
    return np.floor(np.asarray(times_s) * frame_rate + 0.5).astype(np.int64)

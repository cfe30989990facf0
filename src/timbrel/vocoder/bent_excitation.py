"""Pulse trains of notes that are bent; see `timbrel.vocoder.excitation`.

The phase of a note is the integral of its frequency since its onset, computed in double precision
for the edges of every frame; within a frame the frequency is constant. The pulses therefore follow
any bend without discontinuities, regardless of how they are cut into blocks.
"""

from __future__ import annotations

import numpy as np

from timbrel.constants import A4_HZ, A4_PITCH
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.pitch import SMALLEST_PART, Timing
from timbrel.vocoder.excitation import (
    BAND_SHARE,
    ENVELOPES,
    NoteFrames,
    ringing_in,
    silent_from,
)


class BentExcitation:
    """What the notes of a track do, span by span.

    Parameters
    ----------
    roll
        The score of the track; not a kit's.
    sample_rate, hop_length
        Of the vocoder; a frame holds the samples from ``frame · hop_length`` on.
    timing
        When notes and bends are heard.
    """

    def __init__(
        self, roll: PerformanceRoll, *, sample_rate: int, hop_length: int, timing: Timing
    ) -> None:
        self._sample_rate, self._hop_length, self._timing = sample_rate, hop_length, timing
        self._frame_rate = sample_rate / hop_length
        self._pitches, self._grid_s = roll.pitches, timing.grid_s
        struck_s, released_s, pitch, self._velocity = roll.notes.T
        self._onset_s, self._release_s = timing.acted(struck_s), timing.acted(released_s)
        self._silent_from_s = silent_from(roll.notes) + timing.delay_s
        self._latest_s = np.maximum.accumulate(self._silent_from_s)
        self._hz = A4_HZ * 2.0 ** ((pitch - A4_PITCH) / 12)
        self._onset_elapsed_s = self._pitches.elapsed(self._onset_s, timing)
        self._swayed: dict[int, np.ndarray] = {}  # of a note with vibrato: seconds, block by block

    def ringing(self, start: int, stop: int) -> np.ndarray:
        """Which notes ring in the frames from `start` to `stop`, (notes,)."""
        span_s = start / self._frame_rate, stop / self._frame_rate
        return ringing_in(*span_s, self._onset_s, self._silent_from_s, self._latest_s)

    def frames(
        self, start: int, stop: int, ringing: np.ndarray | None = None
    ) -> NoteFrames[np.ndarray]:
        """What the notes that ring in the frames from `start` to `stop` do there.

        `ringing` are these notes, where they are known already.
        """
        notes = self.ringing(start, stop) if ringing is None else ringing
        edges_s = np.arange(start, stop + 1) / self._frame_rate
        times_s = edges_s[:-1]
        age_s = times_s - self._onset_s[notes, None]  # (notes, frames)
        first = np.ceil(-age_s * self._sample_rate - 1e-6).clip(0, self._hop_length)
        since_s = np.stack([age_s, times_s - self._release_s[notes, None]], axis=-1).clip(0)
        rings = (first < self._hop_length) & (times_s < self._silent_from_s[notes, None])
        level = self._velocity[notes, None] / 127 * rings
        falls = np.exp(-since_s @ (1 / np.array(ENVELOPES).T))  # (notes, frames, envelopes)
        cycles = self._hz[notes, None] * self._elapsed(notes, edges_s)  # (notes, frames + 1)
        step = np.diff(cycles, axis=1) / self._hop_length
        harmonics = np.floor(BAND_SHARE / 2 / step)
        level = level * (harmonics > 0)  # what is bent above the band is not heard
        return NoteFrames(
            phase=np.mod(cycles[:, :-1], 1.0).astype(np.float32),
            step=step.astype(np.float32),
            harmonics=np.maximum(harmonics, 1.0).astype(np.float32),
            gain=(level[..., None] * falls).astype(np.float32),
            first=first.astype(np.float32),
        )

    def _elapsed(self, notes: np.ndarray, edges_s: np.ndarray) -> np.ndarray:
        """Seconds since each note's onset, passing as fast as it is bent: (notes, edges)."""
        of_track = self._pitches.elapsed(edges_s, self._timing)
        elapsed = of_track - self._onset_elapsed_s[notes, None]
        if self._pitches.has_vibrato:
            for row, note in enumerate(notes):
                found = self._with_vibrato(int(note))
                if found is not None:
                    age_s = edges_s - self._onset_s[note]
                    blocks_s = np.arange(len(found)) * self._grid_s
                    over_s = (age_s - blocks_s[-1]).clip(0)  # when nothing is heard any more
                    swayed = np.interp(age_s, blocks_s, found) + over_s
                    elapsed[row] = np.where(age_s < 0, elapsed[row], swayed)
        return elapsed

    def _with_vibrato(self, note: int) -> np.ndarray | None:
        """The same at the beginning of each block of the synthesizer; None without vibrato."""
        if note not in self._swayed:
            onset_s, end_s, grid_s = self._onset_s[note], self._silent_from_s[note], self._grid_s
            if self._pitches.sways(onset_s, end_s, self._timing):
                n_blocks = int(np.ceil((end_s - onset_s) / grid_s)) + 1
                # Within the blocks, so that what changes at their edges counts.
                blocks_s = onset_s + (np.arange(n_blocks) + SMALLEST_PART) * grid_s
                shift = self._pitches.shift(blocks_s, onset_s, self._timing)
                self._swayed[note] = np.cumsum(np.append(0.0, grid_s * 2.0 ** (shift / 12)))
            else:
                self._swayed[note] = np.zeros(0)
        found = self._swayed[note]
        return found if len(found) else None

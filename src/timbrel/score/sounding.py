"""Notes and the frames in which they are heard: what a network of single notes reads.

A note is told once as long as nothing about it moves. Where it is bent, it is told anew every few
frames, with the pitch that it has in their middle; its key stays the one that was struck, whose
recording a sampler would play.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrel.score.performance_roll import PerformanceRoll

BEFORE_S = 0.036  # a mel frame hears a note so long before it begins: half a window and a little
RING_S = 2.0  # how long a note is followed after its release
BENT_FRAMES = 8  # that a bent note keeps its pitch


@dataclass(frozen=True)
class SoundingNotes:
    """The notes of a stretch of frames."""

    notes: np.ndarray  # (notes, 4) float32: struck key, sounding pitch, velocity, 1 in a kit
    first_frames: np.ndarray  # (notes,) int64: the first frame in which each is told
    of_note: np.ndarray  # (rows,) int64: of which note a row is
    frames: np.ndarray  # (rows,) int64: in which frame it sounds, counted from the first
    times_s: np.ndarray  # (rows, 2) float32: since the note's onset and since its release


def sounding_notes(
    roll: PerformanceRoll,
    start: int,
    stop: int,
    *,
    last: int | None = None,
    timbre_frames: int | None = None,
) -> SoundingNotes:
    """The notes that are heard in frames `start` to `stop`.

    Parameters
    ----------
    roll
        Whose notes and bends count.
    start, stop
        The frames.
    last
        Notes that begin in this frame or later are not known yet; all are where it is None.
    timbre_frames
        Where the timbre moves, notes are told anew after so many frames.
    """
    rate, table = roll.frame_rate, roll.notes
    known = len(table) if last is None else int(np.searchsorted(table[:, 0], (last - 0.5) / rate))
    begins, ends = table[:known, 0] - BEFORE_S, table[:known, 1] + RING_S
    heard = np.flatnonzero((begins < stop / rate) & (ends > start / rate))
    times_s = np.arange(start, stop) / rate
    inside = (times_s >= begins[heard, None]) & (times_s < ends[heard, None])
    index, frames = np.nonzero(inside)
    row_notes = heard[index]
    ages = times_s[frames] - table[row_notes, 0]
    released = times_s[frames] - table[row_notes, 1]
    shifts = roll.shifts(start, stop, heard, BENT_FRAMES)[index, frames]
    stretch = np.zeros_like(frames) if timbre_frames is None else frames // timbre_frames
    keys_of_rows = np.stack([index, stretch, shifts], axis=1)
    told, first_rows, of_note = np.unique(
        keys_of_rows, axis=0, return_index=True, return_inverse=True
    )
    of = heard[told[:, 0].astype(int)]
    pitches = table[of, 2] + told[:, 2]
    keys = np.clip(np.floor(table[of, 2] + 0.5), 0, 127)
    notes = np.stack([keys, pitches, table[of, 3], np.full(len(of), roll.is_kit)], axis=1)
    return SoundingNotes(
        notes=notes.astype(np.float32),
        first_frames=frames[first_rows],
        of_note=of_note.reshape(-1),
        frames=frames,
        times_s=np.stack([ages, released], axis=1).astype(np.float32),
    )

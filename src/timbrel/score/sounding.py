"""Notes and the stretches of frames in which they are heard: what a network of single notes reads.

Time is divided into short stretches. A note is told once as long as nothing about it moves; where
it is bent, each stretch has the pitch of its middle. Its key stays the one that was struck, whose
recording a sampler would play.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.piano_roll import PianoRoll

BEFORE_S = 0.036  # a mel frame hears a note so long before it begins: half a window and a little
RING_S = 2.0  # how long a note is followed after its release
STRETCH = 8  # frames, unless a hop is no multiple of it


@dataclass(frozen=True)
class SoundingNotes:
    """The notes of some frames."""

    # (notes, 4) float32: struck key, sounding pitch, velocity, 1 in a kit. It is a tensor where
    # velocities have gradients.
    notes: Any
    first_frames: np.ndarray  # (notes,) int64: in which each is first told, from the first frame
    of_note: np.ndarray  # (rows,) int64: of which note a row is
    stretches: np.ndarray  # (rows,) int64: in which stretch of the frames it is heard, from 0
    times_s: np.ndarray  # (rows, stretch, 2) float32: since the note's onset and since its release


def sounding_notes(
    roll: PianoRoll,
    start: int,
    stop: int,
    *,
    last: int | None = None,
    stretch: int = STRETCH,
    told_anew: bool = False,
) -> SoundingNotes:
    """The notes that are heard from frame `start` to frame `stop`.

    Parameters
    ----------
    roll
        Of a performance, whose notes and bends count.
    start, stop
        The frames; the last stretch may reach beyond them.
    last
        Notes that begin in this frame or later are not known yet; all are where it is None.
    stretch
        Frames of one.
    told_anew
        Whether notes are told anew in each stretch, as when the timbre moves.
    """
    assert isinstance(roll, PerformanceRoll)
    rate, table = roll.frame_rate, roll.notes
    known = len(table) if last is None else roll.n_begun(last)
    firsts = np.arange(start, stop, stretch)
    begins, ends = table[:known, 0] - BEFORE_S, table[:known, 1] + RING_S
    heard = np.flatnonzero((begins < stop / rate) & (ends > start / rate))
    inside = ((firsts + stretch - 1) / rate >= begins[heard, None]) & (
        firsts / rate < ends[heard, None]
    )
    index, stretches = np.nonzero(inside)
    rows = heard[index]
    times_s = (firsts[stretches, None] + np.arange(stretch)) / rate
    times_s = np.stack([times_s - table[rows, i, None] for i in (0, 1)], axis=-1)
    shifts = roll.shifts((firsts + stretch / 2) / rate, heard)[index, stretches]
    which = np.stack([index, stretches if told_anew else np.zeros_like(index), shifts], axis=1)
    told, first_rows, of_note = np.unique(which, axis=0, return_index=True, return_inverse=True)
    of = heard[told[:, 0].astype(int)]
    keys = np.clip(np.floor(table[of, 2] + 0.5), 0, 127)
    in_kit = np.full(len(of), roll.is_kit)
    notes = np.stack([keys, table[of, 2] + told[:, 2], table[of, 3], in_kit], axis=1)
    return SoundingNotes(
        notes=notes.astype(np.float32),
        first_frames=stretch * stretches[first_rows],
        of_note=of_note.reshape(-1),
        stretches=stretches,
        times_s=times_s.astype(np.float32),
    )

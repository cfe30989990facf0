"""Single notes of prepared data → batches for a network of single notes.

A note changes most where it begins and where it is released, so most of the frames that are drawn
of it lie there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrel.corpus.selection import SINGLE_NOTES
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.sounding import RING_S
from timbrel.training.dataset import MelClips

_BEFORE_S, _ATTACK_S = 0.05, 0.06  # about an onset
_HELD_FROM_S = 0.02  # after it; from here on, the logarithms of times are equally likely
_RELEASE_BEFORE_S = 0.04  # about a release
_DRAWN = 7  # apart from what else is drawn by the same seed and step
_AFTER_S = 1.0  # after it, for the frames that are spread evenly
# Of the frames of a note, those about its onset, while it is held, before its release, after it.
_SHARES = (0.25, 0.3, 0.06, 0.22)


@dataclass(frozen=True)
class NoteBatch:
    """Notes alone, and some frames of each."""

    notes: np.ndarray  # (notes, 4) float32, as `NoteNetwork.codes` reads them
    instrument: np.ndarray  # (notes,) int64
    times_s: np.ndarray  # (notes, frames, 2) float32
    mel: np.ndarray  # (notes, frames, n_mels) float32, natural logarithm


class SingleNotes:
    """The single notes among the clips of a split.

    Parameters
    ----------
    clips
        Of the split, with rolls of performances.
    """

    def __init__(self, clips: MelClips) -> None:
        self._clips = clips
        rows = []  # clip, onset, release, key, bend, velocity
        for index, clip in enumerate(clips.clips):
            if clip.kind != SINGLE_NOTES:
                continue
            roll = clips.roll(index)
            assert isinstance(roll, PerformanceRoll)
            for onset_s, release_s, pitch, velocity in roll.notes[:, :4].tolist():
                bend = float(roll.pitches.shift(np.array([onset_s + 0.01]), onset_s)[0])
                rows.append((index, onset_s, release_s, pitch, bend, velocity))
        self._rows = np.array(rows, np.float64).reshape(-1, 6)
        labels = clips.labels[self._rows[:, 0].astype(np.int64)]
        order = np.argsort(labels, kind="stable")
        self._rows, self._instrument = self._rows[order], labels[order]
        places = np.arange(len(clips.labels) and clips.labels.max() + 1)
        sides = [np.searchsorted(self._instrument, places, side) for side in ("left", "right")]
        self._bounds = np.stack(sides, axis=1)  # of each instrument's rows

    def __len__(self) -> int:
        return len(self._rows)

    def batch(
        self, step: int, n_notes: int, n_frames: int, seed: tuple[int, ...], together: int
    ) -> NoteBatch:
        """Some frames of some notes; the same step and seed give the same batch.

        So many notes in a row, `together`, are of one instrument; `n_notes` is a multiple of it.
        """
        random = np.random.default_rng((*seed, step, _DRAWN))
        # Instruments are drawn as often as they have notes.
        firsts = random.integers(len(self._rows), size=n_notes // together)
        begin, end = self._bounds[self._instrument[firsts]].T
        drawn = random.integers(begin[:, None], end[:, None], (len(firsts), together))
        rows = self._rows[drawn.ravel()]
        clip = rows[:, 0].astype(np.int64)
        onset, release, key, bend, velocity = rows[:, 1:].T
        drawn_s = self._times_s(random, onset, release, n_frames)
        rate = self._clips.config.frame_rate
        last = self._clips.n_frames[clip][:, None] - 1
        frames = np.clip(np.round(drawn_s * rate), 0, last).astype(np.int64)
        mels = [self._clips.frames(i, own) for i, own in zip(clip.tolist(), frames, strict=True)]
        ages, released = (frames / rate - times[:, None] for times in (onset, release))
        kit = self._clips.is_kit[clip].astype(np.float64)
        return NoteBatch(
            notes=np.stack([key, key + bend, velocity, kit], axis=1).astype(np.float32),
            instrument=self._clips.labels[clip],
            times_s=np.stack([ages, released], axis=-1).astype(np.float32),
            mel=np.stack(mels),
        )

    @staticmethod
    def _times_s(
        random: np.random.Generator, onset: np.ndarray, release: np.ndarray, n_frames: int
    ) -> np.ndarray:
        """Times of frames, (notes, n_frames)."""
        share = random.random((len(onset), n_frames))
        bounds = np.cumsum([int(part * n_frames) for part in _SHARES])
        begun, kept, let_go, over, rest = np.split(share, bounds, axis=1)
        on, off = onset[:, None], release[:, None]
        length = np.maximum(off - on, 2 * _HELD_FROM_S)
        return np.concatenate(
            [
                on - _BEFORE_S + (_BEFORE_S + _ATTACK_S) * begun,
                on + _HELD_FROM_S * (length / _HELD_FROM_S) ** kept,
                off - _RELEASE_BEFORE_S + _RELEASE_BEFORE_S * let_go,
                off + _RELEASE_BEFORE_S * (RING_S / _RELEASE_BEFORE_S) ** over,
                on + (off - on + _AFTER_S) * rest,
            ],
            axis=1,
        )

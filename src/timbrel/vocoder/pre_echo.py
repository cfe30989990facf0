"""Nothing of a stroke is heard before it.

A frame of the mel hears half a window ahead and a frame of the vocoder sounds as far back, so what
rings of earlier strokes would swell before the next one. But the score says when that comes: until
then, the sound is held at the level that it had before any window reached the stroke.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

REACH_S = 0.048  # half a window of the studio's mel, and half a window of its vocoder
REFERENCE_S = 0.016  # of sound before that, which says what the level was
BLOCKS_PER_HOP = 8  # of which each has one level


class PreEchoControl:
    """Holds back what swells before strokes, block by block.

    Parameters
    ----------
    onsets
        For each track the samples in which its strokes begin, rising.
    sample_rate, hop_length
        Of the vocoder.
    """

    def __init__(self, onsets: Sequence[np.ndarray], *, sample_rate: int, hop_length: int) -> None:
        self._onsets = [np.unique(one) for one in onsets]
        self._block = hop_length // BLOCKS_PER_HOP
        self._reach, self._reference = (round(s * sample_rate) for s in (REACH_S, REFERENCE_S))
        self._n_blocks = -(-(self._reach + self._reference) // self._block) + 1  # remembered
        self.restart()

    def restart(self) -> None:
        """Go on as after silence."""
        self._levels = np.zeros((len(self._onsets), self._n_blocks), np.float32)

    def process(self, audio: np.ndarray, begin: int) -> np.ndarray:
        """Take whole hops of audio from a sample on, (tracks, samples), and give as many."""
        blocks = audio.reshape(len(audio), -1, self._block)
        new = np.square(blocks).mean(axis=2)
        levels = np.concatenate([self._levels, new], axis=1)
        self._levels = levels[:, -self._n_blocks :]
        gains = [
            self._gains(own, onsets, begin)
            for own, onsets in zip(levels, self._onsets, strict=True)
        ]
        return audio * np.stack(gains)

    def _gains(self, levels: np.ndarray, onsets: np.ndarray, begin: int) -> np.ndarray:
        """The gain of each sample of the new blocks, which are the last ones of the levels."""
        block, old = self._block, self._n_blocks
        n_samples = (len(levels) - old) * block
        of_blocks = np.ones(len(levels), np.float32)
        early = np.zeros(n_samples, bool)
        first = begin // block - old  # the block that the first level is of
        near = range(
            int(np.searchsorted(onsets, begin, "right")),
            int(np.searchsorted(onsets, begin + n_samples + self._reach)),
        )
        for i in near:
            onset = int(onsets[i])
            start = onset - self._reach
            if i:  # the stroke before is not held back
                start = max(start, int(onsets[i - 1]) + self._reference)
            start = -(-start // block)
            held = slice(start - first, min(-(-onset // block) - first, len(levels)))
            if held.start >= held.stop:
                continue
            before = max(held.start - self._reference // block, 0)
            level = levels[before : held.start].mean()
            above = np.maximum(levels[held], level)
            of_blocks[held] = np.sqrt(level / np.where(above > 0, above, 1))
            early[max(start * block - begin, 0) : max(onset - begin, 0)] = True
        ramp = (np.arange(block, dtype=np.float32) + 1) / block
        last, now = of_blocks[old - 1 : -1, None], of_blocks[old:, None]
        return np.where(early, (last + (now - last) * ramp).ravel(), np.float32(1))

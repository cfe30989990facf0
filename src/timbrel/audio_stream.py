"""The sound of a score as it is made: block by block, as computed or as it is to be heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from timbrel.limiter import Limiter
from timbrel.timbre.timbre import Timbre


@dataclass(frozen=True)
class Block:
    """A block of a stream's audio."""

    mix: np.ndarray  # (samples, channels)
    # No tracks where `RenderOptions.stems` does not ask for them. Post-fader (tracks, samples,
    # channels), parts of the mix; pre-fader (tracks, samples), as long as the mix in all.
    tracks: np.ndarray

    @property
    def parts(self) -> np.ndarray:
        """The mix and its post-fader tracks side by side, (samples, columns)."""
        if self.tracks.ndim < 3:
            return self.mix
        return np.concatenate([self.mix, *self.tracks], axis=1)

    def with_parts(self, parts: np.ndarray) -> Block:
        """Another block of the same kind, whose `parts` are these."""
        mix, tracks = split_parts(parts, self.mix.shape[1])
        return Block(mix, self.tracks if self.tracks.ndim < 3 else tracks)


def split_parts(parts: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Mix (samples, channels) and tracks (tracks, samples, channels) of `Block.parts`."""
    n_tracks = parts.shape[1] // channels - 1
    tracks = parts[:, channels:].reshape(len(parts), n_tracks, channels).swapaxes(0, 1)
    return parts[:, :channels], tracks


@dataclass(frozen=True)
class AudioStream:
    """The sound of a score, computed block by block while it is iterated over.

    Every iteration starts from the beginning and gives the same sound, in memory that does not
    depend on the length.
    """

    length: int  # samples of the mix
    sample_rate: int  # Hz
    channels: int
    n_blocks: int
    n_voices: int  # what is computed apart
    notes_left_out: int  # beyond the limits on simultaneous notes; see `timbrel.voices`
    timbres: tuple[Timbre | None, ...]  # of the score's tracks; None of those not heard
    # The loudness that the mix is to have, and the gain that is expected to give it that; where no
    # loudness is asked for, the gain that is.
    loudness_lufs: float | None
    gain_db: float
    _play: Callable[[], Iterator[Block]] = field(repr=False)

    @property
    def duration_s(self) -> float:
        """How long the sound is, in seconds."""
        return self.length / self.sample_rate

    def unmastered(self) -> Iterator[Block]:
        """The sound without gain and limiter."""
        return self._play()

    def __iter__(self) -> Iterator[Block]:
        limiter = Limiter(self.sample_rate, self.channels, gain_db=self.gain_db)
        for number, block in enumerate(self._play(), 1):
            yield block.with_parts(limiter.process(block.parts, last=number == self.n_blocks))

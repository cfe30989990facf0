"""Voices → one stereo mix: volume and pan.

A mix is the sum of its voices, as on a mixing desk whose faders follow the score: no voice is
turned down because there are others. How loud the sum becomes is settled afterwards, in
`timbrel.mastering`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from timbrel.score.score import Track

SMOOTHING_BLOCK_S = 0.004  # volume and pan move in straight lines between points so far apart


class Mixer:
    """Mix blocks of voices; the cutting into blocks does not change the result.

    Every voice is scaled by its volume and expression and placed by its pan (constant power, 0 dB
    in the centre).

    Parameters
    ----------
    tracks
        One for each voice, whose gain and pan are applied.
    sample_rate
        In Hz.
    channels
        2, or 1 for a mono mix that ignores the pan.
    position
        Sample of the score that the mix begins with.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        sample_rate: int,
        channels: int,
        *,
        position: int = 0,
    ) -> None:
        self._tracks = tracks
        self._sample_rate = sample_rate
        self._channels = channels
        self._position = position  # of the next sample that comes in

    def process(
        self, sounds: Mapping[int, np.ndarray], n_samples: int
    ) -> Iterator[tuple[int, np.ndarray]]:
        """The next samples of voices as they are in the mix, which is the sum of them.

        Parameters
        ----------
        sounds
            The audio (n_samples,) of voices by their indices; the others are silent.
        n_samples
            Length of the block.

        Returns
        -------
        iterator of tuple
            Of each voice its index and its sound, float32, (n_samples, channels), in order.
        """
        start, self._position = self._position, self._position + n_samples
        return (
            (index, sounds[index][:, None] * self._gains(self._tracks[index], start, n_samples))
            for index in sorted(sounds)
        )

    def _gains(self, track: Track, start: int, n_samples: int) -> np.ndarray:
        """Amplitudes of a track in each channel for some samples, (samples, channels)."""
        if len(track.gain.times_s) == 1 and len(track.pan.times_s) == 1:
            return self._at(track, np.zeros(1))
        step = round(SMOOTHING_BLOCK_S * self._sample_rate)
        points = np.arange(start // step, (start + n_samples) // step + 2)
        gains = self._at(track, points * step / self._sample_rate)
        where = np.arange(start, start + n_samples)
        columns = [np.interp(where, points * step, column) for column in gains.T]
        return np.stack(columns, axis=1).astype(np.float32)

    def _at(self, track: Track, times_s: np.ndarray) -> np.ndarray:
        gain = track.gain.at(times_s)[:, None]
        if self._channels == 1:
            return gain.astype(np.float32)
        angle = (track.pan.at(times_s) + 1) * np.pi / 4
        sides = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return (gain * sides).astype(np.float32)

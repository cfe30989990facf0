"""Voices → one stereo mix: volume, pan, and the room in which they sound.

A mix is the sum of its voices, as on a mixing desk whose faders follow the score: no voice is
turned down because there are others. How loud the sum becomes is settled afterwards, in
`timbrel.mastering`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from timbrel.room import Room
from timbrel.score.placement import CENTRE
from timbrel.score.score import Automation, Track

SMOOTHING_BLOCK_S = 0.004  # between the points that volume, pan and sends move through straight


class Mixer:
    """Mix blocks of voices; the cutting into blocks does not change the result.

    Every voice is scaled by its volume and expression, placed by its pan (constant power, 0 dB in
    the centre), and sent to a `Room` that all share. Where no voice is ever sent there, it is not
    computed.

    Parameters
    ----------
    tracks
        One for each voice, whose gain, pan and sends are applied; one without a pan is in the
        centre.
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
        is_sent = any(any((*t.reverb.values, *t.chorus.values)) for t in tracks)
        self._room = Room(sample_rate, channels, position=position) if is_sent else None

    def process(self, sounds: Mapping[int, np.ndarray], n_samples: int) -> np.ndarray:
        """The next samples of the mix.

        Parameters
        ----------
        sounds
            The audio (n_samples,) of voices by their indices; the others are silent.
        n_samples
            Length of the block.

        Returns
        -------
        mix : ndarray of float32, shape (n_samples, channels)
        """
        start, self._position = self._position, self._position + n_samples
        mix, *sends = np.zeros((1 if self._room is None else 3, n_samples, self._channels), "f4")
        for index in sorted(sounds):
            track = self._tracks[index]
            placed = sounds[index][:, None] * self._sides(track, start, n_samples)
            mix += placed
            for send, curve in zip(sends, (track.reverb, track.chorus), strict=False):
                if any(curve.values):
                    send += placed * self._send(curve, start, n_samples)
        if self._room is not None:
            mix += self._room.process(*sends)
        return mix

    def _sides(self, track: Track, start: int, n_samples: int) -> np.ndarray:
        """Amplitudes of a track in each channel for some samples, (samples or 1, channels)."""
        gain, pan = track.gain, track.pan or CENTRE

        def at(times_s: np.ndarray) -> np.ndarray:
            amplitude = gain.at(times_s)[:, None]
            if self._channels == 1:
                return amplitude
            angle = (pan.at(times_s) + 1) * np.pi / 4
            return amplitude * (np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1))

        return self._smoothed(at, (gain, pan), start, n_samples)

    def _send(self, curve: Automation, start: int, n_samples: int) -> np.ndarray:
        """What is sent to an effect for some samples, (samples or 1, 1)."""
        return self._smoothed(
            lambda times_s: curve.at(times_s)[:, None], (curve,), start, n_samples
        )

    def _smoothed(
        self,
        at: Callable[[np.ndarray], np.ndarray],
        curves: Sequence[Automation],
        start: int,
        n_samples: int,
    ) -> np.ndarray:
        """Values at times, (times, columns), in straight lines; a single one if no curve moves."""
        if all(len(curve.times_s) == 1 for curve in curves):
            return at(np.zeros(1)).astype(np.float32)
        step = round(SMOOTHING_BLOCK_S * self._sample_rate)
        points = np.arange(start // step, (start + n_samples) // step + 2)
        values = at(points * step / self._sample_rate).astype(np.float32)
        where = np.arange(start, start + n_samples)
        columns = [np.interp(where, points * step, column) for column in values.T]
        return np.stack(columns, axis=1).astype(np.float32)

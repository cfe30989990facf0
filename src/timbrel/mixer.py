"""Voices → one stereo mix: volume, pan, and a limiter.

A mix is the sum of its voices, as on a mixing desk whose faders follow the score: no voice is
turned down because there are others. One note of a piano is some 30 dB below full scale, so ten
simultaneous parts rarely reach the limiter, which catches anything louder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from timbrel.score.score import Track

CEILING = 10 ** (-1 / 20)  # −1 dB, where the limiter holds the mix
LOOKAHEAD_S = 0.005
RELEASE_S = 0.2
NEGLIGIBLE = 1e-6  # reductions that nobody hears
SMOOTHING_BLOCK_S = 0.004  # volume and pan move in straight lines between points so far apart


class Mixer:
    """Mix blocks of voices; the cutting into blocks does not change the result.

    Every voice is scaled by its volume and expression and placed by its pan (constant power, 0 dB
    in the centre). The sum is held below −1 dB by a limiter that looks 5 ms ahead; a mix that stays
    below passes it unaltered.

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
    gain_db
        Of the whole mix, before the limiter.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        sample_rate: int,
        channels: int,
        *,
        position: int = 0,
        gain_db: float = 0.0,
    ) -> None:
        self._tracks = tracks
        self._sample_rate = sample_rate
        self._channels = channels
        self._position = position  # of the next sample that comes in
        self._gain = 10 ** (gain_db / 20)
        self._limiter = _Limiter(sample_rate, channels)

    def process(
        self, sounds: Mapping[int, np.ndarray], n_samples: int, *, last: bool = False
    ) -> np.ndarray:
        """Mix a block to (samples, channels), delayed but for `last`.

        The limiter keeps the newest 5 ms back; in all, as many samples come out as went in.

        Parameters
        ----------
        sounds
            The audio (n_samples,) of voices by their indices; the others are silent.
        n_samples
            Length of the block.
        last
            Nothing follows: give all that is left.
        """
        mix = np.zeros((n_samples, self._channels), np.float32)
        for index in sorted(sounds):
            mix += sounds[index][:, None] * self._gains(self._tracks[index], n_samples)
        self._position += n_samples
        return self._limiter.process(mix, last=last)

    def _gains(self, track: Track, n_samples: int) -> np.ndarray:
        """Amplitudes of a track in each channel for the next samples, (samples, channels)."""
        if len(track.gain.times_s) == 1 and len(track.pan.times_s) == 1:
            return self._at(track, np.zeros(1))
        step = round(SMOOTHING_BLOCK_S * self._sample_rate)
        first = self._position // step
        points = np.arange(first, (self._position + n_samples) // step + 2)
        gains = self._at(track, points * step / self._sample_rate)
        where = np.arange(self._position, self._position + n_samples)
        columns = [np.interp(where, points * step, column) for column in gains.T]
        return np.stack(columns, axis=1).astype(np.float32)

    def _at(self, track: Track, times_s: np.ndarray) -> np.ndarray:
        gain = self._gain * track.gain.at(times_s)[:, None]
        if self._channels == 1:
            return gain.astype(np.float32)
        angle = (track.pan.at(times_s) + 1) * np.pi / 4
        sides = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return (gain * sides).astype(np.float32)


class _Limiter:
    """Holds peaks below the ceiling: full attack within the look-ahead, exponential release."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._lookahead = round(LOOKAHEAD_S * sample_rate)
        self._log_release = -1 / (RELEASE_S * sample_rate)
        self._held = np.zeros((0, channels), np.float32)  # samples kept back
        self._reductions = np.zeros(self._lookahead)  # of the last samples that went out
        self._begun = False

    def process(self, mix: np.ndarray, *, last: bool) -> np.ndarray:
        samples = np.concatenate([self._held, mix])
        n_out = len(samples) if last else max(len(samples) - self._lookahead, 0)
        out, self._held = samples[:n_out], samples[n_out:]
        if n_out == 0:
            return out
        peaks = np.abs(samples).max(axis=1).astype(np.float64)
        wanted = 1 - np.minimum(1.0, CEILING / np.maximum(peaks, CEILING))
        wanted = np.pad(wanted, (0, n_out + self._lookahead - len(wanted)))
        if not self._begun:
            # What is loud in the first samples was held before them.
            self._reductions[:] = wanted[: self._lookahead + 1].max()
            self._begun = True
        if not wanted.any() and not self._reductions.any():
            return out
        # The largest reduction that the next samples want, released exponentially (a running
        # maximum on a logarithmic scale), then averaged over the look-ahead: it has come down in
        # full when the peak arrives.
        n = self._lookahead
        ahead = np.lib.stride_tricks.sliding_window_view(wanted, n + 1).max(axis=1)
        ahead = np.concatenate([self._reductions[-1:], ahead])
        steps = np.arange(n_out + 1) * self._log_release
        with np.errstate(divide="ignore"):
            released = np.exp(np.maximum.accumulate(np.log(ahead) - steps) + steps)[1:]
        released[released < NEGLIGIBLE] = 0.0
        history = np.concatenate([self._reductions, released])
        self._reductions = history[-n:]
        gain = 1 - np.lib.stride_tricks.sliding_window_view(history, n + 1).mean(axis=1)
        return (out * gain[:, None]).astype(np.float32)

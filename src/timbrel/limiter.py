"""A look-ahead limiter that holds the true peak of sound below a ceiling."""

from __future__ import annotations

import numpy as np

from timbrel.loudness import REACH, true_peaks

CEILING_DBTP = -1.0
# What values between the samples hide from a 4× measurement, and what resampling and rounding add.
MARGIN_DB = 0.25
LOOKAHEAD_S = 0.005
RELEASE_S = 0.2
NEGLIGIBLE = 1e-6  # reductions that nobody hears


class Limiter:
    """Applies a gain and holds peaks: full attack within the look-ahead, exponential release.

    Sound that stays below the ceiling passes with the gain alone. The cutting into blocks does not
    change the result.

    Parameters
    ----------
    sample_rate
        In Hz.
    channels
        Columns of the sound that are listened to; further columns get the same gain curve.
    gain_db
        Before the limiter.
    """

    def __init__(self, sample_rate: int, channels: int, *, gain_db: float = 0.0) -> None:
        self._channels = channels
        self._gain = 10 ** (gain_db / 20)
        self._ceiling = 10 ** ((CEILING_DBTP - MARGIN_DB) / 20)
        self._lookahead = round(LOOKAHEAD_S * sample_rate)
        self._log_release = -1 / (RELEASE_S * sample_rate)
        self._held: np.ndarray | None = None  # samples kept back
        self._past = np.zeros((REACH - 1, channels), np.float32)  # what peaks are interpolated from
        self._wanted = np.zeros(0)  # reductions for the first of the samples that are held
        self._reductions = np.zeros(self._lookahead)  # of the last samples that went out
        self._begun = False

    def process(self, sound: np.ndarray, *, last: bool = False) -> np.ndarray:
        """Limit a block (samples, columns), delayed but for `last`.

        The newest 5 ms and some samples are kept back; in all, as many come out as went in.

        Parameters
        ----------
        sound
            Its first columns are the channels.
        last
            Nothing follows: give all that is left.
        """
        sound = np.asarray(sound, np.float32) * np.float32(self._gain)
        samples = sound if self._held is None else np.concatenate([self._held, sound])
        self._look_at(sound[:, : self._channels], last=last)
        n_out = len(samples) if last else max(len(self._wanted) - self._lookahead, 0)
        out, self._held = samples[:n_out], samples[n_out:]
        wanted, self._wanted = self._wanted, self._wanted[n_out:]
        return out * self._curve(wanted, n_out)[:, None] if n_out else out

    def _look_at(self, heard: np.ndarray, *, last: bool) -> None:
        """Find the reductions that the newest samples want."""
        near = np.concatenate([self._past, heard])
        if last:
            near = np.concatenate([near, np.zeros((REACH, self._channels), np.float32)])
        peaks = true_peaks(near, above=self._ceiling).astype(np.float64)
        self._past = near[len(peaks) :]
        wanted = 1 - self._ceiling / np.maximum(peaks, self._ceiling)
        self._wanted = np.concatenate([self._wanted, wanted])

    def _curve(self, wanted: np.ndarray, n_out: int) -> np.ndarray:
        """The gains of the next samples, (n_out,), float32."""
        n = self._lookahead
        wanted = np.pad(wanted, (0, n_out + n - len(wanted)))
        if not self._begun:
            # What is loud in the first samples was held before them.
            self._reductions[:] = wanted[: n + 1].max()
            self._begun = True
        if not wanted.any() and not self._reductions.any():
            return np.ones(n_out, np.float32)
        # The largest reduction that the next samples want, released exponentially (a running
        # maximum on a logarithmic scale), then averaged over the look-ahead: it has come down in
        # full when the peak arrives.
        ahead = np.concatenate([self._reductions[-1:], _running_maximum(wanted, n + 1)])
        steps = np.arange(n_out + 1) * self._log_release
        with np.errstate(divide="ignore"):
            released = np.exp(np.maximum.accumulate(np.log(ahead) - steps) + steps)[1:]
        released[released < NEGLIGIBLE] = 0.0
        history = np.concatenate([self._reductions, released])
        self._reductions = history[-n:].copy()
        sums = np.concatenate([[0.0], np.cumsum(history)])
        return (1 - (sums[n + 1 :] - sums[: -n - 1]) / (n + 1)).astype(np.float32)


def _running_maximum(values: np.ndarray, width: int) -> np.ndarray:
    """The largest of each `width` values in a row, (len(values) − width + 1,)."""
    # Of two maxima each: to the end of a stretch of `width`, and from the beginning of the next.
    n_out = len(values) - width + 1
    stretches = np.pad(values, (0, -len(values) % width)).reshape(-1, width)
    to_end = np.maximum.accumulate(stretches[:, ::-1], axis=1)[:, ::-1].ravel()
    from_begin = np.maximum.accumulate(stretches, axis=1).ravel()
    return np.maximum(to_end[:n_out], from_begin[width - 1 : width - 1 + n_out])

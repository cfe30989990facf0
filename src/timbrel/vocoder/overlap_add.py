"""The inverse short-time Fourier transform, as spectra come in."""

from __future__ import annotations

import numpy as np

from timbrel.errors import InputError
from timbrel.mel.spectrogram import hann_window

_LEAST_WEIGHT = 1e-3  # where hardly any window reaches, nothing is made louder


class OverlapAdd:
    """Adds windowed inverse transforms where they overlap.

    Row `k` of the spectra is centred on sample ``k · hop_length``, as those of
    `timbrel.mel.spectrogram.stft` are.

    Parameters
    ----------
    n_tracks
        Rows of audio.
    n_fft, hop_length
        Of the transform.

    Raises
    ------
    InputError
        If the window is no whole number of hops.
    """

    def __init__(self, n_tracks: int, *, n_fft: int, hop_length: int) -> None:
        if n_fft % hop_length:
            raise InputError(
                f"a window of {n_fft} samples is no whole number of hops of {hop_length}, as is "
                "needed where windows are added up"
            )
        self._n_fft, self._hop = n_fft, hop_length
        self._window = hann_window(n_fft)
        self._past = n_fft // hop_length
        self._audio = np.zeros((n_tracks, n_fft - hop_length), np.float32)
        self._weight = np.zeros(n_fft - hop_length, np.float32)
        self._skip = n_fft // 2  # the first window reaches that far before the start

    def add(self, spectra: np.ndarray, *, last: bool = False) -> np.ndarray:
        """Take spectra and give the samples that no later one will touch.

        Parameters
        ----------
        spectra : ndarray of complex, shape (tracks, frames, n_fft / 2 + 1)
        last
            Nothing follows: give the half window, too, that lies after the last one's centre.

        Returns
        -------
        audio : ndarray of float32, shape (tracks, samples)
        """
        n_samples = spectra.shape[1] * self._hop
        audio, weight = self.sums(spectra), self.weight(spectra.shape[1])
        rest = self._n_fft - self._hop
        audio[:, :rest] += self._audio
        weight[:rest] += self._weight
        self._audio, self._weight = audio[:, n_samples:], weight[n_samples:]
        if last:
            n_samples += self._n_fft // 2
        skip = min(self._skip, n_samples)
        self._skip -= skip
        kept = slice(skip, n_samples)
        return audio[:, kept] / np.maximum(weight[kept], _LEAST_WEIGHT)

    def sums(self, spectra: np.ndarray) -> np.ndarray:
        """Windowed inverse transforms, added: (tracks, n_fft + (frames - 1) · hop_length)."""
        frames = np.fft.irfft(spectra, self._n_fft, axis=-1).astype(np.float32) * self._window
        n_tracks, n_frames, _ = frames.shape
        parts = frames.reshape(n_tracks, n_frames, self._past, self._hop)
        audio = np.zeros((n_tracks, n_frames + self._past - 1, self._hop), np.float32)
        for i in range(self._past):
            audio[:, i : i + n_frames] += parts[:, :, i]
        return audio.reshape(n_tracks, -1)

    def weight(self, n_frames: int) -> np.ndarray:
        """What the windows of so many frames add up to, which divides their `sums`."""
        parts = np.square(self._window).reshape(self._past, self._hop)
        weight = np.zeros((n_frames + self._past - 1, self._hop), np.float32)
        for i in range(self._past):
            weight[i : i + n_frames] += parts[i]
        return weight.reshape(-1)

    def consistent(self, spectra: np.ndarray) -> np.ndarray:
        """The spectra of the audio that has, as nearly as possible, these spectra."""
        weight = np.maximum(self.weight(spectra.shape[1]), _LEAST_WEIGHT)
        return self.transformed(self.sums(spectra) / weight)

    def transformed(self, audio: np.ndarray) -> np.ndarray:
        """The spectra of all windows that lie within audio (tracks, samples)."""
        frames = np.lib.stride_tricks.sliding_window_view(audio, self._n_fft, axis=1)
        return np.fft.rfft(frames[:, :: self._hop] * self._window, axis=-1)

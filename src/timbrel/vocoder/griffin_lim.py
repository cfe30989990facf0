"""Griffin-Lim: a vocoder without training, and the baseline for those that are trained.

The mel is spread back to a magnitude spectrum, and phases are found that are consistent where the
windows overlap (Griffin and Lim 1984, with the momentum of Perraudin, Balazs and Søndergaard 2013).
It works on an absolute grid of chunks: the frames before a chunk are final and held fixed, and some
frames after it are estimated along with it but become final only with the next chunk. So audio of
any length needs the memory of one chunk, and blocks of any size give the same samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_filters
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder.overlap_add import OverlapAdd
from timbrel.vocoder.vocoder import VocoderStream, check_mel

_CHUNK = 32  # frames settled at a time
_AHEAD = 8  # frames tried along
_ITERATIONS = 16
_MOMENTUM = 0.99
_SPREAD_ITERATIONS = 24
# Magnitudes this far below that of a full-scale sine count as silence; spread over the bins, they
# would be audible as hiss.
_SILENCE_DB = -100.0


class GriffinLim:
    """Griffin-Lim for a mel geometry.

    Parameters
    ----------
    mel
        The geometry; Timbrel's default where it is None.
    iterations
        For each chunk.
    """

    def __init__(self, mel: MelConfig | None = None, *, iterations: int = _ITERATIONS) -> None:
        self.mel = mel or MelConfig()
        self.roll: str | None = None
        self.iterations = iterations
        self._filters = mel_filters(self.mel).T  # (n_mels, bins)
        self._inverse = np.linalg.pinv(self._filters).T.astype(np.float32)  # (n_mels, bins)

    def stream(
        self, rolls: Sequence[PianoRoll], *, seed: int = 0, numbers: Sequence[int] | None = None
    ) -> VocoderStream:
        """Begin with as many tracks as there are rolls; what they play is not looked at."""
        return _GriffinLimStream(self, range(len(rolls)) if numbers is None else numbers, seed)

    def magnitudes(self, mel: np.ndarray) -> np.ndarray:
        """Spread natural-log mels (…, n_mels) to non-negative magnitudes (…, bins).

        The least-squares solution is the start; multiplicative updates (Lee and Seung 2001) make
        it fit without going below zero.
        """
        target = np.exp(mel)
        spread = np.maximum(target @ self._inverse, 1e-8)
        numerator = target @ self._filters
        for _ in range(_SPREAD_ITERATIONS):
            spread *= numerator / (spread @ self._filters.T @ self._filters + 1e-8)
        silence = 10 ** (_SILENCE_DB / 20) * self.mel.n_fft / 4
        return np.where(spread > silence, spread, 0.0).astype(np.float32)


class _GriffinLimStream:
    """The state of `GriffinLim` on its way through some tracks."""

    def __init__(self, vocoder: GriffinLim, numbers: Sequence[int], seed: int) -> None:
        mel = vocoder.mel
        self._vocoder, self._numbers, self._seed = vocoder, numbers, seed
        self._n_tracks = len(numbers)
        self._n_bins = mel.n_fft // 2 + 1
        self._past = mel.n_fft // mel.hop_length  # settled frames that overlap a chunk
        self.restart(0)

    def restart(self, frame: int) -> None:
        mel, n_tracks = self._vocoder.mel, self._n_tracks
        self._waiting = np.zeros((n_tracks, 0, mel.n_mels), np.float32)
        self._settled = np.zeros((n_tracks, self._past, self._n_bins), np.complex64)
        self._tried = np.zeros((n_tracks, 0, self._n_bins), np.complex64)
        self._chunk = frame // _CHUNK
        self._overlap = OverlapAdd(n_tracks, n_fft=mel.n_fft, hop_length=mel.hop_length)

    def process(self, mel: np.ndarray, *, last: bool = False) -> np.ndarray:
        mel = check_mel(mel, self._n_tracks, self._vocoder.mel)
        self._waiting = np.concatenate([self._waiting, mel], axis=1)
        audio = []
        while self._waiting.shape[1] >= _CHUNK + _AHEAD or (last and self._waiting.shape[1] > 0):
            n_new = min(_CHUNK, self._waiting.shape[1])
            spectrum = self._settle(self._waiting[:, : _CHUNK + _AHEAD], n_new)
            self._waiting = self._waiting[:, n_new:]
            ends = last and self._waiting.shape[1] == 0
            audio.append(self._overlap.add(spectrum, last=ends))
        return np.concatenate([*audio, np.zeros((self._n_tracks, 0), np.float32)], axis=1)

    def _settle(self, mel: np.ndarray, n_new: int) -> np.ndarray:
        """Find phases for a chunk; gives its spectra and remembers those tried ahead."""
        magnitude = self._vocoder.magnitudes(mel)  # (tracks, frames, bins)
        n_tracks, n_frames, n_bins = magnitude.shape
        spectrum = np.empty((n_tracks, n_frames, n_bins), np.complex64)
        n_tried = min(self._tried.shape[1], n_frames)
        spectrum[:, :n_tried] = self._tried[:, :n_tried]
        shape = n_frames - n_tried, n_bins
        angles = np.stack(
            [
                np.random.default_rng((self._seed, self._chunk, number)).uniform(
                    -np.pi, np.pi, shape
                )
                for number in self._numbers
            ]
        )
        spectrum[:, n_tried:] = magnitude[:, n_tried:] * np.exp(1j * angles)
        spectrum = np.concatenate([self._settled, spectrum], axis=1)

        previous = np.zeros_like(spectrum[:, self._past :])
        for _ in range(self._vocoder.iterations):
            consistent = self._overlap.consistent(spectrum)[:, self._past :]
            moved = consistent + _MOMENTUM * (consistent - previous)
            previous = consistent
            spectrum[:, self._past :] = magnitude * moved / (np.abs(moved) + 1e-12)
        self._tried = spectrum[:, self._past + n_new :]
        new = spectrum[:, self._past : self._past + n_new]
        self._settled = np.concatenate([self._settled, new], axis=1)[:, -self._past :]
        self._chunk += 1
        return new

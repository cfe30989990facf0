"""Audio → mel spectrogram, block by block, of any length in fixed memory."""

from __future__ import annotations

import numpy as np

from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_spectrogram, n_frames_of


class MelStream:
    """The mel spectrogram of a stream of audio; the length of the blocks changes nothing.

    Parameters
    ----------
    config
        The geometry.
    """

    def __init__(self, config: MelConfig) -> None:
        self._config = config
        # Hops that a frame's window reaches to each side, which are silent before the beginning.
        self._margin = -(-config.n_fft // 2 // config.hop_length)
        # From so many hops before the next frame on.
        self._samples = np.zeros(self._margin * config.hop_length, np.float32)
        self._n_heard = self._n_told = 0

    def push(self, audio: np.ndarray) -> np.ndarray:
        """Hear more samples; gives the frames that are known now, (frames, n_mels)."""
        self._n_heard += len(audio)
        return self._known(audio)

    def finish(self) -> np.ndarray:
        """The frames that are left: one for each whole hop that was heard."""
        silence = np.zeros(2 * self._margin * self._config.hop_length, np.float32)
        n_left = n_frames_of(self._n_heard, self._config) - self._n_told
        return self._known(silence)[:n_left]

    def _known(self, audio: np.ndarray) -> np.ndarray:
        config, margin = self._config, self._margin
        self._samples = np.concatenate([self._samples, audio.astype(np.float32, copy=False)])
        n_known = len(self._samples) // config.hop_length - 2 * margin
        if n_known <= 0:
            return np.zeros((0, config.n_mels), np.float32)
        mel = mel_spectrogram(self._samples, config)[margin : margin + n_known]
        self._samples = self._samples[n_known * config.hop_length :]
        self._n_told += n_known
        return mel

"""Audio → probabilities of notes, block by block, with ONNX Runtime."""

from __future__ import annotations

import numpy as np

from timbrel.bundles.bundle import Bundle
from timbrel.bundles.session import open_session
from timbrel.constants import N_PITCHES
from timbrel.transcription.front_end import FrontEnd
from timbrel.transcription.sizes import HEADS, TranscriberConfig

GRAPH_FILE = "transcriber.onnx"
_BLOCK_FRAMES = 256  # of a call of the network, so that its memory is bounded


class ProbabilityStream:
    """What a transcriber hears in a stream of audio, of any length in fixed memory.

    The length of the blocks changes nothing but rounding.

    Parameters
    ----------
    bundle
        A bundle of kind "transcriber".
    threads
        Of ONNX Runtime.

    Raises
    ------
    InputError
        If the bundle's graph cannot be run.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self.config = TranscriberConfig(**bundle.model)
        self._session = open_session(bundle, GRAPH_FILE, threads)
        self.reset()

    def reset(self) -> None:
        """Forget all that was heard."""
        shapes = {i.name: i.shape for i in self._session.get_inputs() if i.name != "spectra"}
        self._states = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        self._front_end = FrontEnd(self.config)
        self._to_drop = self.config.frames_ahead  # they speak of frames before the first one
        self._n_heard = self._n_told = 0

    def push(self, audio: np.ndarray) -> np.ndarray:
        """Hear more samples at the model's rate, (samples,).

        Returns
        -------
        values : ndarray of float32, shape (frames, 88, 5)
            Of the frames that are known now: the probabilities of an onset, of a sounding key and
            of a release, the velocity in [0, 1], the bend in cents.
        """
        self._n_heard += len(audio)
        return self._said(self._front_end.push(audio))

    def finish(self) -> np.ndarray:
        """The values of the frames that are left, up to the last sample; see `push`."""
        config = self.config
        n_left = -(-self._n_heard // config.hop_length) - self._n_told
        silence = config.frames_ahead * config.hop_length + max(config.windows)
        return self._said(self._front_end.push(np.zeros(silence, np.float32)))[:n_left]

    def _said(self, spectra: np.ndarray) -> np.ndarray:
        n_frames = spectra.shape[1]
        parts = []
        for first in range(0, n_frames, _BLOCK_FRAMES):
            block = spectra[None, :, first : first + _BLOCK_FRAMES]
            values, *states = self._session.run(
                ["values", *(name.replace("state", "next") for name in self._states)],
                {"spectra": block, **self._states},
            )
            self._states = dict(zip(self._states, states, strict=True))
            parts.append(values[0])
        empty = np.zeros((0, N_PITCHES, len(HEADS)), np.float32)
        found = np.concatenate([empty, *parts])
        dropped = min(self._to_drop, len(found))
        self._to_drop -= dropped
        self._n_told += len(found) - dropped
        return found[dropped:]

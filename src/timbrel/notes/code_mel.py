"""Codes → the mel of what they are the codes of, in NumPy; the network is `SpectrumHead`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from timbrel.notes.sampling import Conditioning, dense_layer
from timbrel.notes.sizes import SPECTRUM_MEL, SPECTRUM_REACH
from timbrel.vocoder.mel_scale import natural


class CodeMel:
    """The mel of codes.

    Parameters
    ----------
    weights
        As `timbrel.notes.autoencoder.SpectrumHead` names them.
    conditioning
        What the decoder of the same codes is given.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], conditioning: Conditioning) -> None:
        self._conditioning = conditioning
        names = itertools.takewhile(
            lambda name: f"{name}.weight" in weights, (f"layers.{i}" for i in itertools.count())
        )
        self._layers = [dense_layer(weights, name) for name in names]
        self._output = dense_layer(weights, "output")

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """From (sounds, frames, code_size) to natural-log mels (sounds, hops, n_mels).

        Before the first code and after the last one there are others like them.
        """
        reach, n = SPECTRUM_REACH, codes.shape[1]
        wide = np.pad(codes, ((0, 0), (reach, reach), (0, 0)), mode="edge")
        around = [wide[:, i : i + n] for i in range(2 * reach + 1) if i != reach]
        x = np.concatenate([self._conditioning(codes), *around], axis=-1)
        for weight, bias in self._layers:
            x = np.maximum(x @ weight + bias, 0)
        weight, bias = self._output
        mel = (x @ weight + bias).reshape(len(codes), -1, SPECTRUM_MEL.n_mels)
        return np.maximum(natural(mel, SPECTRUM_MEL), np.float32(SPECTRUM_MEL.log_floor))

"""Native layers for training a WaveNet: the only module that imports their compiled code.

They compute in bfloat16 with the matrix tiles of processors that have AMX, one block of samples
after another, so that activations stay in the cache; `vocoder/wavenet.py` is the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from timbrel import _training
from timbrel.errors import InputError

_MULTIPLE = 32  # rows and columns of a block of tiles


def available() -> bool:
    """Whether this processor has what the native layers need."""
    return _training.available()


def fits(hop: int, residual: int, skip: int) -> bool:
    """Whether sizes are what the native layers compute with."""
    return not (hop % _MULTIPLE or residual % _MULTIPLE or skip % _MULTIPLE)


class LayerWeights(NamedTuple):
    """Weights of all layers, or their gradients, float32."""

    kernel: np.ndarray  # (4, hop): interpolates the condition
    previous: np.ndarray  # (layers, 2 * residual, residual): of the input one dilation ago
    current: np.ndarray  # the same, of the input now
    out: np.ndarray  # (layers - 1, residual, residual): to the residual stream
    out_bias: np.ndarray  # (layers - 1, residual)
    skip: np.ndarray  # (layers, skip, residual)
    skip_bias: np.ndarray  # (skip,)


class LayersPass:
    """One pass through the layers, with the memory for the way back.

    Parameters
    ----------
    batch, frames, hop
        Crops, and their length.
    residual, skip
        Channels.
    dilations
        Of the layers.
    first
        The sample from which on there are skip sums; those before it only warm up.

    Raises
    ------
    InputError
        If the processor or the sizes are not what the tiles need.
    """

    def __init__(
        self,
        batch: int,
        frames: int,
        *,
        hop: int,
        residual: int,
        skip: int,
        dilations: Sequence[int],
        first: int,
    ) -> None:
        try:
            self._native = _training.Pass(
                batch, frames, hop, residual, skip, list(dilations), first
            )
        except ValueError as error:
            raise InputError(f"the layers cannot be computed natively: {error}") from None

    def forward(
        self,
        x: np.ndarray,
        condition: np.ndarray,
        weights: LayerWeights,
        outputs: np.ndarray,
        *,
        threads: int,
    ) -> None:
        """Compute the rectified skip sums.

        Parameters
        ----------
        x
            Inputs of the first layer, (batch, frames · hop, residual) float32.
        condition
            Of each frame, (batch, frames + 3, layers, 2 · residual) float32.
        weights
            Of the layers.
        outputs
            Where the sums go, (batch, frames · hop - first, skip), bits of bfloat16 in uint16.
        threads
            Share the crops.
        """
        self._native.forward(x, condition, list(weights), outputs, threads)

    def backward(
        self,
        outputs: np.ndarray,
        gradient: np.ndarray,
        x: np.ndarray,
        condition: np.ndarray,
        gradients: LayerWeights,
        *,
        threads: int,
    ) -> None:
        """Compute the gradients of what `forward` was given, once.

        Parameters
        ----------
        outputs, gradient
            What `forward` gave and its gradient, bits of bfloat16 in uint16.
        x, condition, gradients
            Where the gradients go.
        threads
            Share the crops.
        """
        self._native.backward(outputs, gradient, x, condition, list(gradients), threads)

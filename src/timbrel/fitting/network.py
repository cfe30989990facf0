"""Mel2Mel as a fit sees it: whole passages with gradients, as windowed inference cuts them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from timbrel.bundles.bundle import Bundle
from timbrel.mel.film import FilmSizes
from timbrel.mel.mel2mel import load_mel2mel
from timbrel.vocoder.catalog import contrast_of

_AT_ONCE = 8  # points of the space


class FrozenMel2Mel:
    """A bundle's network, whose weights stay as they are, and the contrast with which it is heard.

    Parameters
    ----------
    bundle
        Of kind "mel2mel".
    """

    def __init__(self, bundle: Bundle) -> None:
        self._model = load_mel2mel(bundle).requires_grad_(False)
        self._window, self._mel = bundle.window, bundle.mel
        self._contrast = contrast_of(bundle)
        self.film_size = FilmSizes.of(bundle.model).total

    def mel(self, roll: Tensor, timbre: Tensor) -> Tensor:
        """Log-mels (batch, frames, n_mels) of one roll (frames, roll_size) in some timbres.

        Parameters
        ----------
        roll
            What is played.
        timbre
            (batch, size): coordinates, or these and FiLM vectors of the timbre's own.
        """
        hop, context, n_frames = self._window.hop, self._window.context, len(roll)
        n_whole = -(-n_frames // hop) * hop
        padded = functional.pad(roll, (0, 0, 0, n_whole - n_frames + context))
        model = self._model
        features = model.features(padded.expand(len(timbre), -1, -1), timbre)
        past, _ = model.past(features[:, :n_frames])
        future = model.windowed_future(features, n_whole, hop, context)[:, :n_frames]
        alone = model.alone_in_rolls(roll[None], timbre, self._mel)
        mel = model.mel(past, future, timbre, alone)
        if self._contrast is None:
            return mel
        # What is below the floor still says in which direction to go.
        return self._contrast.factor * mel + torch.tensor(self._contrast.offset)

    @torch.no_grad()
    def mels(self, roll: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The same of many points, (points, size), without gradients."""
        parts = [
            self.mel(torch.from_numpy(roll), torch.from_numpy(points[start : start + _AT_ONCE]))
            for start in range(0, len(points), _AT_ONCE)
        ]
        return torch.cat(parts).numpy()

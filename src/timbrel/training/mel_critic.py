"""A critic of mel spectrograms: whether patches of one look like those of a recording.

What a distance teaches is the median of all that could sound, which is smoother than any sound is.
A critic of patches (Isola, Zhu, Zhou and Efros 2017, "Image-to-Image Translation with Conditional
Adversarial Networks") also sees what is too smooth. It is shown the score beside the mel, so that
it judges what these notes would sound like.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from timbrel.geometry import MelConfig
from timbrel.vocoder.discriminators import Judgement
from timbrel.vocoder.mel_scale import normalised

_CHANNELS = (2, 16, 32, 32)
_SLOPE = 0.2  # of leaky rectifiers


class MelCritic(nn.Module):
    """Convolutions over time and bands, each of which halves the number of bands.

    Parameters
    ----------
    mel
        The geometry of the mels.
    roll_size
        Numbers in a frame of the roll.
    """

    def __init__(self, mel: MelConfig, roll_size: int) -> None:
        super().__init__()
        self._mel = mel
        self.score = nn.Linear(roll_size, mel.n_mels)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (3, 7), (1, 2), padding=(1, 3)))
            for a, b in pairwise(_CHANNELS)
        )
        self.last = weight_norm(nn.Conv2d(_CHANNELS[-1], 1, 3, padding=1))

    def forward(self, mel: Tensor, roll: Tensor) -> list[Judgement]:
        """Judge natural-log mels (batch, frames, n_mels) of rolls (batch, frames, roll_size)."""
        x = torch.stack([normalised(mel, self._mel), self.score(roll)], dim=1)
        features = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), _SLOPE)
            features.append(x)
        return [(self.last(x), features)]

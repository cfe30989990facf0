"""Discriminators for adversarial training, which detect that a sound is synthetic.

They follow published designs, periods as in HiFi-GAN (Kong, Kim and Bae 2020), spectra at several
resolutions as in UnivNet (Jang et al. 2021), but are small, because a single processor must be able
to train them.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from timbrel.mel.torch_spectrogram import stft
from timbrel.vocoder.losses import magnitude

PERIODS = (2, 3, 5, 7, 11)
RESOLUTIONS = ((256, 64), (512, 128), (1024, 256))  # window, hop
_PERIOD_CHANNELS = (1, 16, 48, 96, 128)
_SPECTRUM_CHANNELS = (1, 16, 16, 16, 16)
_SLOPE = 0.1  # of leaky rectifiers
# Magnitudes are raised to this power, so that quiet parts matter as well.
_COMPRESSION = 0.3

# The judgements of a discriminator, and the features of its layers.
Judgement = tuple[Tensor, list[Tensor]]


class PeriodDiscriminator(nn.Module):
    """Looks at every p-th sample."""

    def __init__(self, period: int) -> None:
        super().__init__()
        self.period = period
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (3, 1), padding=(2, 0)))
            for a, b in pairwise(_PERIOD_CHANNELS)
        )
        self.last = weight_norm(nn.Conv2d(_PERIOD_CHANNELS[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, audio: Tensor) -> Judgement:
        """(batch, samples) → judgements and features."""
        padded = functional.pad(audio, (0, -audio.shape[-1] % self.period))
        # (batch, 1, samples / period, period)
        return _judge(self.layers, self.last, padded.unflatten(-1, (-1, self.period))[:, None])


class SpectrumDiscriminator(nn.Module):
    """Looks at the magnitudes of one short-time spectrum."""

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 3), (2, 1), padding=(2, 1)))
            for a, b in pairwise(_SPECTRUM_CHANNELS)
        )
        self.last = weight_norm(nn.Conv2d(_SPECTRUM_CHANNELS[-1], 1, 3, padding=1))

    def forward(self, audio: Tensor) -> Judgement:
        """(batch, samples) → judgements and features."""
        window = torch.hann_window(self.n_fft, device=audio.device)
        compressed = magnitude(stft(audio, window, self.hop)).mT ** _COMPRESSION
        return _judge(self.layers, self.last, compressed[:, None])  # (batch, 1, bins, frames)


class Discriminators(nn.Module):
    """All of them."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            [
                *(PeriodDiscriminator(period) for period in PERIODS),
                *(SpectrumDiscriminator(*resolution) for resolution in RESOLUTIONS),
            ]
        )

    def forward(self, audio: Tensor) -> list[Judgement]:
        """(batch, samples) → what each discriminator says of it."""
        return [part(audio) for part in self.parts]


def discriminator_loss(true: list[Judgement], false: list[Judgement]) -> Tensor:
    """What the discriminators lose: least squares, originals at 1 and syntheses at 0."""
    losses = [
        (1 - a.float()).square().mean() + b.float().square().mean()
        for (a, _), (b, _) in zip(true, false, strict=True)
    ]
    return torch.stack(losses).mean()


def adversarial_loss(false: list[Judgement]) -> Tensor:
    """What the vocoder loses: syntheses that are not taken for originals."""
    return torch.stack([(1 - judged.float()).square().mean() for judged, _ in false]).mean()


def feature_loss(true: list[Judgement], false: list[Judgement]) -> Tensor:
    """Mean distance of the discriminators' features, relative to their size."""
    losses = []
    for (_, a), (_, b) in zip(true, false, strict=True):
        for original, synthesis in zip(a, b, strict=True):
            original = original.detach().float()
            distance = (original - synthesis.float()).abs().mean()
            losses.append(distance / original.abs().mean().clamp(min=1e-4))
    return torch.stack(losses).mean()


def _judge(layers: nn.ModuleList, last: nn.Module, x: Tensor) -> Judgement:
    features = []
    for layer in layers:
        x = functional.leaky_relu(layer(x), _SLOPE)
        features.append(x)
    return last(x), features

"""The spectral baseline of Engel et al. (2017): one code per note, conditioned on the pitch.

A convolutional autoencoder of the note's log spectrum (`timbrel.notes.spectrum`); the phases come
from Griffin-Lim. The defaults are the published sizes; `width` scales all channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.constants import A4_HZ, A4_PITCH, SAMPLE_RATE
from timbrel.notes.spectrum import N_BINS, N_FFT

N_PITCHES = 128
# On a CPU, batch norm in bfloat16 is several times faster in channels-last layout.
_LAYOUT = torch.channels_last
_SLOPE = 0.1  # of the leaky rectifiers
_WEIGHT_TOP, _WEIGHT_UNTIL_HZ = 10.0, 4_000.0

# Numbers of partials, the fundamental's being 1: their spacing and the first; and how wide in bins
# the teeth of a comb are (a Hann window's lobe is four bins wide).
_SERIES = ((1.0, 1.0), (2.0, 1.0), (1.0, 0.5))
_TEETH_BINS = (1.5, 5.0)

# (channels, kernel size, strides over bins and frames); 512 × 256 is reduced to 1 × 1.
_ENCODER: tuple[tuple[int, int, tuple[int, int]], ...] = (
    (128, 5, (2, 2)),
    *((channels, 4, (2, 2)) for channels in (128, 128, 256, 256, 256, 512, 512)),
    (512, 4, (2, 1)),
)
_DECODER: tuple[tuple[int, int, tuple[int, int]], ...] = (
    *((channels, 4, (2, 2)) for channels in (512, 512, 256, 256, 256, 128, 128)),
    (128, 5, (2, 2)),
    (128, 5, (2, 1)),
)
_TAPER = (0.5, 0.25)


@dataclass(frozen=True)
class BaselineConfig:
    """Sizes; the defaults are the published ones."""

    width: float = 1.0
    code_size: int = 1984
    pitch_size: int = 128
    # Whether the decoder's last layer is told where the harmonics of the pitch lie; the published
    # one had to learn that for each pitch, which takes a large network and a long training.
    harmonics: bool = False
    # Whether the decoder's last two layers have a half and a quarter of their channels: at the full
    # resolution they take most of the time. The published one's have all.
    tapered: bool = False

    def channels(self, published: float) -> int:
        return max(round(self.width * published), 1)


class SpectralEncoder(nn.Module):
    """Log spectra → one code for each note; the classifier's body, too."""

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        size = 1
        for published, kernel, stride in _ENCODER:
            channels = config.channels(published)
            blocks.append(_SameConv(size, channels, kernel, stride))
            size = channels
        hidden = config.channels(1024)
        self.blocks = nn.Sequential(*blocks, _SameConv(size, hidden, 1, (1, 1)))
        self.code = nn.Linear(hidden, config.code_size, bias=False)
        self.norm = nn.BatchNorm1d(config.code_size)

    def forward(self, spectra: Tensor) -> Tensor:
        """From (batch, 512, 256) to (batch, code_size)."""
        h = self.blocks(spectra[:, None])  # (batch, hidden, 1, 1)
        return self.norm(self.code(h.flatten(1)))


class SpectralDecoder(nn.Module):
    """Codes and pitches → log spectra."""

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__()
        self.pitch = nn.Embedding(N_PITCHES, config.pitch_size)
        hidden = config.channels(1024)
        size = hidden
        blocks: list[nn.Module] = [
            _SameConv(config.code_size + config.pitch_size, hidden, 1, (1, 1))
        ]
        taper = _TAPER if config.tapered else ()
        shares = [1.0] * (len(_DECODER) - len(taper)) + list(taper)
        for (published, kernel, stride), share in zip(_DECODER, shares, strict=True):
            channels = config.channels(share * published)
            blocks.append(_GrowingConv(size, channels, kernel, stride))
            size = channels
        self.blocks = nn.Sequential(*blocks)
        self.combs: Tensor | None
        combs = harmonic_combs() if config.harmonics else None
        self.register_buffer("combs", combs, persistent=False)
        self.last = nn.Conv2d(size, 1 if combs is None else 1 + combs.shape[1], 1)

    def forward(self, codes: Tensor, pitches: Tensor) -> Tensor:
        """From (batch, code_size) and (batch,) to (batch, 512, 256)."""
        both = torch.cat([codes, self.pitch(pitches)], dim=1)
        found = self.last(self.blocks(both[..., None, None]))  # (batch, 1 or 1 + combs, 512, 256)
        levels = found[:, 0]
        if self.combs is not None:
            levels = levels + (found[:, 1:] * self.combs[pitches][..., None]).sum(dim=1)
        return torch.sigmoid(levels)


def harmonic_combs() -> Tensor:
    """Where the partials of each pitch lie: (128 pitches, 6 combs, 512 bins) float32, from 0 to 1.

    Teeth at all harmonics, at the odd ones, and half way between harmonics (which with the others
    are those of the octave below); each as narrow as a steady partial's spectrum and once wider,
    for partials that waver or are out of tune.
    """
    hz = A4_HZ * 2 ** ((torch.arange(N_PITCHES) - A4_PITCH) / 12)
    numbers = torch.arange(N_BINS) * SAMPLE_RATE / N_FFT / hz[:, None]  # (128, 512)
    combs = []
    for spacing, first in _SERIES:
        nearest = first + spacing * ((numbers - first) / spacing).round().clamp(min=0)
        away_bins = (numbers - nearest) * hz[:, None] * N_FFT / SAMPLE_RATE
        combs += [torch.exp(-((away_bins / width) ** 2)) for width in _TEETH_BINS]
    return torch.stack(combs, dim=1)


class SpectralBaseline(nn.Module):
    """Both networks."""

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SpectralEncoder(config)
        self.decoder = SpectralDecoder(config)

    def forward(self, spectra: Tensor, pitches: Tensor) -> Tensor:
        """Give the reconstructions of spectra (batch, 512, 256) of notes with pitches (batch,)."""
        return self.decoder(self.encoder(spectra), pitches)


def spectral_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean squared error of spectra (batch, 512, 256), low bins weighted more.

    The weight falls from 10 at 0 Hz to 1 at 4 kHz and stays there.
    """
    hz = torch.arange(N_BINS, device=true.device) * SAMPLE_RATE / N_FFT
    weight = (_WEIGHT_TOP + (1 - _WEIGHT_TOP) * hz / _WEIGHT_UNTIL_HZ).clamp(min=1.0)
    return ((predicted - true).square() * weight[:, None]).mean()


class _SameConv(nn.Module):
    """Convolution that divides the size by its stride exactly; batch norm, leaky rectifier."""

    def __init__(self, in_size: int, out_size: int, kernel: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_size, out_size, kernel, stride, bias=False)
        self.norm = nn.BatchNorm2d(out_size)
        sides = [divmod(max(kernel - step, 0), 2) for step in reversed(stride)]
        self._padding = [side for half, odd in sides for side in (half, half + odd)]

    def forward(self, x: Tensor) -> Tensor:
        return _activated(self.norm, self.conv(functional.pad(x, self._padding)))


class _GrowingConv(nn.Module):
    """Transposed convolution that multiplies the size by its stride exactly; else as above."""

    def __init__(self, in_size: int, out_size: int, kernel: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(in_size, out_size, kernel, stride, bias=False)
        self.norm = nn.BatchNorm2d(out_size)
        self._before = [(kernel - step) // 2 for step in stride]
        self._stride = stride

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (n * step for n, step in zip(x.shape[2:], self._stride, strict=True))
        top, left = self._before
        x = self.conv(x)[:, :, top : top + rows, left : left + columns]
        return _activated(self.norm, x)


def _activated(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    return functional.leaky_relu(norm(x.contiguous(memory_format=_LAYOUT)), _SLOPE)

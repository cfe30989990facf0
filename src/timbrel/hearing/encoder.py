"""The timbre encoder: the mel spectrogram of a sound → where its timbre lies, and how surely.

Convolutions over time and bands, then over time alone, then attention over time, so that what says
most of the timbre, such as the beginnings of notes, counts most. Two heads speak of the sound: a
Gaussian over the timbre space of one Mel2Mel, and how likely each of its instruments is, or that it
is none at all. The level of the sound is taken out before. This file is the reference; its ONNX
export is used at run time (`timbrel.hearing.stream`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.bundles.bundle import Bundle
from timbrel.bundles.weights import with_weights
from timbrel.errors import InputError
from timbrel.hearing.sizes import (
    FLOOR_NATS,
    SMALLEST_DEVIATION,
    STRIDES,
    TINY_POWER,
    EncoderConfig,
    normalised_points,
)

KERNELS = (5, 3, 3, 3)
BLOCK_KERNEL = 3
TINY_SPREAD = 1e-4  # keeps the root's gradient finite


class Encoded(NamedTuple):
    """What the network says of some windows, in normalised coordinates."""

    mean: Tensor  # (batch, timbre_size)
    factor: Tensor  # (batch, timbre_size, timbre_size): lower, the covariance's Cholesky factor
    logits: Tensor  # (batch, n_instruments + 1); the last one: it is no instrument


class Block(nn.Module):
    """A residual convolution over time, (batch, time, size) → the same."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.convolution = nn.Conv1d(size, size, BLOCK_KERNEL, padding=BLOCK_KERNEL // 2)

    def forward(self, values: Tensor) -> Tensor:
        mixed = self.convolution(self.norm(values).transpose(1, 2)).transpose(1, 2)
        return values + functional.relu(mixed)


class Encoder(nn.Module):
    """Natural-log mel (batch, time, n_mels) of any number of frames → `Encoded`.

    Parameters
    ----------
    config
        The sizes.
    points
        Of the instruments, (n_instruments, timbre_size), in normalised coordinates.
    """

    points: Tensor

    def __init__(self, config: EncoderConfig, points: np.ndarray) -> None:
        super().__init__()
        self.config = config
        self.register_buffer(
            "points", torch.from_numpy(points.astype(np.float32)), persistent=False
        )
        sizes = (1, *config.channels)
        self.convolutions: Sequence[nn.Conv2d] = nn.ModuleList(  # type: ignore[assignment]
            nn.Conv2d(n_in, n_out, kernel, stride=stride, padding=kernel // 2)
            for n_in, n_out, kernel, stride in zip(sizes, sizes[1:], KERNELS, STRIDES, strict=False)
        )
        self.inner = nn.Linear(config.n_bands * config.channels[-1], config.hidden_size)
        self.blocks: Sequence[Block] = nn.ModuleList(  # type: ignore[assignment]
            Block(config.hidden_size) for _ in range(config.n_blocks)
        )
        self.norm = nn.LayerNorm(config.hidden_size)
        self.attention = nn.Linear(config.hidden_size, config.attention_heads)
        pooled = config.hidden_size * (config.attention_heads + 1)
        self.head = nn.Linear(pooled, config.head_size)
        self.away = nn.Linear(config.head_size, config.timbre_size)
        self.triangle = nn.Linear(config.head_size, config.n_triangle)
        self.logits = nn.Linear(config.head_size, config.n_instruments + 1)

    def forward(self, mel: Tensor) -> Encoded:
        away, triangle, logits = self.outputs(mel)
        # The mean of the instruments as far as they are likely, and what leads away from there.
        likely = logits[:, :-1].float().softmax(dim=1) @ self.points
        return Encoded(likely + away.float(), self.factor(triangle.float()), logits.float())

    def outputs(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What leads away, the numbers that make the Cholesky factor, and the logits."""
        values = self.levelled(mel)[:, None]  # (batch, 1, time, bands)
        for convolution in self.convolutions:
            values = functional.relu(convolution(values))
        # With channels last this moves nothing: (batch, time, bands · channels)
        values = functional.relu(self.inner(values.permute(0, 2, 3, 1).flatten(2)))
        for block in self.blocks:
            values = block(values)
        hidden = functional.relu(self.head(self.pooled(self.norm(values))))
        return self.away(hidden), self.triangle(hidden), self.logits(hidden)

    @staticmethod
    def levelled(mel: Tensor) -> Tensor:
        """The mel against its own level, limited from below, around 0."""
        power = (2 * mel.float()).exp().mean(dim=(1, 2), keepdim=True)
        level = 0.5 * (power + TINY_POWER).log()
        return (mel - level).clamp(min=-FLOOR_NATS) * (2 / FLOOR_NATS) + 1

    def pooled(self, values: Tensor) -> Tensor:
        """The means over time as each attention head weighs it, and how far values stray."""
        weights = self.attention(values).float().softmax(dim=1).to(values.dtype)
        means = weights.transpose(1, 2) @ values  # (batch, heads, hidden)
        plain = values.mean(dim=1)
        squares = (values - plain[:, None]).square().mean(dim=1)
        spread = (squares + TINY_SPREAD).sqrt()
        return torch.cat([means.flatten(1), spread], dim=1)

    def factor(self, triangle: Tensor) -> Tensor:
        """The lower Cholesky factor, (batch, timbre_size, timbre_size)."""
        size = self.config.timbre_size
        rows, columns = torch.tril_indices(size, size).to(triangle.device)
        full = triangle.new_zeros(len(triangle), size, size)
        full[:, rows, columns] = triangle
        diagonal = functional.softplus(full.diagonal(dim1=1, dim2=2)) + SMALLEST_DEVIATION
        return full.tril(-1) + torch.diag_embed(diagonal)


def negative_log_likelihood(encoded: Encoded, points: Tensor) -> Tensor:
    """Of points (batch, timbre_size) in normalised coordinates, without the constant: (batch,)."""
    deviations = (points - encoded.mean)[..., None]
    scaled = torch.linalg.solve_triangular(encoded.factor, deviations, upper=False)[..., 0]
    log_size = encoded.factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return 0.5 * scaled.square().sum(dim=1) + log_size


def load_encoder(bundle: Bundle) -> Encoder:
    """Make the reference network of a bundle, in single precision, ready to compute."""
    try:
        config = EncoderConfig(**bundle.model)
    except TypeError as error:
        raise InputError(f"{bundle.path}: is not an encoder of this Timbrel ({error})") from None
    return with_weights(Encoder(config, normalised_points(bundle.instruments)), bundle)

"""The WaveNet autoencoder of notes: audio → codes of 16 numbers, 31 times per second → audio.

Engel et al., "Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders" (2017). The
encoder is a stack of non-causal dilated convolutions, averaged over 512 samples; the decoder is a
WaveNet whose layers and output are conditioned on the codes. The defaults are the published sizes.
This file is the reference; it computes in (batch, time, channel) with matrix products.

Samples are levels −128…127 (`timbrel.engine.companding`); both networks are given ``level / 128``.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.engine.companding import HALF, N_LEVELS
from timbrel.notes.sizes import KERNEL_SIZE, AutoencoderConfig


class TemporalConv(nn.Module):
    """A convolution of three taps as a matrix product, the oldest tap first."""

    def __init__(self, in_size: int, out_size: int, dilation: int, *, causal: bool) -> None:
        super().__init__()
        self.dilation = dilation
        self.before = 2 * dilation if causal else dilation
        self.after = 0 if causal else dilation
        self.dense = published_dense(KERNEL_SIZE * in_size, out_size)

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, time, in_size) to (batch, time, out_size), with zeros beyond the ends."""
        time = x.shape[1]
        padded = functional.pad(x, (0, 0, self.before, self.after))
        taps = [padded[:, i * self.dilation :][:, :time] for i in range(KERNEL_SIZE)]
        return self.dense(torch.cat(taps, dim=-1))


class TemporalEncoder(nn.Module):
    """Levels → codes."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        size = config.encoder_size
        self.input = TemporalConv(1, size, 1, causal=False)
        self.dilated = nn.ModuleList(
            TemporalConv(size, size, dilation, causal=False)
            for dilation in config.encoder_dilations
        )
        self.dense = nn.ModuleList(published_dense(size, size) for _ in config.encoder_dilations)
        self.output = published_dense(size, config.code_size)

    def forward(self, levels: Tensor) -> Tensor:
        """From (batch, frames · hop_length) levels to codes (batch, frames, code_size)."""
        x = self.input(levels[..., None] / HALF)
        for dilated, dense in zip(self.dilated, self.dense, strict=True):
            x = x + dense(functional.relu(dilated(functional.relu(x))))
        batch, time, size = x.shape
        frames = x.reshape(batch, time // self.config.hop_length, self.config.hop_length, size)
        # Both are linear: the mean may come before the projection, which then costs less.
        return self.output(frames.mean(dim=2))


class DecoderLayer(nn.Module):
    """Dilated causal convolution, conditioned gate, residual and skip connection."""

    def __init__(self, config: AutoencoderConfig, dilation: int) -> None:
        super().__init__()
        size = config.residual_size
        self.dilated = TemporalConv(size, 2 * size, dilation, causal=True)
        self.condition = published_dense(config.condition_size, 2 * size)
        self.residual = published_dense(size, size)
        self.skip = published_dense(size, config.skip_size)

    def forward(self, x: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """From (batch, time, size) to the next layer's input and the skip contribution."""
        gates = add_frames(self.dilated(x), self.condition(conditions))
        sigmoid, tanh = gates.chunk(2, dim=-1)  # in this order
        z = torch.sigmoid(sigmoid) * torch.tanh(tanh)
        return x + self.residual(z), self.skip(z)


class Decoder(nn.Module):
    """Codes → the distribution of each sample's level, given those before it."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.prototypes = (
            published_dense(config.code_size, config.n_prototypes) if config.n_prototypes else None
        )
        self.input = TemporalConv(1, config.residual_size, 1, causal=True)
        self.skip_start = published_dense(config.residual_size, config.skip_size)
        self.layers = nn.ModuleList(
            DecoderLayer(config, dilation) for dilation in config.decoder_dilations
        )
        self.hidden = published_dense(config.skip_size, config.skip_size)
        self.hidden_condition = published_dense(config.condition_size, config.skip_size)
        self.logits = published_dense(config.skip_size, N_LEVELS)

    def forward(self, levels: Tensor, codes: Tensor) -> Tensor:
        """Logits of each sample, teacher-forced.

        Parameters
        ----------
        levels
            Shape (batch, frames · hop_length).
        codes
            Shape (batch, frames, code_size).

        Returns
        -------
        Tensor, shape (batch, frames · hop_length, 256)
        """
        conditions = codes
        if self.prototypes is not None:
            conditions = torch.cat([codes, self.prototypes(codes).softmax(dim=-1)], dim=-1)
        shifted = functional.pad(levels / HALF, (1, 0))[:, :-1]
        x = self.input(shifted[..., None])
        skip = self.skip_start(x)
        for layer in self.layers:
            x, contribution = cast(DecoderLayer, layer)(x, conditions)
            skip = skip + contribution
        hidden = self.hidden(functional.relu(skip))
        hidden = add_frames(hidden, self.hidden_condition(conditions))
        return self.logits(functional.relu(hidden))


class Autoencoder(nn.Module):
    """Both networks."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = TemporalEncoder(config)
        self.decoder = Decoder(config)

    def forward(
        self, levels: Tensor, context: int = 0, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits of the levels, given their own codes, and the codes.

        Parameters
        ----------
        levels
            Shape (batch, (context + frames + context) · hop_length).
        context
            Frames at either end that only the encoder is given.
        noise
            Added to the levels that the decoder is given, shape (batch, frames · hop_length).

        Returns
        -------
        logits : Tensor, shape (batch, frames · hop_length, 256)
        codes : Tensor, shape (batch, frames, code_size)
        """
        codes = self.encoder(levels)
        if context:
            margin = context * self.config.hop_length
            codes, levels = codes[:, context:-context], levels[:, margin:-margin]
        if noise is not None:
            levels = (levels + noise).clamp(-HALF, HALF - 1)
        return self.decoder(levels, codes), codes


def add_frames(samples: Tensor, frames: Tensor) -> Tensor:
    """Add (batch, frames, size) to (batch, frames · hop, size), each frame to its samples."""
    batch, n_frames, size = frames.shape
    split = samples.reshape(batch, n_frames, samples.shape[1] // n_frames, size)
    return (split + frames[:, :, None]).reshape(samples.shape)


def published_dense(in_size: int, out_size: int) -> nn.Linear:
    """A layer with the published initialisation: U(±√(3 / inputs)), biases 0."""
    layer = nn.Linear(in_size, out_size)
    bound = math.sqrt(3 / in_size)
    nn.init.uniform_(layer.weight, -bound, bound)
    nn.init.zeros_(layer.bias)
    return layer

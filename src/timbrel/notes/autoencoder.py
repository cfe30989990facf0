"""The WaveNet autoencoder of notes: audio → codes of 16 numbers, 31 times per second → audio.

Engel et al., "Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders" (2017). The
encoder is a stack of non-causal dilated convolutions, averaged over 512 samples; the decoder is a
WaveNet whose layers and output are conditioned on the codes. The defaults are the published sizes.
This file is the reference; it computes in (batch, time, channel) with matrix products.

Samples are levels −128…127 (`timbrel.engine.companding`); both networks are given ``level / 128``.
"""

from __future__ import annotations

import itertools
import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.engine.companding import HALF, N_LEVELS
from timbrel.errors import InputError
from timbrel.notes.sizes import (
    KERNEL_SIZE,
    SPECTRUM_MEL,
    SPECTRUM_REACH,
    AutoencoderConfig,
    NoteAutoencoderConfig,
)
from timbrel.vocoder.mel_scale import natural


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

    def conditions(self, codes: Tensor) -> Tensor:
        """Codes, and how near they are to each prototype: (batch, frames, condition_size)."""
        if self.prototypes is None:
            return codes
        return torch.cat([codes, self.prototypes(codes).softmax(dim=-1)], dim=-1)

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
        conditions = self.conditions(codes)
        shifted = functional.pad(levels / HALF, (1, 0))[:, :-1]
        x = self.input(shifted[..., None])
        skip = self.skip_start(x)
        for layer in self.layers:
            x, contribution = cast(DecoderLayer, layer)(x, conditions)
            skip = skip + contribution
        hidden = self.hidden(functional.relu(skip))
        hidden = add_frames(hidden, self.hidden_condition(conditions))
        return self.logits(functional.relu(hidden))


class SpectrumHead(nn.Module):
    """Codes → the mel of what they are the codes of.

    The decoder's sound is held to it (`timbrel.vocoder.post_filter`).
    """

    def __init__(self, config: NoteAutoencoderConfig) -> None:
        super().__init__()
        hop = SPECTRUM_MEL.hop_length
        if config.hop_length % hop:
            raise InputError(
                f"codes of {config.hop_length} samples are no whole number of a mel's hops of "
                f"{hop}, as a model with 'spectrum_size' needs"
            )
        self.code_size = config.code_size
        around = 2 * SPECTRUM_REACH * config.code_size
        sizes = [config.condition_size + around, config.spectrum_size, config.spectrum_size]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        per_code = config.hop_length // hop
        self.output = nn.Linear(config.spectrum_size, per_code * SPECTRUM_MEL.n_mels)

    def forward(self, conditions: Tensor) -> Tensor:
        """Natural-log mel of all codes but the outer ones.

        Parameters
        ----------
        conditions
            As `Decoder.conditions` gives them, shape (batch, frames, condition_size).

        Returns
        -------
        Tensor, shape (batch, (frames - 2 · SPECTRUM_REACH) · hops, n_mels)
            With as many hops of the mel as a code has.
        """
        n = conditions.shape[1] - 2 * SPECTRUM_REACH
        codes = conditions[..., : self.code_size]
        around = [codes[:, i : i + n] for i in range(2 * SPECTRUM_REACH + 1) if i != SPECTRUM_REACH]
        x = torch.cat([conditions[:, SPECTRUM_REACH : SPECTRUM_REACH + n], *around], dim=-1)
        for layer in self.layers:
            x = functional.relu(layer(x))
        return natural(self.output(x).reshape(len(x), -1, SPECTRUM_MEL.n_mels), SPECTRUM_MEL)


class Autoencoder(nn.Module):
    """Both networks, and the mel of the codes where the sizes say so."""

    def __init__(self, config: NoteAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = TemporalEncoder(config)
        self.decoder = Decoder(config)
        self.spectrum = SpectrumHead(config) if config.spectrum_size else None

    def forward(
        self,
        levels: Tensor,
        context: int = 0,
        noise: Tensor | None = None,
        *,
        spectrum_only: bool = False,
    ) -> tuple[Tensor | None, Tensor, Tensor | None]:
        """Logits of the levels, given their own codes; the codes; and the mel that these tell.

        Parameters
        ----------
        levels
            Shape (batch, (context + frames + context) · hop_length).
        context
            Frames at either end that only the encoder is given.
        noise
            Added to the levels that the decoder is given, shape (batch, frames · hop_length).
        spectrum_only
            Leave the decoder out.

        Returns
        -------
        logits : Tensor, shape (batch, frames · hop_length, 256); or None
        codes : Tensor, shape (batch, frames, code_size)
        mel : Tensor, as `SpectrumHead.forward` gives it; or None
            No gradient comes from it to the codes.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not spectrum_only):
            codes = self.encoder(levels)
        if context:
            margin = context * self.config.hop_length
            codes, levels = codes[:, context:-context], levels[:, margin:-margin]
        mel = None
        if self.spectrum is not None:
            mel = self.spectrum(self.decoder.conditions(codes).detach())
        if spectrum_only:
            return None, codes, mel
        if noise is not None:
            levels = (levels + noise).clamp(-HALF, HALF - 1)
        return self.decoder(levels, codes), codes, mel


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

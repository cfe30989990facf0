"""The transcriber's network: spectra → onsets, frames, offsets, velocities and bends of 88 keys.

All keys share all weights: a convolution over the bands of a logarithmic frequency axis, for which
the harmonics of a key are stacked as channels, becomes one over the keys, so that what has been
learnt of one pitch is known of all (Bittner et al., ICASSP 2022). The blocks are like those of
ConvNeXt: depthwise convolutions over frames and over keys, and an expansion at each key.

The network streams: it remembers the last frames that its convolutions have seen, and hears
`TranscriberConfig.frames_ahead` frames beyond the one that it speaks of. A signal is preceded by
zeros in all its layers; that is also how it is trained, so that the length of blocks does not
change what it says.

What sounds like an octave in one timbre is a single note in another, and notes of some timbres are
slow to speak. Keys alone cannot tell; a recurrent layer, the `Context`, hears all keys together and
changes how each is read.

How hard a key was struck is a matter of single decibels, which layers that decide whether it was
struck at all do not keep apart. A `VelocityReader` of its own sees the spectra themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.constants import N_PITCHES
from timbrel.transcription.sizes import HEADS, MAX_BEND_CENTS, TranscriberConfig

STEM_KERNEL = (3, 5)  # frames, bands
KEYS_AT_ONCE = 8.0  # by which sums over keys are divided, so that they are near 1
READER_FRAMES = (4, 9)  # before and after a frame, of which a velocity is read


class Stem(nn.Module):
    """A convolution over frames and bands, (batch, channels, frames, bands); one frame is ahead."""

    def __init__(
        self, n_in: int, n_out: int, n_bands: int, stride: int, margin: tuple[int, int]
    ) -> None:
        super().__init__()
        self.state_shape = (n_in, STEM_KERNEL[0] - 1, n_bands)
        self.convolution = nn.Conv2d(n_in, n_out, STEM_KERNEL, stride=(1, stride))
        self.margin = margin  # bands beyond the lowest and the highest, which are zeros

    def forward(self, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        joined = torch.cat([state, values], dim=2)
        found = self.convolution(functional.pad(joined, self.margin))
        return functional.relu(found), joined[:, :, values.shape[2] :]


class Block(nn.Module):
    """A residual block, (batch, channels, frames, keys) → the same, some frames later."""

    def __init__(self, config: TranscriberConfig, dilation: int, ahead: int) -> None:
        super().__init__()
        size = config.hidden_size
        self.dilation = dilation
        self.memory = dilation * (config.kernel_frames - 1)  # frames
        self.delay = dilation * ahead  # frames
        self.state_shape = (size, self.memory, N_PITCHES)
        # Both kernels are columns, since the gradients of others take ten times as long on a CPU.
        self.over_time = nn.Conv2d(size, size, (config.kernel_frames, 1), groups=size)
        self.over_keys = nn.Conv2d(
            size, size, (config.kernel_keys, 1), padding=(config.kernel_keys // 2, 0), groups=size
        )
        self.expand = nn.Linear(size, config.expansion * size)
        self.contract = nn.Linear(config.expansion * size, size)
        # Each block begins as the identity. That trains without norms, and without norms all that
        # a block computes is convolutions, which run in one go.
        nn.init.zeros_(self.contract.weight)
        nn.init.zeros_(self.contract.bias)

    def forward(self, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        joined = torch.cat([state, values], dim=2)
        n_frames = values.shape[2]
        mixed = self._over_keys(self._over_time(joined))  # (batch, frames, keys, channels)
        mixed = self.contract(functional.relu(self.expand(mixed)))
        start = self.memory - self.delay
        kept = joined[:, :, start : start + n_frames]
        return kept + mixed.permute(0, 3, 1, 2), joined[:, :, n_frames:]

    def _over_time(self, joined: Tensor) -> Tensor:
        """The depthwise convolution over frames, (batch, channels, frames, keys)."""
        # Frames of one remainder lie beside each other as if they were keys, and the dilation is
        # gone; with channels last this moves nothing.
        n_frames = joined.shape[2] - self.memory
        whole = functional.pad(joined, (0, 0, 0, -joined.shape[2] % self.dilation))
        rows = whole.permute(0, 2, 3, 1).unflatten(1, (-1, self.dilation))
        rows = rows.flatten(2, 3)  # (batch, frames / dilation, dilation · keys, channels)
        mixed = self.over_time(rows.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        mixed = mixed.unflatten(2, (self.dilation, -1)).flatten(1, 2)
        return mixed[:, :n_frames].permute(0, 3, 1, 2)

    def _over_keys(self, values: Tensor) -> Tensor:
        """The depthwise convolution over keys; gives (batch, frames, keys, channels)."""
        shape = values.shape
        rows = values.permute(0, 2, 3, 1).reshape(-1, shape[3], 1, shape[1])
        mixed = self.over_keys(rows.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return mixed.reshape(shape[0], shape[2], shape[3], shape[1])


class Context(nn.Module):
    """What all keys together say of the timbre, (batch, channels, frames, keys) → the same.

    The sum and the maximum of some features over the keys are read by a recurrent layer, whose
    output scales and shifts the channels of all keys alike. It begins as the identity.
    """

    def __init__(self, config: TranscriberConfig) -> None:
        super().__init__()
        size = config.context_size
        self.state_shape = (size,)
        self.listen = nn.Linear(config.hidden_size, size)
        self.remember = nn.GRU(2 * size, size, batch_first=True)
        self.tell = nn.Linear(size, 2 * config.hidden_size)
        nn.init.zeros_(self.tell.weight)
        nn.init.zeros_(self.tell.bias)

    def forward(self, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        features = functional.relu(self.listen(values.permute(0, 2, 3, 1)))
        pooled = torch.cat([features.sum(dim=2) / KEYS_AT_ONCE, features.amax(dim=2)], dim=-1)
        with torch.autocast(values.device.type, enabled=False):
            heard, memory = self.remember(pooled.float(), state.float()[None])
        scale, shift = self.tell(heard).permute(0, 2, 1)[..., None].chunk(2, dim=1)
        return values * (1 + scale) + shift, memory[0]


class VelocityReader(nn.Module):
    """How hard a key was struck, if it was: a logit (batch, frames, keys, 1).

    It reads some frames of the key's own harmonics, and what the blocks have found out of them,
    without changing that in training.
    """

    def __init__(self, config: TranscriberConfig) -> None:
        super().__init__()
        size, self.per_key = config.reader_size, config.bands_per_semitone
        before, after = READER_FRAMES[0], min(READER_FRAMES[1], config.frames_ahead)
        n_in = len(config.windows) * len(config.harmonics) * self.per_key
        self.reach = before + after
        # What the blocks speak of lies so far behind what is heard.
        self.state_shape = (n_in, config.frames_ahead + before, N_PITCHES)
        self.hear = nn.Conv2d(n_in, size, (self.reach + 1, 1))
        self.know = nn.Linear(config.hidden_size, size)
        self.weigh = nn.Linear(size, size)
        self.tell = nn.Linear(size, 1)

    def forward(self, stacked: Tensor, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """`stacked` is (batch, windows · harmonics, frames, bands), `values` the blocks' output."""
        n_frames = stacked.shape[2]
        bands = stacked.unflatten(3, (N_PITCHES, self.per_key)).permute(0, 1, 4, 2, 3)
        joined = torch.cat([state, bands.flatten(1, 2)], dim=2)
        heard = self.hear(joined[:, :, : n_frames + self.reach]).permute(0, 2, 3, 1)
        known = self.know(values.detach().permute(0, 2, 3, 1))
        found = self.tell(functional.relu(self.weigh(functional.relu(heard + known))))
        return found, joined[:, :, n_frames:]


class Transcriber(nn.Module):
    """Spectra (batch, windows, frames, bands) → values (batch, frames, keys, heads), a while later.

    The values are logits of an onset, of a sounding key and of a release; the velocity in
    [0, 1]; and the bend in cents. Those of frame t come with the spectra of frame
    t + `TranscriberConfig.frames_ahead`.
    """

    def __init__(self, config: TranscriberConfig) -> None:
        super().__init__()
        self.config = config
        n_in = len(config.windows) * len(config.harmonics)
        per_key = config.bands_per_semitone
        reach = STEM_KERNEL[1] // 2
        n_bands = N_PITCHES * per_key
        self.stem1 = Stem(n_in, config.stem_size, n_bands, 1, (reach, reach))
        # The kernel's middle lies in the middle of a key's bands.
        margin = reach - (per_key - 1) // 2
        self.stem2 = Stem(config.stem_size, config.hidden_size, n_bands, per_key, (margin, margin))
        self.blocks: Sequence[Block] = nn.ModuleList(  # type: ignore[assignment]
            Block(config, *sizes) for sizes in zip(config.dilations, config.ahead, strict=True)
        )
        self.context = Context(config) if config.context_size else None
        self.reader = VelocityReader(config) if config.reader_size else None
        self.heads = nn.Linear(config.hidden_size, len(HEADS) * config.head_size)
        self.outputs: Sequence[nn.Linear] = nn.ModuleList(  # type: ignore[assignment]
            nn.Linear(config.head_size, 1) for _ in HEADS
        )

    @property
    def layers(self) -> list[Stem | Block | Context]:
        """What follows each other, from the first to the last."""
        at = self.config.context_before
        context = [] if self.context is None else [self.context]
        return [self.stem1, self.stem2, *self.blocks[:at], *context, *self.blocks[at:]]

    @property
    def remembering(self) -> list[Stem | Block | Context | VelocityReader]:
        """What has a memory, in the order of the states."""
        return [*self.layers, *([] if self.reader is None else [self.reader])]

    def states(self, batch: int, device: torch.device | None = None) -> list[Tensor]:
        """What the network remembers before it has heard anything."""
        shapes = [(batch, *layer.state_shape) for layer in self.remembering]
        return [torch.zeros(shape, device=device) for shape in shapes]

    def forward(
        self, spectra: Tensor, states: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        states = self.states(len(spectra), spectra.device) if states is None else states
        memories = []
        values = stacked = self.stacked(spectra)
        n_layers = len(self.layers)
        for layer, state in zip(self.layers, states[:n_layers], strict=True):
            values, memory = layer(values, state.to(values.dtype))
            memories.append(memory)
        hidden = functional.relu(self.heads(values.permute(0, 2, 3, 1)))
        parts = hidden.chunk(len(HEADS), dim=-1)
        found = [layer(part) for layer, part in zip(self.outputs, parts, strict=True)]
        *logits, velocity, bend = found
        if self.reader is not None:
            velocity, memory = self.reader(stacked, values, states[n_layers].to(stacked.dtype))
            memories.append(memory)
        velocity = torch.sigmoid(velocity.float())
        bend = MAX_BEND_CENTS * torch.tanh(bend.float())
        return torch.cat([*(logit.float() for logit in logits), velocity, bend], dim=-1), memories

    def stacked(self, spectra: Tensor) -> Tensor:
        """The harmonics of each band as channels, (batch, windows · harmonics, frames, bands)."""
        config = self.config
        n_bands, lowest = N_PITCHES * config.bands_per_semitone, min(config.shifts)
        parts = [spectra[..., shift - lowest : shift - lowest + n_bands] for shift in config.shifts]
        return torch.cat(parts, dim=1).contiguous(memory_format=torch.channels_last)

"""WaveNet in training with native layers: what `WaveNet.forward` gives, in bfloat16 and faster."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.engine import layers
from timbrel.engine.layers import LayersPass, LayerWeights
from timbrel.vocoder.mel_scale import N_AROUND
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig, WaveNetLayer


def is_possible(config: WaveNetConfig) -> bool:
    """Whether this processor and a network's sizes let its layers be computed natively."""
    sizes = config.hop_length, config.residual_size, config.skip_size
    fit = config.kernel_size == 2 and config.n_layers > 1 and layers.fits(*sizes)
    return fit and layers.available()


class NativeWaveNet(nn.Module):
    """A WaveNet on the CPU whose layers are computed natively.

    Parameters
    ----------
    model
        The network; its parameters get the gradients.

    Raises
    ------
    InputError
        From `forward`, where `is_possible` is false.
    """

    def __init__(self, model: WaveNet) -> None:
        super().__init__()
        self.model = model
        self.passes = _Passes(model.config)

    def forward(self, samples: Tensor, mel: Tensor, first: int = 0) -> Tensor:
        """See `WaveNet.forward`."""
        parts = [cast(WaveNetLayer, layer) for layer in self.model.layers]
        condition = functional.linear(
            mel,
            torch.cat([part.condition.weight for part in parts]),
            torch.cat([part.condition.bias for part in parts]),
        )
        residuals = [cast(nn.Linear, part.residual) for part in parts[:-1]]
        weights = [
            self.model.interpolation(),
            torch.stack([cast(Tensor, part.taps[0].weight) for part in parts]),
            torch.stack([cast(Tensor, part.taps[1].weight) for part in parts]),
            torch.stack([residual.weight for residual in residuals]),
            torch.stack([residual.bias for residual in residuals]),
            torch.stack([part.skip.weight for part in parts]),
        ]
        x = self.model.inputs(samples)
        skip = _Layers.apply(self.passes, first, x, condition, *weights)
        return self.model.outputs(skip + parts[-1].skip.bias)


class _Passes:
    """Passes that can be used again: each one's memory is as large as all activations."""

    def __init__(self, config: WaveNetConfig) -> None:
        self._config = config
        self._free: dict[tuple[int, int, int], list[LayersPass]] = defaultdict(list)

    def take(self, batch: int, frames: int, first: int) -> LayersPass:
        free = self._free[batch, frames, first]
        if free:
            return free.pop()
        return LayersPass(
            batch,
            frames,
            hop=self._config.hop_length,
            residual=self._config.residual_size,
            skip=self._config.skip_size,
            dilations=self._config.dilations,
            first=first,
        )

    def give_back(self, used: LayersPass, batch: int, frames: int, first: int) -> None:
        self._free[batch, frames, first].append(used)


class _Layers(torch.autograd.Function):
    """Inputs of the first layer, condition and weights → skip sums."""

    @staticmethod
    def forward(ctx: Any, passes: _Passes, first: int, *given: Tensor) -> Tensor:
        arrays = [value.detach().float().contiguous() for value in given]
        x, condition, *weights = arrays
        batch, time = x.shape[:2]
        size = (batch, condition.shape[1] - N_AROUND + 1, first)
        skip = torch.empty(batch, time - first, weights[-1].shape[1])
        used = passes.take(*size)
        used.forward(
            x.numpy(),
            condition.numpy(),
            LayerWeights(*(weight.numpy() for weight in weights)),
            skip.numpy(),
            threads=torch.get_num_threads(),
        )
        if any(ctx.needs_input_grad):
            ctx.passes, ctx.size, ctx.used = passes, size, used
            ctx.like = [(value.shape, value.dtype) for value in given]
        else:
            passes.give_back(used, *size)
        return skip

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (skip,) = gradients
        found = [torch.empty(shape) for shape, _ in ctx.like]
        x, condition, *weights = (value.numpy() for value in found)
        ctx.used.backward(
            skip.float().contiguous().numpy(),
            x,
            condition,
            LayerWeights(*weights),
            threads=torch.get_num_threads(),
        )
        ctx.passes.give_back(ctx.used, *ctx.size)
        return (
            None,
            None,
            *(value.to(dtype) for value, (_, dtype) in zip(found, ctx.like, strict=True)),
        )

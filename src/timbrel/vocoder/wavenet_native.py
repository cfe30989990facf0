"""WaveNet training with native layers: the result of `WaveNet.forward`, in bfloat16 and faster."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, cast

import numpy as np
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
        with torch.autocast("cpu", torch.bfloat16):
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
                parts[-1].skip.bias,
            ]
            x = self.model.inputs(samples)
            rectified = _Layers.apply(self.passes, first, x, condition, *weights)
            return self.model.head(rectified)


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
    """Inputs of the first layer, condition and weights → rectified skip sums, bfloat16."""

    @staticmethod
    def forward(ctx: Any, passes: _Passes, first: int, *given: Tensor) -> Tensor:
        arrays = [value.detach().float().contiguous().numpy() for value in given]
        x, condition, *weights = arrays
        batch, time = x.shape[:2]
        size = (batch, condition.shape[1] - N_AROUND + 1, first)
        outputs = torch.empty(batch, time - first, len(weights[-1]), dtype=torch.bfloat16)
        used = passes.take(*size)
        threads = torch.get_num_threads()
        used.forward(x, condition, LayerWeights(*weights), _bits(outputs), threads=threads)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(outputs)
            ctx.passes, ctx.size, ctx.used = passes, size, used
            ctx.like = [(value.shape, value.dtype) for value in given]
        else:
            passes.give_back(used, *size)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (outputs,) = gradients, ctx.saved_tensors
        found = [torch.empty(shape) for shape, _ in ctx.like]
        x, condition, *weights = (value.numpy() for value in found)
        ctx.used.backward(
            _bits(outputs),
            _bits(gradient.contiguous()),
            x,
            condition,
            LayerWeights(*weights),
            threads=torch.get_num_threads(),
        )
        ctx.passes.give_back(ctx.used, *ctx.size)
        typed = (value.to(dtype) for value, (_, dtype) in zip(found, ctx.like, strict=True))
        return None, None, *typed


def _bits(values: Tensor) -> np.ndarray:
    """The bits of bfloat16 numbers, in their place."""
    return values.detach().view(torch.uint16).numpy()

"""Averaged weights: what of a model is averaged, and how the model gets it.

With the weights go the statistics of batch norms: a network whose weights are averaged, but whose
norms expect what the latest weights gave, computes something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from timbrel.errors import InputError


def averaged_tensors(model: nn.Module) -> list[Tensor]:
    """The trained parameters, then the running means and variances of the norms."""
    trained: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
    norms = [module for module in model.modules() if isinstance(module, _NormBase)]
    statistics = [(norm.running_mean, norm.running_var) for norm in norms]
    return trained + [tensor for pair in statistics for tensor in pair if tensor is not None]


def set_averaged(model: nn.Module, average: Sequence[Tensor]) -> None:
    """Give a model the values that `averaged_tensors` had.

    Raises
    ------
    InputError
        If the average is that of another model.
    """
    copy_average(averaged_tensors(model), average)


@torch.no_grad()
def copy_average(mine: Sequence[Tensor], average: Sequence[Tensor]) -> None:
    """Copy averaged values into tensors; for the error, see `set_averaged`."""
    if [tensor.shape for tensor in mine] != [value.shape for value in average]:
        raise InputError(
            "the checkpoint's averaged weights are not those of this model; it may come from a "
            "Timbrel that did not average the statistics of norms: train anew"
        )
    for tensor, value in zip(mine, average, strict=True):
        tensor.copy_(value)


class AveragedWeights(AbstractContextManager):
    """Lend a model its averaged weights for the time of a with block, in evaluation mode."""

    def __init__(self, model: nn.Module, average: list[Tensor]) -> None:
        self._model, self._average = model, average
        self._tensors = averaged_tensors(model)

    def __enter__(self) -> nn.Module:
        self._latest = [tensor.detach().clone() for tensor in self._tensors]
        copy_average(self._tensors, self._average)
        self._model.eval()
        return self._model

    def __exit__(self, *exception: object) -> None:
        copy_average(self._tensors, self._latest)
        self._model.train()

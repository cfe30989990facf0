"""Weights of PyTorch models in bundles: safetensors in half precision."""

from __future__ import annotations

from typing import TypeVar

import torch
from safetensors.torch import load_file, save
from torch import nn

from timbrel.bundle import WEIGHTS_FILE as WEIGHTS_FILE
from timbrel.bundle import Bundle
from timbrel.errors import InputError

Model = TypeVar("Model", bound=nn.Module)


def n_parameters(model: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@torch.no_grad()
def round_to_half(model: nn.Module) -> None:
    """Round a model's weights to what a bundle holds."""
    for parameter in model.parameters():
        parameter.copy_(parameter.half().float())


def packed_weights(model: nn.Module) -> bytes:
    """The content of a bundle's weights file: what was trained, in half precision."""
    return save(
        {
            name: parameter.detach().half().contiguous()
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }
    )


def with_weights(model: Model, bundle: Bundle) -> Model:
    """Give a new model the weights of its bundle, in single precision, ready to compute.

    Raises
    ------
    InputError
        If the bundle's weights are those of another model.
    """
    path = bundle.file(WEIGHTS_FILE)
    try:
        weights = load_file(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if {name: w.shape for name, w in weights.items()} != {n: p.shape for n, p in trained.items()}:
        raise InputError(f"{path}: does not hold the weights of this {type(model).__name__}")
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(weights[name].float())
    return model.eval()

"""Weights of PyTorch models in bundles: safetensors in half precision."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save
from torch import nn

from timbrel.bundles.bundle import WEIGHTS_FILE as WEIGHTS_FILE
from timbrel.bundles.bundle import Bundle
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


def in_layout(model: Model) -> Model:
    """Lay the kernels out with channels last, which makes convolutions several times faster."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model


def bundle_config(
    model: nn.Module,
    kind: str,
    *,
    name: str,
    license: str,
    attribution: str,
    training: dict[str, Any],
    **own: Any,
) -> dict[str, Any]:
    """What the config.json of a model says.

    Parameters
    ----------
    model
        A network whose sizes are its `config`.
    kind, name
        What the model is, and its own name.
    license, attribution
        Of the weights, for the card.
    training
        A summary of the training run, for the card.
    own
        What its kind has beside, as JSON; see `timbrel.bundles.kinds`.
    """
    sizes: Any = model.config
    return {
        "kind": kind,
        "name": name,
        "model": asdict(sizes),
        **own,
        "license": license,
        "attribution": attribution,
        "training": {"parameters": n_parameters(model), **training},
    }


def training_rows(config: dict[str, Any]) -> str:
    """The rows of a card's table that tell of the training, but for the validation."""
    rows = config["training"].items()
    return "".join(f"| {key} | {value} |\n" for key, value in rows if key != "validation")


def measure_rows(config: dict[str, Any]) -> str:
    """The rows of a card's table of the validation's measures, but for those of its parts."""
    measures = config["training"].get("validation", {})
    return "".join(
        f"| {name.replace('_', ' ')} | {value} |\n"
        for name, value in measures.items()
        if "/" not in name
    )


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

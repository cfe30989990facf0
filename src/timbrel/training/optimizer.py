"""The optimisers that a recipe can name: Adam, AdamW, and Muon for what is a matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from timbrel.errors import InputError
from timbrel.training.recipe import Recipe


class Optimizer:
    """What moves a model's parameters by their gradients.

    ``muon`` (Jordan et al. 2024) moves hidden matrices by the nearest orthogonal matrix to the
    momentum of their gradients, and everything else by Adam; see `hidden_matrices`. Its steps are
    scaled to the size of Adam's (Liu et al. 2025), so that rates of the two are comparable.

    Parameters
    ----------
    model
        The network, on its device already.
    recipe
        Names the optimiser and its rates.
    """

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        self._recipe = recipe
        self._matrices = list(hidden_matrices(model)) if recipe.optimizer == "muon" else []
        taken = {id(matrix) for matrix in self._matrices}
        others = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
        adam: torch.optim.Optimizer = torch.optim.Adam(others, lr=recipe.learning_rate)
        if recipe.optimizer == "adamw":
            adam = torch.optim.AdamW(
                others, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
            )
        self._parts = [(adam, 1.0)]  # and their rates, as shares of the recipe's
        # Muon wants two dimensions: kernels are shown to it as (out, in · width), in their place.
        self._flat = [matrix.detach().flatten(1) for matrix in self._matrices]
        if self._flat:
            rate = recipe.matrix_learning_rate or recipe.learning_rate
            muon = torch.optim.Muon(
                self._flat,
                lr=rate,
                weight_decay=recipe.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
            self._parts.append((muon, rate / recipe.learning_rate))

    def step(self, rate: float) -> None:
        """Move the parameters; `rate` is that of what is no matrix."""
        for matrix, flat in zip(self._matrices, self._flat, strict=True):
            flat.grad = None if matrix.grad is None else matrix.grad.flatten(1)
        for part, ratio in self._parts:
            for group in part.param_groups:
                group["lr"] = rate * ratio
            part.step()

    def zero_grad(self) -> None:
        for part, _ in self._parts:
            part.zero_grad(set_to_none=True)
        for matrix in self._matrices:
            matrix.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {
            "name": self._recipe.optimizer,
            "parts": [part.state_dict() for part, _ in self._parts],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` gave.

        Raises
        ------
        InputError
            If it is of another optimiser.
        """
        name = state.get("name", "adam")
        if name != self._recipe.optimizer:
            raise InputError(
                f"the checkpoint is of the optimizer {name}, the recipe's is "
                f"{self._recipe.optimizer}; export the run and begin another with start_from"
            )
        for (part, _), content in zip(self._parts, state["parts"], strict=True):
            part.load_state_dict(content)


def hidden_matrices(model: nn.Module) -> Iterator[nn.Parameter]:
    """The trained weights that lead from hidden channels to hidden channels.

    These are the weights of two dimensions and more, but not those of embeddings, not those of the
    first and the last layer in the order in which the model defines them (their inputs or outputs
    are not hidden), and not those that are one row or one column.
    """
    layers = [
        (module, weights)
        for module in model.modules()
        if (weights := [p for p in module.parameters(recurse=False) if _is_matrix(p)])
    ]
    for module, weights in layers[1:-1]:
        if not isinstance(module, nn.Embedding):
            yield from weights


def _is_matrix(parameter: nn.Parameter) -> bool:
    if not parameter.requires_grad or parameter.ndim < 2:
        return False
    return min(len(parameter), parameter.numel() // len(parameter)) > 1

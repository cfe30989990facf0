"""The optimisers that a recipe can name: Adam, AdamW, and Muon (for matrices)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from timbrel.training.recipe import Recipe


class Optimizer:
    """What moves a model's parameters by their gradients.

    ``muon`` moves hidden matrices by `Muon` and everything else by Adam; see `hidden_matrices`.

    Parameters
    ----------
    model
        The network, on its device already.
    recipe
        Names the optimiser and its rates.
    """

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        matrices = list(hidden_matrices(model)) if recipe.optimizer == "muon" else []
        taken = {id(matrix) for matrix in matrices}
        others = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
        adam: torch.optim.Optimizer = torch.optim.Adam(others, lr=recipe.learning_rate)
        if recipe.optimizer == "adamw":
            adam = torch.optim.AdamW(
                others, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
            )
        self._parts = [(adam, 1.0)]  # and their rates, as shares of the recipe's
        if matrices:
            rate = recipe.matrix_learning_rate or recipe.learning_rate
            muon = Muon(matrices, lr=rate, weight_decay=recipe.weight_decay)
            self._parts.append((muon, rate / recipe.learning_rate))

    def step(self, rate: float) -> None:
        """Move the parameters; `rate` is that of what is no matrix."""
        for part, ratio in self._parts:
            for group in part.param_groups:
                group["lr"] = rate * ratio
            part.step()

    def zero_grad(self) -> None:
        for part, _ in self._parts:
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part, _ in self._parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` gave."""
        for (part, _), content in zip(self._parts, state["parts"], strict=True):
            part.load_state_dict(content)


class Muon(torch.optim.Optimizer):
    """Move each matrix by the nearest orthogonal one to the momentum of its gradient.

    Jordan et al. 2024, with steps scaled to the size of Adam's (Liu et al. 2025), so that rates of
    the two are comparable. Beside torch.optim.Muon it takes kernels of convolutions, as
    (out, in · width), and computes all matrices of one shape together: small ones would spend a
    step in waiting for each other.

    Parameters
    ----------
    parameters
        Weights of two dimensions and more, out first.
    lr
        The rate.
    weight_decay
        Shrinks the weights by this share of the rate.
    momentum
        How much of the gradients before is kept.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Move the parameters that have gradients."""
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:  # a layer that took no part stays
                    shapes[len(parameter), parameter.numel() // len(parameter)].append(parameter)
            for (rows, columns), parameters in shapes.items():
                directions = self._directions(parameters, group["momentum"])
                step = 0.2 * max(rows, columns) ** 0.5 * group["lr"]  # the root mean square of Adam
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                orthogonal = orthogonalised(directions).to(parameters[0].dtype)
                moves = [move.view_as(p) for move, p in zip(orthogonal, parameters, strict=True)]
                torch._foreach_add_(parameters, moves, alpha=-step)

    def _directions(self, parameters: list[Tensor], momentum: float) -> Tensor:
        """Nesterov's momentum of parameters of one size, stacked."""
        gradients = [cast(Tensor, parameter.grad) for parameter in parameters]
        momenta: list[Tensor] = []
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            momenta.append(state["momentum_buffer"])
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, momenta, momentum)
        return torch.stack([direction.flatten(1) for direction in ahead])


def orthogonalised(matrices: Tensor) -> Tensor:
    """Bring the singular values of matrices near one, in bfloat16.

    Five iterations of Newton and Schulz with the coefficients of Jordan et al. 2024, which leave
    singular values between .7 and 1.2, but for very small ones.

    Parameters
    ----------
    matrices
        (batch, rows, columns)
    """
    x = matrices.bfloat16()
    is_high = x.shape[1] > x.shape[2]
    if is_high:
        x = x.mT
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=1e-7)
    a, b, c = 3.4445, -4.7750, 2.0315
    for _ in range(5):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_high else x


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

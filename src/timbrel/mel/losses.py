"""The three losses of Kim et al. (2019): mean squared errors on differently scaled mels.

Each takes natural-log mels, predicted and true, of the same shape, and returns the squared error of
every element; the training loop averages them. Listeners preferred the sound of models trained with
`tanh-log-abs`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# exp(10) is 40 dB above the loudest mel of a full-scale sine; larger inputs would only overflow the
# exponential.
_LOG_CEILING = 10.0


def abs_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Squared error of the magnitudes themselves.

    Above a ceiling the exponential goes straight on, so that what is far too loud finds its way
    back: a clamp would have no gradient.
    """
    low = predicted.clamp(max=_LOG_CEILING)
    return (low.exp() * (1 + (predicted - low)) - true.exp()).square()


def log_abs_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Squared error of ln S."""
    return (predicted - true).square()


def tanh_log_abs_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Squared error of tanh(¼ ln S), which cares less about what is hardly heard."""
    return (torch.tanh(predicted / 4) - torch.tanh(true / 4)).square()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "abs": abs_loss,
    "log-abs": log_abs_loss,
    "tanh-log-abs": tanh_log_abs_loss,
}

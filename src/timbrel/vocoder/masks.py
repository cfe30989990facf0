"""Spectra of sources under the masks that the parallel vocoder's heads predict, and their sum.

For each bin the head predicts the log magnitude of the noise, and the log magnitude and the
direction, as (cos, sin), of the mask of each source. All magnitudes are relative to the mel, spread
over the bins. The gradient is computed explicitly, crop by crop and source by source, because
PyTorch's own would take half of a training step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

LARGEST_LOG_MAGNITUDE = 6.0
SMALLEST_SQUARE = 1e-6  # beside that of a direction, which may vanish


def masked(head: Tensor, envelope: Tensor, spectra: Tensor, outputs: Sequence[int]) -> Tensor:
    """Sum the sources under their masks.

    Parameters
    ----------
    head
        (batch, frames, (1 + 3 · sources) · n_bins): of the noise, then of each source.
    envelope
        The mel drawn out over the bins, natural logarithm: (batch, frames, n_bins).
    spectra
        Of the noise, then of the sources: complex, (batch, 1 + sources, frames, n_bins).
    outputs
        To which of the sums each of them belongs, from 0 on.

    Returns
    -------
    Tensor
        Complex, (batch, sums, frames, n_bins).
    """
    return _Masked.apply(head, envelope.float(), spectra, tuple(outputs))


class _Masked(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, head: Tensor, envelope: Tensor, spectra: Tensor, outputs: tuple[int, ...]
    ) -> Tensor:
        ctx.save_for_backward(head, envelope, spectra)
        ctx.outputs = outputs
        batch, _, n_frames, n_bins = spectra.shape
        total = spectra.new_zeros(batch, 1 + max(outputs), n_frames, n_bins)
        for item in range(batch):
            parts = head[item].unflatten(-1, (-1, n_bins))
            sums = total[item]
            sums[outputs[0]] += _magnitude(parts[:, 0], envelope[item])[0] * spectra[item, 0]
            for source in range(1, len(outputs)):
                log_magnitude, x, y = _parts(parts, source)
                scale = _magnitude(log_magnitude, envelope[item])[0] / _length(x, y)
                mask = torch.complex(scale * x, scale * y)
                sums[outputs[source]] += mask * spectra[item, source]
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        head, envelope, spectra = ctx.saved_tensors
        outputs, n_bins = ctx.outputs, envelope.shape[-1]
        by_head = torch.empty_like(head)
        by_envelope = torch.zeros_like(envelope) if ctx.needs_input_grad[1] else None
        for item in range(len(head)):
            parts = head[item].unflatten(-1, (-1, n_bins))
            by_parts = by_head[item].unflatten(-1, (-1, n_bins))
            for source, output in enumerate(outputs):
                by_mask = grad[item, output] * spectra[item, source].conj()
                if source == 0:
                    magnitude, free = _magnitude(parts[:, 0], envelope[item])
                    by_log = magnitude * by_mask.real * free
                    by_parts[:, 0] = by_log
                else:
                    log_magnitude, x, y = _parts(parts, source)
                    magnitude, free = _magnitude(log_magnitude, envelope[item])
                    length = _length(x, y)
                    scale = magnitude / length
                    along = by_mask.real * x + by_mask.imag * y
                    by_log = scale * along * free
                    back = along / length.square()  # what the length takes back
                    first = 3 * source - 2
                    by_parts[:, first] = by_log
                    by_parts[:, first + 1] = scale * (by_mask.real - back * x)
                    by_parts[:, first + 2] = scale * (by_mask.imag - back * y)
                if by_envelope is not None:
                    by_envelope[item] += by_log
        return by_head, by_envelope, None, None


def _parts(parts: Tensor, source: int) -> tuple[Tensor, Tensor, Tensor]:
    """Log magnitude and direction of a source's mask, each (frames, n_bins)."""
    first = 3 * source - 2
    return parts[:, first].float(), parts[:, first + 1].float(), parts[:, first + 2].float()


def _magnitude(log_magnitude: Tensor, envelope: Tensor) -> tuple[Tensor, Tensor]:
    """Magnitudes, and where they are still free to grow."""
    total = log_magnitude.float() + envelope
    return torch.exp(total.clamp(max=LARGEST_LOG_MAGNITUDE)), total < LARGEST_LOG_MAGNITUDE


def _length(x: Tensor, y: Tensor) -> Tensor:
    """Of directions, which need not be normalised to be learnt."""
    return torch.sqrt(x.square() + y.square() + SMALLEST_SQUARE)

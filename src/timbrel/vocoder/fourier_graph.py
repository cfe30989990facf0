"""The Fourier transform of frames in ONNX graphs, as matrix products in two stages.

ONNX Runtime's own operator is slow, and a single matrix product takes ten times as many
multiplications at 1536 samples. The matrices are computed from integers when the graph is loaded,
and are not stored.
"""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto
from torch import nn

from timbrel.bundles.graph import Graph


class FourierGraph(Graph):
    """Builds a graph that transforms frames of `n_fft` samples, an even number."""

    def __init__(self, name: str, network: nn.Module, n_fft: int) -> None:
        super().__init__(name, network)
        self._n_fft, self._n_bins = n_fft, n_fft // 2 + 1
        # n1, n2, and how many m make the bins: see `_forward_waves`.
        self._n1 = max(
            n for n in range(1, math.isqrt(n_fft) + 1) if n_fft % n == 0 and n_fft // n % 2 == 0
        )
        self._n2 = n_fft // self._n1
        self._n_rows = self._n2 // 2 + 1
        self._first, self._turns, self._second = self._forward_waves()

    def _forward_waves(self) -> tuple[str, tuple[str, str], str]:
        """The matrices of a real Fourier transform in two stages, made when the graph loads.

        With n = n2 · i + j and k = l + n1 · m, of which i and l count to n1 and j to n2, stage one
        sums over i for each j, and stage two over j for each l (Cooley and Tukey 1965). What lies
        between two stages is turned by l · j of the circle's n_fft parts.

        Returns
        -------
        first
            (2 · n1, n1), from i to the real parts at l, and to the imaginary ones.
        turns
            Cosine and sine, each (n1, n2).
        second
            (2 · n2, 2 · m), from the real and imaginary parts at j to those at m.
        """
        i, j, m = (
            self.add("Range", [self.constant(v, np.int64) for v in (0, n, 1)])
            for n in (self._n1, self._n2, self._n_rows)
        )
        cosine, sine = self._waves(i, i, self._n1)
        first = self.add("Concat", [cosine, self.add("Neg", [sine])], axis=0)
        turns = self._waves(i, j, self._n_fft)
        cosine, sine = self._waves(j, m, self._n2)
        of_real = self.add("Concat", [cosine, self.add("Neg", [sine])], axis=1)
        of_imaginary = self.add("Concat", [sine, cosine], axis=1)
        return first, turns, self.add("Concat", [of_real, of_imaginary], axis=0)

    def _waves(self, rows: str, columns: str, period: int) -> tuple[str, str]:
        """Cosine and sine of 2π · row · column / period."""
        product = self.add("Mul", [self.add("Unsqueeze", [rows, self.integers(1)]), columns])
        turns = self.add("Mod", [product, self.integers(period)])
        cycles = self.add("Cast", [turns], to=TensorProto.FLOAT)
        angle = self.add("Mul", [cycles, self.constant(2 * np.pi / period)])
        return self.add("Cos", [angle]), self.add("Sin", [angle])

    def _turned(self, real: str, imaginary: str, *, back: bool) -> list[str]:
        """What lies between the stages, (rows, n1, n2), turned on its way there or back."""
        cosine, sine = self._turns
        across = [self.add("Mul", [imaginary, sine]), self.add("Mul", [real, sine])]
        along = [self.add("Mul", [part, cosine]) for part in (real, imaginary)]
        signs = ("Sub", "Add") if back else ("Add", "Sub")
        return [self.add(sign, [a, b]) for sign, a, b in zip(signs, along, across, strict=True)]

    def transformed(self, frames: str, shape: str) -> tuple[str, str]:
        """Real and imaginary parts of the spectra of frames (…, n_fft), brought into a shape."""
        x = self.add("Reshape", [frames, self.integers(-1, self._n1, self._n2)])
        parts = self.add("Split", [self.add("MatMul", [self._first, x])], 2, axis=1)
        x = self.add("Concat", self._turned(*parts, back=False), axis=2)  # (rows, n1, 2 · n2)
        x = self.add("MatMul", [x, self._second])
        x = self.add("Transpose", [x], perm=[0, 2, 1])  # (rows, 2 · m, n1)
        x = self.add("Reshape", [x, self.integers(-1, 2, self._n_rows * self._n1)])
        real, imaginary = self.add("Split", [self.slice(x, 0, self._n_bins, 2)], 2, axis=1)
        return self.add("Reshape", [real, shape]), self.add("Reshape", [imaginary, shape])

    def transformed_back(
        self, real: str, imaginary: str, shape: str, *, lowest_bin: int = 0
    ) -> str:
        """Frames of spectra (tracks, frames, n_bins), `n_fft` times as large, in a shape."""
        # Each bin but the first and the last stands for itself and its mirror image.
        share = np.full(self._n_bins, 2.0)
        share[[0, -1]] = 1.0
        share[:lowest_bin] = 0.0
        parts = [
            self.add("Unsqueeze", [self.add("Mul", [part, self.constant(share)]), self.integers(2)])
            for part in (real, imaginary)
        ]
        x = self.add("Concat", parts, axis=2)  # (tracks, frames, 2, n_bins)
        pads = self.integers(0, 0, 0, 0, 0, 0, 0, self._n_rows * self._n1 - self._n_bins)
        x = self.add("Pad", [x, pads])
        x = self.add("Reshape", [x, self.integers(-1, 2 * self._n_rows, self._n1)])
        x = self.add("Transpose", [x], perm=[0, 2, 1])  # (rows, n1, 2 · m)
        x = self.add("MatMul", [x, self.add("Transpose", [self._second], perm=[1, 0])])
        parts = self.add("Split", [x], 2, axis=2)
        x = self.add("Concat", self._turned(*parts, back=True), axis=1)  # (rows, 2 · n1, n2)
        x = self.add("MatMul", [self.add("Transpose", [self._first], perm=[1, 0]), x])
        return self.add("Reshape", [x, shape])

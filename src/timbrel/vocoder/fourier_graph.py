"""The Fourier transform of frames in ONNX graphs, as matrix products in two stages.

ONNX Runtime's own operator is slow, and a single matrix product takes ten times as many
multiplications at 1536 samples. The matrices are made of integers when the graph is loaded, and
not stored.
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
        self._waves = self._forward_waves()

    def _forward_waves(self) -> tuple[str, str]:
        """The matrices of both stages of a real Fourier transform, made when the graph loads.

        With n = n2 · i + j and k = l + n1 · m, of which i and l count to n1 and j to n2, stage one
        sums over i for each j, and stage two over j for each l (Cooley and Tukey 1965). The second
        does the turning between them as well.

        Returns
        -------
        first
            (n1, 2 · n1), from i to the real and imaginary part at l.
        second
            (n1, 2 · n2, 2 · m), for each l from the real and imaginary part at j to those at m.
        """
        n1, n2, n_rows = self._n1, self._n2, self._n_rows
        i, j, m = (
            self.add("Range", [self.constant(v, np.int64) for v in (0, n, 1)])
            for n in (n1, n2, n_rows)
        )
        product = self.add("Mul", [self.add("Unsqueeze", [i, self.integers(1)]), i])
        cosine, sine = self._turned(product, n1)
        first = self.add("Concat", [cosine, self.add("Neg", [sine])], axis=1)
        bins = self.add("Mul", [m, self.integers(n1)])
        bins = self.add("Add", [self.add("Unsqueeze", [i, self.integers(1)]), bins])  # (n1, m)
        product = self.add(
            "Mul",
            [
                self.add("Unsqueeze", [bins, self.integers(1)]),
                self.add("Unsqueeze", [j, self.integers(1)]),
            ],
        )  # (n1, n2, m)
        cosine, sine = self._turned(product, self._n_fft)
        of_real = self.add("Concat", [cosine, self.add("Neg", [sine])], axis=2)
        of_imaginary = self.add("Concat", [sine, cosine], axis=2)
        return first, self.add("Concat", [of_real, of_imaginary], axis=1)

    def _turned(self, product: str, period: int) -> list[str]:
        """Cosine and sine of 2π · product / period."""
        turns = self.add("Mod", [product, self.integers(period)])
        cycles = self.add("Cast", [turns], to=TensorProto.FLOAT)
        angle = self.add("Mul", [cycles, self.constant(2 * np.pi / period)])
        return [self.add(function, [angle]) for function in ("Cos", "Sin")]

    def transformed(self, frames: str, shape: str) -> tuple[str, str]:
        """Real and imaginary parts of the spectra of frames (…, n_fft), brought into a shape."""
        n1, n2, n_rows = self._n1, self._n2, self._n_rows
        first, second = self._waves
        x = self.add("Reshape", [frames, self.integers(-1, n1, n2)])
        x = self.add("MatMul", [self.add("Transpose", [x], perm=[0, 2, 1]), first])
        x = self.add("Reshape", [x, self.integers(-1, n2, 2, n1)])
        x = self.add("Transpose", [x], perm=[3, 0, 2, 1])  # (n1, rows, 2, n2)
        x = self.add("MatMul", [self.add("Reshape", [x, self.integers(n1, -1, 2 * n2)]), second])
        x = self.add("Reshape", [x, self.integers(n1, -1, 2, n_rows)])
        x = self.add("Transpose", [x], perm=[1, 2, 3, 0])  # (rows, 2, m, n1)
        x = self.add("Reshape", [x, self.integers(-1, 2, n_rows * n1)])
        real, imaginary = self.add("Split", [self.slice(x, 0, self._n_bins, 2)], 2, axis=1)
        return self.add("Reshape", [real, shape]), self.add("Reshape", [imaginary, shape])

    def transformed_back(self, real: str, imaginary: str, shape: str) -> str:
        """Frames of spectra (tracks, frames, n_bins), `n_fft` times as large, in a shape."""
        n1, n2, n_rows = self._n1, self._n2, self._n_rows
        # Each bin but the first and the last stands for itself and its mirror image.
        share = np.full(self._n_bins, 2.0)
        share[[0, -1]] = 1.0
        parts = [
            self.add("Unsqueeze", [self.add("Mul", [part, self.constant(share)]), self.integers(2)])
            for part in (real, imaginary)
        ]
        x = self.add("Concat", parts, axis=2)  # (tracks, frames, 2, n_bins)
        pads = self.integers(0, 0, 0, 0, 0, 0, 0, n_rows * n1 - self._n_bins)
        x = self.add("Reshape", [self.add("Pad", [x, pads]), self.integers(-1, 2, n_rows, n1)])
        x = self.add("Transpose", [x], perm=[3, 0, 1, 2])  # (n1, rows, 2, m)
        x = self.add("Reshape", [x, self.integers(n1, -1, 2 * n_rows)])
        first, second = self._waves
        x = self.add("MatMul", [x, self.add("Transpose", [second], perm=[0, 2, 1])])
        x = self.add("Reshape", [x, self.integers(n1, -1, 2, n2)])
        x = self.add("Transpose", [x], perm=[1, 3, 2, 0])  # (rows, n2, 2, n1)
        x = self.add("Reshape", [x, self.integers(-1, n2, 2 * n1)])
        x = self.add("MatMul", [x, self.add("Transpose", [first], perm=[1, 0])])
        x = self.add("Transpose", [x], perm=[0, 2, 1])  # (rows, n1, n2)
        return self.add("Reshape", [x, shape])

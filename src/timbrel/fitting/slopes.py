"""Derivatives in blocks: numbers on which all points depend, and numbers of a part of the points.

How loud each note of a clip was played changes nothing in the other clips, so the matrix of all
derivatives is mostly empty. Of four clips with sixty notes each, it would take three gigabytes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Slopes:
    """How differences change with some numbers.

    Attributes
    ----------
    shared
        With the numbers on which all points may depend, (points, numbers).
    of_notes
        Of each part of the points, with its own numbers, which come after those, part after part:
        (points of the part, numbers).
    """

    shared: np.ndarray
    of_notes: list[np.ndarray]

    def change(self, step: np.ndarray) -> np.ndarray:
        """Of the differences with a step of all numbers, (points,)."""
        shared, notes = self._split(step)
        of_notes = [slopes @ own for slopes, own in zip(self.of_notes, notes, strict=True)]
        return self.shared @ shared + np.concatenate(of_notes)

    def corrected(self, wrong: np.ndarray, step: np.ndarray) -> Slopes:
        """Slopes with which a step would not have been wrong by so much, after Broyden (1965)."""
        direction = step / (step @ step)
        shared, notes = self._split(direction)
        parts = np.split(wrong, self._ends)
        of_notes = [
            slopes + np.outer(part, own).astype(np.float32)
            for slopes, part, own in zip(self.of_notes, parts, notes, strict=True)
        ]
        return Slopes(self.shared + np.outer(wrong, shared), of_notes)

    def squares(
        self, weights: np.ndarray, differences: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Slopesᵀ · weights · slopes and slopesᵀ · weights · differences, of weighted squares."""
        weighted = weights[:, None] * self.shared
        n_shared = self.shared.shape[1]
        size = n_shared + sum(slopes.shape[1] for slopes in self.of_notes)
        normal, gradient = np.zeros((size, size)), np.zeros(size)
        normal[:n_shared, :n_shared] = self.shared.T @ weighted
        gradient[:n_shared] = weighted.T @ differences
        first = n_shared
        for slopes, rows in zip(self.of_notes, self._rows, strict=True):
            own = slice(first, first + slopes.shape[1])
            heavy = weights[rows, None].astype(np.float32) * slopes
            normal[own, own] = slopes.T @ heavy
            normal[own, :n_shared] = heavy.T @ self.shared[rows]
            normal[:n_shared, own] = normal[own, :n_shared].T
            gradient[own] = heavy.T @ differences[rows]
            first = own.stop
        return normal, gradient

    @property
    def _ends(self) -> list[int]:
        """Of the parts' points, but for the last one's."""
        return np.cumsum([len(slopes) for slopes in self.of_notes]).tolist()[:-1]

    @property
    def _rows(self) -> list[slice]:
        return [slice(*pair) for pair in itertools.pairwise([0, *self._ends, len(self.shared)])]

    def _split(self, step: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        n_shared = self.shared.shape[1]
        sizes = [slopes.shape[1] for slopes in self.of_notes]
        return step[:n_shared], np.split(step[n_shared:], np.cumsum(sizes)[:-1])

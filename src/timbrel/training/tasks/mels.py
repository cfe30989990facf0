"""Code shared by the tasks of kinds with mels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from timbrel.training.task import Validation


@dataclass(frozen=True)
class MelValidation(Validation):
    """Measures, and a picture of a mel."""

    # True and predicted mel, each (frames, n_mels).
    picture: tuple[np.ndarray, np.ndarray]

    def draw(self, board: Any, step: int) -> None:
        true, predicted = self.picture
        picture = np.concatenate([true, predicted], axis=1)  # (frames, 2 * n_mels)
        low, high = true.min(), max(true.max(), true.min() + 1e-3)
        picture = np.clip((picture - low) / (high - low), 0, 1).T[::-1]
        board.add_image("mel: predicted above, true below", picture[None], step)

"""The range of a mel, widened before a vocoder plays it.

Networks that are trained to come near, Mel2Mel and the vocoder alike, say the mean of what is
likely, and means vary less than what they are the means of. So loud moments come out too soft, and
soft ones too loud. As speech synthesis does with its "global variance" (Toda and Tokuda 2007), the
range is stretched: a band's log magnitude m becomes ``factor · m + offset``, with one factor and an
offset for each band. Strokes of kits, which vary enough, only become louder. What is wanted is
found from sounds beside their originals (`timbrel.evaluation.programs.contrast_fit`). These are
constants of a bundle, not weights: a training goes on without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from timbrel.errors import InputError

KEY = "contrast"  # of a bundle's config.json


@dataclass(frozen=True)
class Contrast:
    """How a mel's range is widened.

    Raises
    ------
    InputError
        If the factor is not above 0.
    """

    factor: float
    offset: tuple[float, ...]  # of each band, or one for all, natural logarithm
    kits: float = 0.0  # of all bands of kits, whose factor is 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "offset", tuple(self.offset))  # JSON gives lists
        if not self.factor > 0:
            raise InputError(f"the factor of a contrast must be above 0, not {self.factor}")

    @property
    def of_kits(self) -> Contrast:
        """That of strokes."""
        return Contrast(1.0, (self.kits,))

    def widened(self, mel: np.ndarray, log_floor: float) -> np.ndarray:
        """A log-mel (…, n_mels), but of no kit, as the vocoder plays it; silence stays silence."""
        wide = np.float32(self.factor) * mel + np.array(self.offset, np.float32)
        return np.maximum(wide, np.float32(log_floor))

    @classmethod
    def of_bundle(cls, config: dict[str, Any], n_mels: int, where: object) -> Contrast | None:
        """What a bundle's config.json says, if it says anything of it.

        Raises
        ------
        InputError
            If that is no contrast of so many bands.
        """
        if KEY not in config:
            return None
        try:
            found = cls(**config[KEY])
            fits = (
                len(found.offset) == n_mels
                and np.isfinite([found.factor, found.kits, *found.offset]).all()
            )
        except TypeError:
            fits = False
        if not fits:
            raise InputError(f"{where}: its '{KEY}' must hold a factor and {n_mels} offsets")
        return found

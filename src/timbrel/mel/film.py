"""FiLM vectors of a timbre's own: what is added to those that a Mel2Mel's embedding gives.

A Mel2Mel scales and shifts the features of two layers. The factors and the shifts are linear in the
embedding, so that they lie in a space of few dimensions; a timbre of its own may leave it. Its
point is then longer: behind the coordinates follow γ₁, β₁, γ₂ and β₂, as they are added.
"""

from __future__ import annotations

from typing import NamedTuple


class FilmSizes(NamedTuple):
    """How many numbers scale and shift the first layer's features, and the second one's."""

    first: int
    second: int

    @classmethod
    def of(cls, hidden_size: int) -> FilmSizes:
        """Those of a Mel2Mel, whose second layer has the features of two LSTMs."""
        return cls(2 * hidden_size, 4 * hidden_size)

    @property
    def total(self) -> int:
        return self.first + self.second

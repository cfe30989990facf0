"""FiLM vectors of a timbre's own: what is added to those that a Mel2Mel's embedding gives.

A Mel2Mel scales and shifts the features of two layers. The factors and the shifts are linear in the
embedding, so that they lie in a space of few dimensions; a timbre of its own may leave it. Its
point is then longer: behind the coordinates follow γ₁, β₁, γ₂ and β₂, as they are added, and, where
the model has a network of single notes, what is added to the features of the timbre from which that
network's factors and shifts come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

NOTE_TIMBRE_UNITS = 384  # features of a timbre in a network of single notes, unless it says more


class FilmSizes(NamedTuple):
    """How many numbers are added for the first layer, the second one, and single notes."""

    first: int
    second: int
    notes: int

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> FilmSizes:
        """Those of a Mel2Mel's configuration; its second layer has the features of two LSTMs."""
        hidden = model["hidden_size"]
        notes = model.get("timbre_units", NOTE_TIMBRE_UNITS) if model.get("note_units") else 0
        return cls(2 * hidden, 4 * hidden, notes)

    @property
    def total(self) -> int:
        return sum(self)

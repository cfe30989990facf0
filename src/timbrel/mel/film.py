"""FiLM vectors of a timbre's own: what is added to those that a Mel2Mel's embedding gives.

A Mel2Mel scales and shifts the features of two layers. The factors and the shifts are linear in the
embedding, so that they lie in a space of few dimensions; a timbre of its own may leave it. Its
point is then longer: behind the coordinates follow γ₁, β₁, γ₂ and β₂, as they are added, and, where
the model has a network of single notes, γ and β of each of that network's layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

NOTE_FILMS = 3  # of a network of single notes: of what it reads of a note, and of two layers


def note_film_size(note_units: int) -> int:
    """How many numbers are γ and β of all layers of a network of single notes."""
    return 2 * NOTE_FILMS * note_units


class FilmSizes(NamedTuple):
    """How many numbers are added for the first layer, the second one, and those of single notes."""

    first: int
    second: int
    notes: int

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> FilmSizes:
        """Those of a Mel2Mel's configuration; its second layer has the features of two LSTMs."""
        hidden = model["hidden_size"]
        return cls(2 * hidden, 4 * hidden, note_film_size(model.get("note_units", 0)))

    @property
    def total(self) -> int:
        return sum(self)

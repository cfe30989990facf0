"""How a timbre is fitted, and what is noted on the way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FitOptions:
    """How a timbre is fitted."""

    steps: int = 240
    place_steps: int = 30  # in which the place alone moves
    place_rate: float = 0.03  # learning rates of Adam; they fall as a cosine does
    film_rate: float = 0.02
    decay: float = 0.3  # of the squared FiLM vectors
    check_every: int = 10
    patience: int = 80  # steps without a better held-out part
    # At the end, from the best state, in which the parts that were held out count, too: they are a
    # fifth of all that is known of the instrument.
    last_steps: int = 120
    last_rate: float = 0.01  # of everything
    seed: int = 0


@dataclass(frozen=True)
class Check:
    """The error at a step, in dB."""

    step: int
    seen_db: float
    held_out_db: float

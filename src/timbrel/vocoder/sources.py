"""The sources of a parallel vocoder for a track: pulses of its notes, or a kit's strokes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timbrel.constants import PERFORMANCE, PIANO
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.pitch import Timing
from timbrel.vocoder.bent_excitation import BentExcitation
from timbrel.vocoder.excitation import Excitation
from timbrel.vocoder.strokes import Strokes

# By a vocoder's conditioning.
ROLLS = {"excitation": PIANO, "performance": PERFORMANCE}

Source = Excitation | BentExcitation | Strokes


def source_of(roll: PianoRoll, sizes: Mapping[str, Any]) -> Source:
    """The source for a track.

    Parameters
    ----------
    roll
        Of the track; a `PerformanceRoll` where the vocoder's conditioning is "performance".
    sizes
        The vocoder's configuration.
    """
    geometry = {"sample_rate": sizes["sample_rate"], "hop_length": sizes["hop_length"]}
    if not isinstance(roll, PerformanceRoll):
        return Excitation(roll, onset_grid_s=sizes["onset_grid_s"], **geometry)
    timing = Timing(sizes["onset_grid_s"], sizes["onset_clock_s"], sizes["onset_delay_s"])
    kind = Strokes if roll.is_kit else BentExcitation
    return kind(roll, timing=timing, **geometry)


def wanted_roll(sizes: Mapping[str, Any]) -> str | None:
    """The kind of piano roll that a vocoder of a configuration wants; None: it looks at none."""
    return ROLLS.get(str(sizes.get("conditioning")))


def is_kit(roll: PianoRoll) -> bool:
    """Whether a track is that of a drum kit."""
    return isinstance(roll, PerformanceRoll) and roll.is_kit

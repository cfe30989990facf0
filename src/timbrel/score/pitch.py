"""The pitches of a track's notes over time: bends, tuning and vibrato.

A bend and a tuning move all notes of a track. Vibrato belongs to each note: a triangle wave that
begins with the note, as that of FluidSynth's vibrato oscillator does, with the depth set by the
modulation wheel. Its rate and its delay depend on the instrument; the values here are those of the
programs of MuseScore General, on which the models have been trained.

FluidSynth acts at the beginnings of its blocks of samples: a message at time t takes effect in the
first block that begins no earlier than the next whole millisecond, and is heard one block later.
Only if this is reproduced is the phase of a partial relative to its note's onset always the same,
so that it can be learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from timbrel.score.score import Automation

SMALLEST_PART = 1e-6  # of a step: what lacks less than that is a whole one


class Vibrato(NamedTuple):
    """A program's vibrato."""

    hz: float = 8.176
    delay_s: float = 0.001


# Programs of MuseScore General whose vibrato differs from the SoundFont standard's default.
_VIBRATOS: dict[Vibrato, tuple[int, ...]] = {
    Vibrato(0.0): (4,),
    Vibrato(5.0): (5, 38, 46, 50, 51, 78, 86, 87, 88, 89, 90),
    Vibrato(4.91): (10, 71, 94, 98, 103),
    Vibrato(4.0): (15,),
    Vibrato(5.0, 0.1): (39, 80, 96, 97),
    Vibrato(5.0, 0.01): (42,),
    Vibrato(4.5): (62, 63),
    Vibrato(6.0): (81,),
    Vibrato(3.05, 0.1): (92,),
    Vibrato(8.176, 2.0): (93,),
    Vibrato(3.0, 0.1): (95,),
    Vibrato(4.91, 0.5): (99,),
    Vibrato(5.72): (100,),
    Vibrato(4.25): (104,),
    Vibrato(5.38): (106, 112, 113),
    Vibrato(5.4): (107, 111),
}
_VIBRATO_OF = {program: vibrato for vibrato, programs in _VIBRATOS.items() for program in programs}


def vibrato_of(program: int) -> Vibrato:
    """The vibrato of a General MIDI program."""
    return _VIBRATO_OF.get(program, Vibrato())


@dataclass(frozen=True)
class Timing:
    """When a synthesizer acts on what it is told.

    Messages count from the next multiple of `clock_s` on, then from the next of `grid_s`, and are
    heard `delay_s` later. A clock of 0 is exact.
    """

    grid_s: float
    clock_s: float = 0.0
    delay_s: float = 0.0

    def acted(self, times_s: np.ndarray) -> np.ndarray:
        """When messages of some times are heard."""
        for step_s in (self.clock_s, self.grid_s):
            if step_s:
                times_s = np.ceil(times_s / step_s - SMALLEST_PART) * step_s
        return times_s + self.delay_s


class Pitches:
    """The pitches of a track over time, relative to those that its notes are written with.

    Parameters
    ----------
    bend, tuning
        Of the track, in semitones.
    vibrato
        Depth to either side, in semitones.
    program
        Decides how fast the vibrato is.
    resolution
        In semitones: what notes are shifted by is rounded down to its multiples. 0 is exact.
    """

    def __init__(
        self,
        bend: Automation,
        tuning: Automation,
        vibrato: Automation,
        program: int,
        *,
        resolution: float = 0.0,
    ) -> None:
        times_s = np.union1d(bend.times_s, tuning.times_s)
        shifts = bend.at(times_s) + tuning.at(times_s)
        self._times_s, self._shifts = _without_repetitions(times_s, shifts)
        self._resolution = resolution
        self._depths = vibrato
        self._vibrato = vibrato_of(program)
        self.is_bent = bool(self._shifts.any())
        self.has_vibrato = any(vibrato.values) and self._vibrato.hz > 0

    def shift(
        self,
        times_s: np.ndarray,
        onset_s: float | np.ndarray | None = None,
        timing: Timing | None = None,
    ) -> np.ndarray:
        """How far a note is from its pitch, in semitones.

        Parameters
        ----------
        times_s
            When.
        onset_s
            When the note began; without it, vibrato is left out. Shapes are broadcast.
        timing
            When messages are heard; at once where it is None.
        """
        index = np.searchsorted(self._heard(timing), times_s, side="right") - 1
        shift = self._shifts[np.maximum(index, 0)]
        if onset_s is not None and self.has_vibrato:
            depths_s = np.asarray(self._depths.times_s)
            depths_s = depths_s if timing is None else timing.acted(depths_s)
            index = np.searchsorted(depths_s, times_s, side="right") - 1
            depth = np.asarray(self._depths.values)[np.maximum(index, 0)]
            cycles = (times_s - onset_s - self._vibrato.delay_s) * self._vibrato.hz
            shift = shift + depth * np.where(cycles > 0, _triangle(cycles), 0.0)
        return self._rounded(shift)

    def sways(self, start_s: float, stop_s: float, timing: Timing) -> bool:
        """Whether there is vibrato in a span of time."""
        depths_s = timing.acted(np.asarray(self._depths.times_s))
        first = max(int(np.searchsorted(depths_s, start_s, side="right")) - 1, 0)
        return any(self._depths.values[first : int(np.searchsorted(depths_s, stop_s))])

    def _rounded(self, shift: np.ndarray) -> np.ndarray:
        if not self._resolution:
            return shift
        return np.floor(shift / self._resolution + SMALLEST_PART) * self._resolution

    def elapsed(self, times_s: np.ndarray, timing: Timing) -> np.ndarray:
        """The integral of the ratio of frequencies, 2^(shift / 12), since time 0: in seconds."""
        heard_s = self._heard(timing)
        ratios = 2.0 ** (self._rounded(self._shifts) / 12)
        # The first value holds before its time, too.
        sums = np.concatenate([[0.0], np.cumsum(np.diff(heard_s) * ratios[:-1])])
        index = np.maximum(np.searchsorted(heard_s, times_s, side="right") - 1, 0)
        return sums[index] + (times_s - heard_s[index]) * ratios[index]

    def _heard(self, timing: Timing | None) -> np.ndarray:
        return self._times_s if timing is None else timing.acted(self._times_s)


def _without_repetitions(times_s: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A stepwise curve without the steps that change nothing."""
    kept = np.concatenate([[True], np.diff(values) != 0])
    return times_s[kept], values[kept]


def _triangle(cycles: np.ndarray) -> np.ndarray:
    """A triangle that rises from 0 to 1 in a quarter of a cycle."""
    place = np.mod(cycles + 0.25, 1.0)
    return 1 - np.abs(4 * place - 2)


_NO_CURVE = Automation((0.0,), (0.0,))
AS_WRITTEN = Pitches(_NO_CURVE, _NO_CURVE, _NO_CURVE, 0)

"""Options for rendering a score, shared by the library and the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from timbrel.constants import A4_HZ
from timbrel.errors import InputError

if TYPE_CHECKING:
    from timbrel.timbre.assignment import Timbres

MAX_GAIN_DB = 100.0
LOWEST_TUNING_HZ, HIGHEST_TUNING_HZ = A4_HZ / 2, A4_HZ * 2


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """Options of `Synthesizer.render` and `Synthesizer.stream`.

    Parameters
    ----------
    timbre
        A timbre (see `timbrel.timbre.timbre`) for all tracks, or a mapping from track numbers,
        counted from 1, or track names to timbres; the number 0 stands for all other tracks. Tracks
        without a timbre get the instrument whose sound is nearest to their MIDI program. The times
        of a timbre path are score times.
    seed
        Seed of the vocoder's noise: the same seed gives the same sound.
    start_s, duration_s
        The part of the score to play, in seconds; without a duration, it ends with the score and
        its release.
    channels
        2 for stereo, 1 for mono.
    gain_db
        Gain of the mix, from −100 to 100 dB; a limiter keeps it from clipping.
    tuning_hz
        Of the a above middle C, for models that play bends. Drums stay as they are.
    stems
        Whether to return each track separately as well. Tracks then do not share voices.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    timbre: Timbres = None
    seed: int = 0
    start_s: float = 0.0
    duration_s: float | None = None
    channels: int = 2
    gain_db: float = 0.0
    tuning_hz: float = A4_HZ
    stems: bool = False

    @property
    def tuning(self) -> float:
        """The tuning in semitones above the usual one."""
        return 12 * math.log2(self.tuning_hz / A4_HZ)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            raise InputError(f"the start must be 0 s or later, not {self.start_s:g} s")
        if self.duration_s is not None and not (
            math.isfinite(self.duration_s) and self.duration_s > 0
        ):
            raise InputError(f"the duration must be more than 0 s, not {self.duration_s:g} s")
        if self.channels not in (1, 2):
            raise InputError(f"channels must be 1 or 2, not {self.channels}")
        if self.seed < 0:
            raise InputError(f"the seed must not be negative, not {self.seed}")
        if not LOWEST_TUNING_HZ <= self.tuning_hz <= HIGHEST_TUNING_HZ:
            raise InputError(
                f"the tuning must lie between {LOWEST_TUNING_HZ:g} and {HIGHEST_TUNING_HZ:g} Hz, "
                f"not {self.tuning_hz:g} Hz"
            )
        if not -MAX_GAIN_DB <= self.gain_db <= MAX_GAIN_DB:
            raise InputError(
                f"the gain must lie between −{MAX_GAIN_DB:g} and {MAX_GAIN_DB:g} dB, "
                f"not {self.gain_db:g} dB"
            )

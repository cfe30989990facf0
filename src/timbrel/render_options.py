"""How a score is to be played: the options that the library and the command line share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from timbrel.errors import InputError

if TYPE_CHECKING:
    from timbrel.timbre.timbre import Timbre

    # One timbre for all tracks, or one for each track's number, counted from 1, and under 0 one
    # for the others; a track that is given none gets the instrument nearest to its MIDI program.
    Timbres = str | Timbre | Mapping[int, str | Timbre] | None

MAX_GAIN_DB = 100.0
DEFAULT_LOUDNESS_LUFS = -16.0  # what streaming services play at, about
LOUDEST_LUFS, SOFTEST_LUFS = -1.0, -60.0  # that can be asked for

# Where the sound of single tracks is taken.
POST_FADER = "post-fader"  # after volume, pan, gain and limiter: their sum is the mix
PRE_FADER = "pre-fader"  # before all that, in mono: as it was computed
STEMS_KINDS = (POST_FADER, PRE_FADER)


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """Options of `Synthesizer.render` and `Synthesizer.stream`.

    Parameters
    ----------
    timbre
        A timbre (see `timbrel.timbre`) for all tracks, or a mapping from the numbers of tracks,
        counted from 1, to timbres; the number 0 stands for all others. Tracks without one get the
        instrument nearest to their MIDI program. A path's times are those of the score.
    seed
        Seed of the vocoder's noise: the same seed gives the same sound.
    start_s, duration_s
        The part of the score to play; without a duration to its end, with what rings on.
    channels
        2 for stereo, 1 for mono.
    loudness_lufs
        Integrated loudness of the mix (ITU-R BS.1770-4), from −60 to −1 LUFS; −16 where it is None.
        A limiter keeps true peaks below −1 dB, and takes 6 dB at most: where that is not enough
        the mix stays quieter. `Synthesizer.render` measures it, `Synthesizer.stream` estimates it.
    gain_db
        A gain of the mix instead, from −100 to 100 dB, as far as the limiter lets it.
    normalize
        Whether the mix gets the loudness at all; without it, it gets `gain_db` or stays as it is.
    stems
        Whether the sound of each track alone is wanted, too. Then no tracks share a voice.
    stems_kind
        ``"post-fader"``: with the track's volume and pan, and the gain and the limiter of the mix,
        so that their sum is the mix. ``"pre-fader"``: as the track was computed, in mono.

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
    loudness_lufs: float | None = None
    gain_db: float | None = None
    normalize: bool = True
    stems: bool = False
    stems_kind: str = POST_FADER

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
        if self.stems_kind not in STEMS_KINDS:
            known = " or ".join(STEMS_KINDS)
            raise InputError(f"stems must be {known}, not '{self.stems_kind}'")
        self._check_loudness()

    @property
    def target_lufs(self) -> float | None:
        """The loudness that the mix is to have; None where it gets a fixed gain."""
        if self.gain_db is not None or not self.normalize:
            return None
        return DEFAULT_LOUDNESS_LUFS if self.loudness_lufs is None else self.loudness_lufs

    def _check_loudness(self) -> None:
        gain, loudness = self.gain_db, self.loudness_lufs
        if gain is not None and not -MAX_GAIN_DB <= gain <= MAX_GAIN_DB:
            raise InputError(
                f"the gain must lie between −{MAX_GAIN_DB:g} and {MAX_GAIN_DB:g} dB, "
                f"not {gain:g} dB"
            )
        if loudness is None:
            return
        if not SOFTEST_LUFS <= loudness <= LOUDEST_LUFS:
            raise InputError(
                f"the loudness must lie between −{-SOFTEST_LUFS:g} and −{-LOUDEST_LUFS:g} LUFS, "
                f"not {loudness:g} LUFS"
            )
        if gain is not None:
            raise InputError("a loudness and a gain were given; give one of them")
        if not self.normalize:
            raise InputError("a loudness was given, but the mix is not to be normalised; choose")

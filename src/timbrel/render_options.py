"""Options for rendering a score, shared by the library and the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from timbrel.constants import A4_HZ
from timbrel.errors import InputError

if TYPE_CHECKING:
    from timbrel.timbre.assignment import Timbres, TrackKeys

MAX_GAIN_DB = 100.0
LOWEST_TUNING_HZ, HIGHEST_TUNING_HZ = A4_HZ / 2, A4_HZ * 2
DEFAULT_LOUDNESS_LUFS = -16.0  # what streaming services play at, about
LOUDEST_LUFS, SOFTEST_LUFS = -1.0, -60.0  # that can be asked for

# Where the sound of single tracks is taken.
POST_FADER = "post-fader"  # after volume, pan, room, gain and limiter: their sum is the mix
PRE_FADER = "pre-fader"  # before all that, in mono: as it was computed
STEMS_KINDS = (POST_FADER, PRE_FADER)


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
    mute
        The number or name of a track that is not heard, and not computed, or several of them.
    solo
        The number or name of the only track that is heard and computed, or several of them. A track
        that is muted as well is not heard.
    seed
        Seed of the vocoder's noise: the same seed gives the same sound.
    start_s, duration_s
        The part of the score to play, in seconds; without a duration, it ends with the score and
        its release.
    channels
        2 for stereo, 1 for mono.
    loudness_lufs
        Integrated loudness of the mix (ITU-R BS.1770-4), from −60 to −1 LUFS; −16 where it is None.
        A limiter keeps true peaks below −1 dB, and takes 6 dB at most: where that is not enough
        the mix stays quieter. `Synthesizer.render` measures it, `Synthesizer.stream` estimates it.
    gain_db
        A fixed gain of the mix instead, from −100 to 100 dB; the limiter keeps it from clipping.
    normalize
        Whether the mix is brought to `loudness_lufs` at all. If not, it gets `gain_db` or no gain.
    dry
        Whether to leave out the room: its reverb and chorus (CC91 and CC93), and the places of
        tracks where a file sets no pan.
    tuning_hz
        Of the a above middle C, for models that play bends. Drums stay as they are.
    stems
        Whether to return each track separately as well. Tracks then do not share voices.
    stems_kind
        ``"post-fader"``: with the track's volume, pan and share of the room and with the gain and
        the limiter of the mix, so that the stems sum to the mix. ``"pre-fader"``: as computed, in
        mono.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    timbre: Timbres = None
    mute: TrackKeys = ()
    solo: TrackKeys = ()
    seed: int = 0
    start_s: float = 0.0
    duration_s: float | None = None
    channels: int = 2
    loudness_lufs: float | None = None
    gain_db: float | None = None
    normalize: bool = True
    dry: bool = False
    tuning_hz: float = A4_HZ
    stems: bool = False
    stems_kind: str = POST_FADER

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

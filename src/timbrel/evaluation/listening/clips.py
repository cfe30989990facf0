"""The clips of a listening test: selecting them, and making them equally loud."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from timbrel.errors import InputError
from timbrel.files import read_json, write_text
from timbrel.sound import read_audio

CLIPS_FILE = "clips.json"
LOUDNESS_LUFS = -26.0  # of every clip, by ITU-R BS.1770-4
_FULL_SCALE = 0.99


@dataclass(frozen=True)
class RatedClip:
    """A sound that listeners may be asked about."""

    condition: str
    instrument: str
    file: str  # of the score
    start_s: float
    audio: str  # path of the sound, within the report's folder, or absolute

    @property
    def item(self) -> tuple[str, str, float]:
        """What is played, whatever the condition."""
        return self.instrument, self.file, self.start_s


def write_clips(report: Path, clips: Iterable[RatedClip]) -> None:
    """Write the list of a report's clips into its folder."""
    write_text(report / CLIPS_FILE, json.dumps([asdict(clip) for clip in clips], indent=1) + "\n")


def read_clips(report: str | os.PathLike, conditions: Sequence[str] = ()) -> list[RatedClip]:
    """The clips of a report that are there in each of some conditions.

    Parameters
    ----------
    report
        A folder that `timbrel evaluate` wrote.
    conditions
        All of the report's where there are none.

    Raises
    ------
    InputError
        If it is no report, a condition is not known, or the sounds are gone.
    """
    path = Path(report) / CLIPS_FILE
    if not path.is_file():
        raise InputError(
            f"{report}: is no report (it has no {CLIPS_FILE}); make one with 'timbrel evaluate'"
        )
    try:
        clips = [RatedClip(**row) for row in read_json(path)]
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: is damaged ({error}); run 'timbrel evaluate' again") from None
    known = list(dict.fromkeys(clip.condition for clip in clips))
    for name in conditions:
        if name not in known:
            raise InputError(f"there is no condition '{name}'; known: {'; '.join(known)}")
    chosen = set(conditions or known)
    clips = [clip for clip in clips if clip.condition in chosen]
    for clip in clips:
        if not sound_path(report, clip).is_file():
            raise InputError(f"{sound_path(report, clip)}: is gone; run 'timbrel evaluate' again")
    if len(chosen) < 2:
        raise InputError(f"{report}: a test compares two conditions at least")
    return clips


def sound_path(report: str | os.PathLike, clip: RatedClip) -> Path:
    return Path(report) / clip.audio


def equally_loud(path: Path) -> bytes:
    """A clip as a FLAC file, −26 LUFS loud, or as loud as it can be without clipping."""
    import pyloudnorm

    audio, sample_rate = read_audio(path)
    meter = pyloudnorm.Meter(sample_rate)
    # What is shorter than a block of the meter is measured with silence around it.
    padded = np.pad(audio, (0, max(0, round(meter.block_size * sample_rate) + 1 - len(audio))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a silent clip has no loudness
        loudness = meter.integrated_loudness(padded.astype(np.float64))
    gain = 10 ** ((LOUDNESS_LUFS - loudness) / 20) if np.isfinite(loudness) else 1.0
    gain = min(gain, _FULL_SCALE / max(float(np.abs(audio).max(initial=0.0)), 1e-9))
    file = io.BytesIO()
    soundfile.write(file, gain * audio, sample_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()

"""Those of NSynth's ten qualities that can be measured; the others are left unset.

The published notes were labelled by people; these measures follow the published descriptions and
claim no more than their definitions say.
"""

from __future__ import annotations

import numpy as np

from timbrel.constants import SAMPLE_RATE
from timbrel.notes.note import QUALITIES

MEASURED = ("bright", "dark", "fast_decay", "long_release")
RELEASE_S = 3.0  # when the key is released

_BRIGHT_HZ, _DARK_HZ = 2_000.0, 250.0  # of the spectral centroid
_FALL_DB = 20.0
_WINDOW = SAMPLE_RATE // 20
_SILENCE = 10 ** (-60 / 20)


def measured_qualities(audio: np.ndarray) -> tuple[int, ...]:
    """Ten zeros and ones for a note of four seconds, float, shape (64,000,).

    "bright" and "dark": the power-weighted spectral centroid lies above 2 kHz, or below 250 Hz.
    "fast_decay": before the release, the level has fallen 20 dB below its greatest.
    "long_release": at the end of the note, the level is less than 20 dB below that at the release.
    """
    power = np.abs(np.fft.rfft(audio)) ** 2
    hz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    centroid_hz = float((power * hz).sum() / max(power.sum(), 1e-12))
    frames = audio[: len(audio) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    level_db = 20 * np.log10(np.sqrt(np.square(frames).mean(axis=1)) + 1e-6)
    release = int(RELEASE_S * SAMPLE_RATE) // _WINDOW
    at_release_db, at_end_db = level_db[release - 1], level_db[-1]
    found = {
        "bright": centroid_hz > _BRIGHT_HZ,
        "dark": centroid_hz < _DARK_HZ,
        "fast_decay": at_release_db < level_db.max() - _FALL_DB,
        "long_release": at_end_db > max(at_release_db - _FALL_DB, 20 * np.log10(_SILENCE)),
    }
    return tuple(int(found.get(quality, False)) for quality in QUALITIES)

"""The known timbre that is nearest to a clip: all of them are tried, each at the clip's level."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from timbrel.fitting.material import Passage, audible
from timbrel.measures.correlation import DB_PER_NEPER, log_mel_measures

_ROUNDS = 3
_ABOVE_FLOOR = 0.5  # nepers; what lies lower tells nothing of the level
# A score belongs to a clip where the best known timbre follows it so far, band by band; those of
# other pieces reach half of it.
LEAST_CORRELATION = 0.45


class Match(NamedTuple):
    """How near a known timbre comes to a clip."""

    error_db: float  # mean absolute difference of the log-mels
    gain: float  # nepers that bring the clip to the timbre's level
    place: int  # in the list of those that were tried
    correlation: float  # of the log-mels, each band's mean taken off


def matches(passage: Passage, mels: np.ndarray, floor: float) -> list[Match]:
    """Compare mels (timbres, frames, n_mels) of a passage's notes with the passage, best first."""
    found = []
    heard = audible(passage.mel)
    for place, mel in enumerate(np.maximum(mels, np.float32(floor))):
        gain = level_gain(passage.mel[heard], mel[heard], floor)
        measures = log_mel_measures(passage.target(gain, floor), mel)
        found.append(Match(measures.error_db, gain, place, measures.centred_correlation))
    return sorted(found)


def level_gain(true: np.ndarray, made: np.ndarray, floor: float) -> float:
    """Nepers that bring a log-mel to the level of another, where both are above the floor."""
    gain = 0.0
    for _ in range(_ROUNDS):
        above = (true + gain > floor) & (made > floor + _ABOVE_FLOOR)
        if above.any():
            gain += float(np.median((made - np.maximum(true + gain, floor))[above]))
    return gain


def error_db(true: np.ndarray, made: np.ndarray, floor: float) -> float:
    """Mean absolute difference of log-mels in the audible frames, in dB."""
    heard = audible(true)
    difference = np.abs(true[heard] - np.maximum(made[heard], floor))
    return float(difference.mean() * DB_PER_NEPER)

"""NSynth's µ-law: 256 levels numbered −128…127; level 0 begins at silence.

It differs from the vocoder's (`timbrel.engine.mulaw`), which rounds to levels 0–255 around 128:
here levels are truncated instead of rounded, and the networks are given ``level / 128``.
"""

from __future__ import annotations

import numpy as np

N_LEVELS = 256
HALF = N_LEVELS // 2
_MU = N_LEVELS - 1


def compress(audio: np.ndarray) -> np.ndarray:
    """Levels −128…127, int64, of samples; what lies beyond [-1, 1] is clipped."""
    audio = np.clip(audio.astype(np.float64), -1, 1)
    levels = HALF * np.sign(audio) * np.log1p(_MU * np.abs(audio)) / np.log(N_LEVELS)
    return np.minimum(np.floor(levels), HALF - 1).astype(np.int64)


def expand(levels: np.ndarray) -> np.ndarray:
    """Samples in the middle of each level, float32; `compress` gives the levels back exactly."""
    companded = (levels + 0.5) / HALF
    expanded = np.sign(companded) * (np.power(N_LEVELS, np.abs(companded)) - 1) / _MU
    return expanded.astype(np.float32)

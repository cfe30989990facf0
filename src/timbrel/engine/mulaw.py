"""µ-law companding: audio as one of 256 levels, which are finer at low amplitudes."""

from __future__ import annotations

import numpy as np

N_LEVELS = 256
SILENCE = N_LEVELS // 2
_MU = N_LEVELS - 1


def mu_law_encode(audio: np.ndarray) -> np.ndarray:
    """Levels 0–255 of samples in [-1, 1]; what lies beyond is clipped. Silence is level 128."""
    return np.floor(mu_law_positions(audio) + 0.5).astype(np.int64)


def mu_law_positions(audio: np.ndarray) -> np.ndarray:
    """Where samples lie on the scale of the levels, not rounded: 0 to 255, silence at 127.5."""
    audio = np.clip(audio, -1, 1)
    companded = np.sign(audio) * np.log1p(_MU * np.abs(audio)) / np.log1p(_MU)
    return (companded + 1) / 2 * _MU


def mu_law_decode(levels: np.ndarray) -> np.ndarray:
    """Samples of levels, or of positions between them, float32."""
    companded = 2 * levels.astype(np.float64) / _MU - 1
    expanded = np.sign(companded) * np.expm1(np.abs(companded) * np.log1p(_MU)) / _MU
    return expanded.astype(np.float32)

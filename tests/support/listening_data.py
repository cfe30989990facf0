"""What the tests of the listening test share."""

from __future__ import annotations

import numpy as np

RATE = 16_000
# What simulated listeners think, on the mean, of each condition.
MEANS = {"original": 4.3, "good vocoder": 3.4, "bad vocoder": 2.1}
ITEMS = [
    (instrument, f"piece-{i}.mid", 1.5 * i) for instrument in ("harp", "organ") for i in range(3)
]


def tone(seed: int, *, level: float, seconds: float = 0.6) -> np.ndarray:
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    frequency_hz = random.uniform(200, 1000)
    return (level * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)

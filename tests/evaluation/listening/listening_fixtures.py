"""A small report to listen to; a test module says ``pytest_plugins = ["listening_fixtures"]``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from timbrel.audio import write_audio
from timbrel.evaluation.listening.clips import RatedClip, write_clips

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


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A folder as `timbrel evaluate` writes it, as far as listening goes."""
    (tmp_path / "sounds").mkdir()
    clips = []
    for number, item in enumerate(ITEMS):
        for loudness, condition in enumerate(MEANS):
            name = f"sounds/{number}-{loudness}.flac"
            write_audio(tmp_path / name, tone(number, level=0.05 * 3**loudness), RATE)
            clips.append(RatedClip(condition, *item, name))
    write_clips(tmp_path, clips)
    return tmp_path

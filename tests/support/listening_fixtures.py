"""A small report to listen to; a test module says ``pytest_plugins = ["listening_fixtures"]``."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.listening_data import ITEMS, MEANS, RATE, tone
from timbrel.evaluation.listening.clips import RatedClip, write_clips
from timbrel.sound import write_audio


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

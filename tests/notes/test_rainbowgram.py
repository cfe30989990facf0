"""Rainbowgrams: where a tone lies, what its colour says, and the picture's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from timbrel.errors import OutputError
from timbrel.notes.rainbowgram import draw_rainbowgrams, rainbowgram


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(int(16_000 * seconds)) / 16_000).astype(np.float32)


def test_a_tone_lies_in_its_bin() -> None:
    level, drift = rainbowgram(tone(65.406 * 8))  # C5, three octaves above C2
    assert level.shape == drift.shape == (240, 63)
    assert level[:, 30].argmax() == 120
    assert level.max() == 1.0
    assert level.min() == 0.0


def test_colour_is_the_phase_of_a_tone_from_frame_to_frame() -> None:
    # Of 256 samples: 500 Hz turns 8 times, 505 Hz .08 turns more, which is .16 half turns.
    colours = []
    for hz in (500.0, 505.0):
        level, drift = rainbowgram(tone(hz))
        row = level[:, 30].argmax()
        colours.append(float(np.median(drift[row, 10:50])))
    assert abs(colours[0]) < 0.01
    assert colours[1] == pytest.approx(0.16, abs=0.02)


@pytest.mark.parametrize("seconds", [0.01, 0.3])
def test_short_sounds_have_pictures_too(seconds: float) -> None:
    level, _ = rainbowgram(tone(440, seconds))
    assert level.shape == (240, int(16_000 * seconds) // 256 + 1)
    assert np.isfinite(level).all()


def test_pictures_are_drawn_side_by_side(tmp_path: Path) -> None:
    sounds = [("one", tone(200)), ("two", tone(400))]
    draw_rainbowgrams(sounds[:1], tmp_path / "one.png")
    draw_rainbowgrams(sounds, tmp_path / "two.png")
    from matplotlib.image import imread

    one, two = (imread(tmp_path / name) for name in ("one.png", "two.png"))
    assert two.shape[0] == one.shape[0]
    assert two.shape[1] > 1.5 * one.shape[1]
    assert two[..., :3].std() > 0.05
    with pytest.raises(OutputError, match=r"\.png, \.svg"):
        draw_rainbowgrams(sounds, tmp_path / "a.gif")

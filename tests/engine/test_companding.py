"""NSynth's µ-law."""

from __future__ import annotations

import numpy as np

from timbrel.engine.companding import compress, expand


def test_all_levels_come_back() -> None:
    levels = np.arange(-128, 128)
    np.testing.assert_array_equal(compress(expand(levels)), levels)


def test_levels_of_known_samples() -> None:
    audio = np.array([0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 1e-9, -1e-9])
    # 128 · ln(128.5) / ln 256 = 112.09, cut off; −112.09 is cut off downwards.
    np.testing.assert_array_equal(compress(audio), [0, 127, -128, 112, -113, 127, 0, -1])


def test_error_is_at_most_half_a_level() -> None:
    audio = np.linspace(-1, 1, 10_001).astype(np.float32)
    error = np.abs(expand(compress(audio)) - audio)
    step = np.log(256) / 128 * (np.abs(audio) + 1 / 255)
    assert (error < step).all()

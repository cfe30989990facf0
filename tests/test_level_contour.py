"""Levels over time, and sound that follows them."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.level_contour import STEP_S, contour_of, following

RATE = 16_000
STEP = round(STEP_S * RATE)


def _noise(seconds: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)


def test_the_level_is_that_of_the_sound() -> None:
    sound = np.concatenate([0.1 * _noise(2), 0.01 * _noise(2)])
    contour = contour_of([sound], RATE)
    assert len(contour) == 80
    assert contour[10:30] == pytest.approx(-20, abs=0.3)
    assert contour[50:70] == pytest.approx(-40, abs=0.3)
    assert (np.diff(contour[34:46]) < 0).all()  # it falls without a jump


def test_blocks_change_nothing() -> None:
    sound = _noise(1.3)
    whole = contour_of([sound], RATE)
    assert contour_of(np.array_split(sound, 17), RATE) == pytest.approx(whole)
    stereo = np.stack([sound, sound], axis=1)
    outs = [
        np.concatenate(list(following(blocks, np.full(30, -6.0), RATE, gain_db=0.0)))
        for blocks in ([stereo], np.array_split(stereo, 23), [*stereo[:, None], stereo[:0]])
    ]
    for out in outs:
        assert out.shape == stereo.shape
        np.testing.assert_allclose(out, outs[0], atol=1e-5)


def test_the_level_is_followed() -> None:
    """A sound that swells, played by one that does not."""
    swell = (_noise(6) * np.linspace(0.1, 0.3, 6 * RATE)).astype(np.float32)
    wanted = contour_of([swell], RATE)
    steady = 0.05 * _noise(6, 2)[:, None]
    (out,) = [np.concatenate(list(following([steady], wanted, RATE, gain_db=12.0)))]
    error = contour_of([out], RATE) + 12.0 - wanted
    assert np.abs(error[5:-5]).max() < 0.7


def test_silence_and_ends_are_left_alone() -> None:
    wanted = contour_of([0.1 * _noise(2)], RATE)
    sound = np.concatenate([0.1 * _noise(1), np.full(RATE, 1e-7, np.float32), 0.1 * _noise(2)])
    out = np.concatenate(list(following([sound[:, None]], wanted, RATE, gain_db=0.0)))[:, 0]
    assert np.abs(out[RATE + 8 * STEP : 2 * RATE - 8 * STEP]).max() <= 1.001e-7  # nothing is raised
    gains = out[2 * RATE + 8 * STEP :] / sound[2 * RATE + 8 * STEP :]
    assert gains.std() < 1e-6  # the last correction stays


def test_no_more_than_twelve_decibels() -> None:
    sound = 0.001 * _noise(2)[:, None]
    out = np.concatenate(list(following([sound], np.full(40, -10.0), RATE, gain_db=0.0)))
    assert out[RATE] / sound[RATE] == pytest.approx(10 ** (12 / 20), rel=1e-3)

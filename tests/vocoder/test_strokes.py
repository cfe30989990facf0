"""The sources of drum kits."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.pitch import Timing
from timbrel.score.score import Note
from timbrel.vocoder.strokes import (
    ATTACK_NOISE,
    BODY_IMPULSES,
    BODY_NOISE,
    IMPULSE,
    StrokeFrames,
    Strokes,
)

RATE, HOP = 48_000, 384
TIMING = Timing(64 / RATE, 0.001, 64 / RATE)


def strokes(*played: tuple[int, float, int]) -> Strokes:
    notes = [Note(key, velocity, start, start + 0.05) for key, start, velocity in played]
    roll = PerformanceRoll(notes, 125, is_kit=True)
    return Strokes(roll, sample_rate=RATE, hop_length=HOP, timing=TIMING)


def whole(part: Strokes, stop: int = 200) -> StrokeFrames[np.ndarray]:
    return part.frames(0, stop)


def onset_sample(time_s: float) -> int:
    return round(float(TIMING.acted(np.array([time_s]))[0]) * RATE)


def test_all_begins_on_the_strokes_sample() -> None:
    found = whole(strokes((38, 0.1003, 127)))
    onset = onset_sample(0.1003)
    assert onset % 64 == 0
    assert np.flatnonzero(found.sources.any(axis=0))[0] == onset
    assert np.flatnonzero(found.gate)[0] == onset
    np.testing.assert_array_equal(np.flatnonzero(found.sources[IMPULSE]), [onset])
    assert found.sources[ATTACK_NOISE, onset] != 0


def test_the_body_follows_the_attack() -> None:
    found = whole(strokes((38, 0.1, 127)))
    onset = onset_sample(0.1)
    body = found.sources[[BODY_IMPULSES, BODY_NOISE]]
    assert not body[:, : onset + round(0.008 * RATE)].any()
    assert not found.sources[ATTACK_NOISE, onset + round(0.024 * RATE) :].any()
    pulses = np.flatnonzero(found.sources[BODY_IMPULSES])
    np.testing.assert_array_equal(np.diff(pulses), 768)
    assert (pulses[0] - onset) % 768 == 0
    level = np.sqrt(np.mean(np.square(found.sources[BODY_NOISE, onset + 4800 :][:4800])))
    assert level == pytest.approx(np.exp(-0.15), rel=0.1)


def test_noise_repeats_for_a_key_whatever_its_velocity() -> None:
    found = whole(strokes((38, 0.1, 127), (42, 0.5, 127), (38, 1.0, 64)))
    first, other, again = (
        found.sources[ATTACK_NOISE, onset_sample(t) :][:300] for t in (0.1, 0.5, 1.0)
    )
    np.testing.assert_allclose(again, first * 64 / 127, rtol=1e-5)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.2


def test_keys_tell_the_age() -> None:
    found = whole(strokes((38, 0.1, 127)))
    keys = found.keys.reshape(200, 3, 128)
    assert not keys[:, :, np.arange(128) != 38].any()
    frame = onset_sample(0.1) // HOP
    assert not keys[:frame].any()
    np.testing.assert_allclose(keys[frame, :, 38], 1.0)
    age_s = (HOP * (frame + 25) - onset_sample(0.1)) / RATE
    expected = np.exp(-age_s / np.array([3.0, 0.4, 0.05]))
    np.testing.assert_allclose(keys[frame + 25, :, 38], expected, rtol=1e-5)


def test_a_key_that_is_struck_again_ends_its_last_stroke() -> None:
    alone, twice = whole(strokes((38, 0.1, 100))), whole(strokes((38, 0.1, 100), (38, 0.4, 100)))
    second = onset_sample(0.4)
    np.testing.assert_array_equal(twice.sources[:, :second], alone.sources[:, :second])
    assert not twice.sources[BODY_NOISE, second : second + 300].any()
    other = whole(strokes((38, 0.1, 100), (42, 0.4, 100)))
    assert other.sources[BODY_NOISE, second : second + 300].all()


@pytest.mark.parametrize("size", [1, 7, 64])
def test_blocks_of_any_size_give_the_same(size: int) -> None:
    part = strokes((36, 0.1, 100), (42, 0.3, 90), (36, 0.302, 80), (49, 0.5, 120))
    expected = whole(part, 1000)
    found = [part.frames(i, min(i + size, 1000)) for i in range(0, 1000, size)]
    for name, axis in (("sources", 1), ("gate", 0), ("keys", 0)):
        parts = np.concatenate([getattr(one, name) for one in found], axis=axis)
        np.testing.assert_array_equal(parts, getattr(expected, name))


def test_strokes_far_away_are_not_looked_at() -> None:
    part = strokes(*((36 + i % 10, i * 0.25, 100) for i in range(400)))
    late = part.frames(125 * 50, 125 * 50 + 10)
    assert late.sources.any()
    assert not part.frames(125 * 120, 125 * 120 + 10).sources.any()

"""How well a glide is followed."""

from __future__ import annotations

import numpy as np

from timbrel.evaluation.programs.bends import (
    AFTER_S,
    BEFORE_S,
    GLIDE_S,
    PITCH,
    SEMITONES,
    glide,
    pitch_errors_cents,
)

RATE = 48_000


def tone(semitones: np.ndarray) -> np.ndarray:
    """A tone with some partials, whose pitch follows a curve."""
    hz = 440 * 2 ** ((PITCH - 69 + semitones) / 12)
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    return 0.2 * sum(np.sin(k * phase) / k for k in range(1, 6))


def test_a_tone_that_glides_and_one_that_does_not() -> None:
    times_s = np.arange(round((BEFORE_S + GLIDE_S + AFTER_S) * RATE)) / RATE
    curve = SEMITONES * np.clip((times_s - BEFORE_S) / GLIDE_S, 0, 1)
    followed = pitch_errors_cents(tone(curve), RATE)
    assert np.percentile(followed, 95) < 4
    still = pitch_errors_cents(tone(0 * curve), RATE)
    assert 90 < np.median(still) < 120
    assert 190 < still.max() < 210


def test_the_glide_is_two_semitones_over_a_second() -> None:
    messages, now = [], 0.0
    for message in glide(40):
        now += message.time
        messages.append((round(now, 3), message))
    bends = [(time, message.pitch) for time, message in messages if message.type == "pitchwheel"]
    assert bends[0] == (0.5, 0)
    assert bends[-1] == (1.5, 8191)
    assert messages[0][1].program == 40

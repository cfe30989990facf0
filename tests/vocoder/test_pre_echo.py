"""What swells before a stroke is held back, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.vocoder.pre_echo import REACH_S, REFERENCE_S, PreEchoControl

RATE, HOP = 48_000, 384
N_HOPS = 50


def control(*onsets: int) -> PreEchoControl:
    """For one track."""
    return PreEchoControl([np.array(onsets, np.int64)], sample_rate=RATE, hop_length=HOP)


def noise(level: float = 0.01) -> np.ndarray:
    """Steady noise, (1, samples)."""
    random = np.random.default_rng(0)
    return (level * random.standard_normal((1, N_HOPS * HOP))).astype(np.float32)


def rms_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.square(sound, dtype=np.float64).mean()))


def swelling(*onsets: int) -> np.ndarray:
    """Noise that comes up by 30 dB in the 30 ms before each stroke, and a stroke of level 1."""
    sound = noise()
    for onset in onsets:
        n = round(0.030 * RATE)
        sound[0, onset - n : onset] *= 10 ** (np.linspace(0, 30, n) / 20)
        sound[0, onset : onset + 4000] += np.sin(0.3 * np.arange(4000), dtype=np.float32)
    return sound


def test_what_swells_before_a_stroke_stays_at_the_level_before() -> None:
    onset = 9_001
    sound = swelling(onset)
    held = control(onset).process(sound.copy(), 0)
    n = round(0.005 * RATE)
    assert rms_db(sound[0, onset - n : onset]) > rms_db(noise()) + 20
    assert abs(rms_db(held[0, onset - n : onset]) - rms_db(noise())) < 2
    reach = round((REACH_S + 0.001) * RATE)
    np.testing.assert_array_equal(held[0, : onset - reach], sound[0, : onset - reach])
    np.testing.assert_array_equal(held[0, onset:], sound[0, onset:])  # from the very sample on


def test_steady_sound_is_left_nearly_as_it_is() -> None:
    sound = noise()
    held = control(9_001).process(sound.copy(), 0)
    assert abs(rms_db(held) - rms_db(sound)) < 0.2


def test_without_strokes_nothing_changes() -> None:
    np.testing.assert_array_equal(control().process(noise(), 0), noise())


def test_silence_stays_silence_and_what_comes_of_it_early_is_silenced() -> None:
    sound = np.zeros((1, N_HOPS * HOP), np.float32)
    np.testing.assert_array_equal(control(9_001).process(sound, 0), sound)
    sound[0, 8_500:] = 0.5
    held = control(9_001).process(sound.copy(), 0)
    assert np.abs(held[0, 8_640:9_001]).max() == 0
    assert (held[0, 9_001:] == 0.5).all()


def test_a_stroke_shortly_after_another_does_not_hold_that_back() -> None:
    first, second = 9_000, 9_000 + round(0.020 * RATE)
    sound = swelling(first)
    held = control(first, second).process(sound.copy(), 0)
    n = round(REFERENCE_S * RATE)
    np.testing.assert_array_equal(held[0, first : first + n], sound[0, first : first + n])
    assert abs(rms_db(held[0, first:second]) - rms_db(sound[0, first:second])) < 0.5


@pytest.mark.parametrize("hops", [1, 2, 7, 50])
@pytest.mark.parametrize("begin", [-3 * HOP, 0, 100 * HOP])
def test_the_length_of_a_step_changes_nothing(hops: int, begin: int) -> None:
    onsets = [begin + at for at in (500, 5_000, 5_400, 9_001, 9_001, 15_000)]
    sound = swelling(5_000, 9_001)
    whole = control(*onsets).process(sound.copy(), begin)
    stepped = control(*onsets)
    parts = [
        stepped.process(sound[:, at : at + hops * HOP].copy(), begin + at)
        for at in range(0, N_HOPS * HOP, hops * HOP)
    ]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-6)
    stepped.restart()
    first = stepped.process(sound[:, : 7 * HOP].copy(), begin)
    np.testing.assert_allclose(first, whole[:, : 7 * HOP], rtol=1e-6)


def test_each_track_has_its_own_strokes() -> None:
    sound = np.concatenate([swelling(9_001), swelling(9_001)])
    both = PreEchoControl(
        [np.array([9_001]), np.zeros(0, np.int64)], sample_rate=RATE, hop_length=HOP
    ).process(sound.copy(), 0)
    np.testing.assert_array_equal(both[1], sound[1])
    assert np.abs(both[0] - sound[0]).max() > 0.1

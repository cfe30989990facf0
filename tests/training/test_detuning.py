"""Detuned segments: higher or lower, as long as before, and all else as it was."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.training.detuning import LONGEST_S, SHORTEST_S, Segment, detuned, draw_segment

RATE = 16_000


def tone(hz: float, n_samples: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(n_samples) / RATE)).astype(np.float32)


def frequency_of(audio: np.ndarray) -> float:
    """From the number of times that a tone crosses zero upwards."""
    upwards = np.flatnonzero((audio[:-1] < 0) & (audio[1:] >= 0))
    places = upwards - audio[upwards] / (audio[upwards + 1] - audio[upwards])
    return (len(places) - 1) / (places[-1] - places[0]) * RATE


@pytest.mark.parametrize("semitones", [-0.5, 0.31, 0.5])
def test_only_the_segment_is_moved(semitones: float) -> None:
    audio = tone(440)
    segment = Segment(4000, 11_000, semitones)
    found = detuned(audio, segment, RATE)
    assert (found.shape, found.dtype) == (audio.shape, np.float32)
    np.testing.assert_array_equal(found[:4000], audio[:4000])
    np.testing.assert_array_equal(found[11_000:], audio[11_000:])
    cents = 1200 * np.log2(frequency_of(found[4100:10_900]) / frequency_of(audio[4100:10_900]))
    assert cents == pytest.approx(100 * semitones, abs=0.5)
    assert np.abs(np.diff(found)).max() < 1.1 * np.abs(np.diff(audio)).max()  # no click


def test_the_middle_stays_in_time() -> None:
    """A burst in the middle is there still; one at an end is moved by less than 8 ms."""
    for place, most in ((8000, 2), (4400, 0.0075 * RATE)):
        audio = np.zeros(RATE, np.float32)
        audio[place : place + 20] = 0.5
        found = detuned(audio, Segment(4000, 12_000, 0.5), RATE)
        assert abs(np.abs(found).argmax() - place - 10) < most + 12


def test_no_semitones_change_next_to_nothing() -> None:
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32)
    np.testing.assert_allclose(detuned(audio, Segment(0, 5000, 0.0), RATE), audio, atol=1e-5)


@pytest.mark.parametrize(("start", "stop"), [(0, 6000), (10_000, RATE)])
def test_a_segment_may_lie_at_an_end(start: int, stop: int) -> None:
    found = detuned(tone(440), Segment(start, stop, -0.5), RATE)
    assert np.abs(found).max() < 0.6
    assert np.abs(found[start:stop] - tone(440)[start:stop]).max() > 0.1


def test_segments_are_drawn_as_published() -> None:
    drawn = [
        draw_segment(np.random.default_rng(i), 3200, 3200 + 12_000, RATE, most=0.5)
        for i in range(200)
    ]
    lengths_s = np.array([segment.stop - segment.start for segment in drawn]) / RATE
    assert (SHORTEST_S, LONGEST_S) == (0.25, 0.5)
    assert 0.25 <= lengths_s.min() < 0.26
    assert 0.49 < lengths_s.max() <= 0.5
    assert min(segment.start for segment in drawn) < 3300
    assert max(segment.stop for segment in drawn) > 15_000
    assert all(segment.start >= 3200 and segment.stop <= 15_200 for segment in drawn)
    semitones = np.array([segment.semitones for segment in drawn])
    assert -0.5 <= semitones.min() < -0.45
    assert 0.45 < semitones.max() <= 0.5

"""Measures of notes."""

from __future__ import annotations

import numpy as np
import pytest

from support.notes_data import sine
from timbrel.notes.measures import (
    f1_score,
    linear_probe,
    majority_floor,
    spectral_centroid_hz,
    spectrum_error_db,
    tracked_pitch,
)


def test_f1_of_known_labels() -> None:
    true = np.array([[1, 0, 1], [0, 0, 1]])
    said = np.array([[1, 1, 0], [0, 0, 1]])
    assert f1_score(true, said) == pytest.approx(2 / 3)  # precision and recall 2 / 3
    assert f1_score(true, true) == 1
    assert f1_score(true, 0 * true) == 0
    assert f1_score(0 * true, 0 * true) == 0


def test_a_floor_that_says_nothing_is_right_where_labels_are_rare() -> None:
    train = np.array([[0, 1], [0, 1], [1, 1]])
    test = np.array([[0, 1], [0, 0], [1, 1], [0, 1]])
    found = majority_floor(np.array([60, 60, 61]), train, np.array([60, 61, 62, 60]), test)
    assert found["pitch_accuracy"] == 0.5
    assert found["quality_accuracy"] == 0.75
    # Always saying (0, 1): 3 hits, 1 false alarm, 1 miss.
    assert found["quality_f1"] == pytest.approx(0.75)


def test_a_probe_finds_what_is_linear_and_nothing_else() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 600)
    codes = np.eye(5)[labels] @ random.normal(size=(5, 16)) + 0.1 * random.normal(size=(600, 16))
    assert linear_probe(codes[:400], labels[:400], codes[400:], labels[400:]) > 0.98
    noise = random.normal(size=(600, 16))
    assert linear_probe(noise[:400], labels[:400], noise[400:], labels[400:]) < 0.35


def test_spectrum_error_counts_audible_bins_only() -> None:
    true = np.zeros((512, 256))
    true[:100] = 0.9
    predicted = true.copy()
    predicted[:50] -= 0.1
    predicted[300:] = 0.4
    assert spectrum_error_db(true, predicted) == pytest.approx(6)
    assert spectrum_error_db(0 * true, predicted) == 0


def test_centroid_of_two_tones() -> None:
    time_s = np.arange(16_000) / 16_000
    audio = np.sin(2 * np.pi * 1000 * time_s) + 0.5 * np.sin(2 * np.pi * 3000 * time_s)
    assert spectral_centroid_hz(audio) == pytest.approx((1000 + 0.25 * 3000) / 1.25, rel=1e-6)


@pytest.mark.parametrize("pitch", [36, 60, 84])
def test_the_tracker_hears_the_pitch(pitch: int) -> None:
    assert tracked_pitch(sine(pitch, 6)) == pytest.approx(pitch, abs=0.1)


def test_silence_has_no_pitch() -> None:
    assert np.isnan(tracked_pitch(np.zeros(16_000, np.float32)))

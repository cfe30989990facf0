"""Kits beside their originals."""

from __future__ import annotations

import numpy as np
import pytest

from support.played_pairs import RATE, PlayedPairs
from timbrel.bundles.bundle import Instrument
from timbrel.evaluation.programs.kits import measure_kit, onset_f1

KEYS = (40, 47, 54, 61, 68)
KIT = Instrument("kit", 0, (0.0,), KEYS)


def test_a_kit_that_equals_its_original() -> None:
    found = measure_kit(PlayedPairs(), KIT)
    assert (found.onset_f1, found.own_keys, found.keys) == (1.0, 5, 5)
    assert found.early_db == pytest.approx(0)
    assert found.level_db == pytest.approx(0)


def test_keys_that_sound_like_others_are_counted() -> None:
    swapped = {40: 47, 47: 40}
    found = measure_kit(PlayedPairs(pitch=lambda key: swapped.get(key, key)), KIT)
    assert (found.own_keys, found.keys) == (3, 5)


def test_levels_and_what_comes_too_early() -> None:
    found = measure_kit(PlayedPairs(gain=0.5, early_s=0.004), KIT)
    assert found.level_db == pytest.approx(-6, abs=0.2)
    assert found.early_db > 40  # from silence, 60 dB below the peak
    assert found.onset_f1 > 0.9  # well within 50 ms


def test_onsets_that_are_missing() -> None:
    random = np.random.default_rng(0)
    bursts = np.zeros(3 * RATE, np.float32)
    for start in range(RATE // 4, len(bursts) - RATE // 4, RATE // 2):
        decay = np.exp(-np.arange(RATE // 4) / 600)
        bursts[start : start + RATE // 4] = random.normal(size=RATE // 4) * decay * 0.3
    half = bursts.copy()
    half[len(half) // 2 :] = 0
    assert onset_f1(bursts, bursts, RATE) == 1.0
    assert onset_f1(bursts, half, RATE) == pytest.approx(2 / 3, abs=0.1)
    assert onset_f1(bursts, 0 * bursts, RATE) == 0.0
    assert onset_f1(0 * bursts, 0 * bursts, RATE) == 1.0

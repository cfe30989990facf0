"""Bends, tuning and vibrato over time."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.score.pitch import Pitches, Timing, vibrato_of
from timbrel.score.score import Automation

STILL = Automation((0.0,), (0.0,))
FLUIDSYNTH = Timing(grid_s=64 / 48_000, clock_s=0.001, delay_s=64 / 48_000)


def test_bend_and_tuning_add_up() -> None:
    bend = Automation((0.0, 1.0, 2.0), (0.0, 2.0, -1.0))
    tuning = Automation((0.0, 1.5), (0.25, 0.5))
    pitches = Pitches(bend, tuning, STILL, 0)
    times_s = np.array([0.5, 1.2, 1.7, 2.5])
    np.testing.assert_allclose(pitches.shift(times_s), [0.25, 2.25, 2.5, -0.5])
    assert pitches.is_bent
    assert not pitches.has_vibrato
    assert not Pitches(STILL, STILL, STILL, 0).is_bent


def test_the_first_value_holds_before_its_time() -> None:
    pitches = Pitches(Automation((1.0, 2.0), (12.0, 0.0)), STILL, STILL, 0)
    np.testing.assert_allclose(pitches.shift(np.array([0.0])), [12.0])
    elapsed = pitches.elapsed(np.array([0.0, 1.0, 2.0, 3.0]), Timing(0.0))
    np.testing.assert_allclose(np.diff(elapsed), [2.0, 2.0, 1.0])


def test_time_passes_as_fast_as_the_frequencies_ratio() -> None:
    times_s = np.linspace(0, 1, 101)
    bend = Automation(tuple(times_s.tolist()), tuple((2 * times_s).tolist()))
    pitches = Pitches(bend, STILL, STILL, 0)
    # Of a straight bend of two semitones, the integral in closed form; steps are half a step late.
    rate = 2 * np.log(2) / 12
    exact = (np.exp(rate * 1.0) - 1) / rate
    assert pitches.elapsed(np.array([1.0]), Timing(0.0))[0] == pytest.approx(exact, rel=1e-3)


def test_vibrato_begins_with_each_note_and_goes_up_first() -> None:
    depth = Automation((0.0, 2.0), (0.5, 0.0))
    pitches = Pitches(STILL, STILL, depth, 73)  # a flute's is the standard's
    quarter_s = 0.25 / 8.176
    times_s = 1.001 + quarter_s * np.arange(5)
    found = pitches.shift(times_s, 1.0)
    np.testing.assert_allclose(found, [0.0, 0.5, 0.0, -0.5, 0.0], atol=1e-9)
    np.testing.assert_allclose(pitches.shift(np.array([0.9, 2.1]), 1.0), 0.0)
    np.testing.assert_allclose(pitches.shift(times_s), 0.0)
    assert pitches.sways(1.0, 1.5, FLUIDSYNTH)
    assert not pitches.sways(2.5, 3.0, FLUIDSYNTH)


def test_programs_have_vibratos_of_their_own() -> None:
    assert vibrato_of(0).hz == 8.176
    assert vibrato_of(42) == (5.0, 0.01)
    assert not Pitches(STILL, STILL, Automation((0.0,), (0.5,)), 4).has_vibrato


def test_fluidsynth_acts_at_blocks_that_begin_with_a_whole_millisecond_past() -> None:
    """As measured with its own clicks: 6.25 ms counts as 7 ms, and 7 ms from block 6 on."""
    times_s = np.array([0.0, 0.001, 0.00125, 0.00625, 0.007])
    blocks = (FLUIDSYNTH.acted(times_s) - 64 / 48_000) * 750
    np.testing.assert_allclose(blocks, [0, 1, 2, 6, 6], atol=1e-9)
    grid_alone = Timing(grid_s=64 / 48_000).acted(times_s) * 750
    np.testing.assert_allclose(grid_alone, [0, 1, 1, 5, 6], atol=1e-9)


def test_whole_cents_are_rounded_down() -> None:
    bend = Automation((0.0, 1.0), (0.9999, -0.9999))
    pitches = Pitches(bend, STILL, STILL, 0, resolution=0.01)
    np.testing.assert_allclose(pitches.shift(np.array([0.5, 1.5])), [0.99, -1.0])
    exact = Pitches(Automation((0.0,), (0.29,)), STILL, STILL, 0, resolution=0.01)
    np.testing.assert_allclose(exact.shift(np.array([0.5])), [0.29])

"""Pulse trains that follow bends."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.pitch import Pitches, Timing
from timbrel.score.score import Automation, Note
from timbrel.vocoder.bent_excitation import BentExcitation
from timbrel.vocoder.excitation import Excitation, pulses

RATE, HOP = 48_000, 384
TIMING = Timing(64 / RATE, 0.001, 64 / RATE)
STILL = Automation((0.0,), (0.0,))


def ramp(semitones: float, start_s: float, stop_s: float) -> Automation:
    """A straight bend in 1.4-cent steps, as a pitch wheel gives it."""
    times_s = np.linspace(start_s, stop_s, 141)
    return Automation(
        (0.0, *times_s.tolist()), (0.0, *np.linspace(0, semitones, len(times_s)).tolist())
    )


def excitation(notes: list[Note], pitches: Pitches | None = None) -> BentExcitation:
    roll = PerformanceRoll(notes, 125, pitches=pitches) if pitches else PerformanceRoll(notes, 125)
    return BentExcitation(roll, sample_rate=RATE, hop_length=HOP, timing=TIMING)


def tracked_hz(audio: np.ndarray, low: float, high: float) -> np.ndarray:
    """By a tracker that knows nothing of the score: YIN, 125 times a second."""
    return librosa.yin(audio, fmin=low, fmax=high, sr=RATE, frame_length=2048, hop_length=HOP)


@pytest.mark.parametrize("pitch", [45, 57, 69])
def test_a_bend_of_two_semitones_over_a_second_is_followed_within_ten_cents(pitch: int) -> None:
    pitches = Pitches(ramp(2.0, 0.5, 1.5), STILL, STILL, 80)
    train = pulses(excitation([Note(pitch, 100, 0.1, 2.0)], pitches).frames(0, 240), HOP)[0]
    hz = 440 * 2 ** ((pitch - 69) / 12)
    found = 12 * np.log2(tracked_hz(train, 0.7 * hz, 1.6 * hz) / hz)
    times_s = np.arange(len(found)) / 125
    expected = np.interp(times_s, [0.5, 1.5], [0.0, 2.0])
    inside = slice(30, 220)  # away from the note's ends
    assert np.abs(found - expected)[inside].max() < 0.1


def test_vibrato_is_followed() -> None:
    pitches = Pitches(STILL, STILL, Automation((0.0,), (0.5,)), 15)  # 4 Hz
    train = pulses(excitation([Note(69, 100, 0.0, 2.0)], pitches).frames(0, 240), HOP)[0]
    found = 12 * np.log2(tracked_hz(train, 350, 550) / 440)[20:220]
    # The tracker looks at 43 ms at a time, and evens the peaks out.
    assert found.max() == pytest.approx(0.45, abs=0.05)
    assert found.min() == pytest.approx(-0.45, abs=0.05)
    crossings = np.flatnonzero((found[1:] > 0) & (found[:-1] <= 0))
    assert np.mean(np.diff(crossings)) == pytest.approx(125 / 4, abs=0.7)


def test_frames_join_without_a_jump() -> None:
    curve = ramp(12.0, 0.2, 0.4)
    pitches = Pitches(curve, STILL, Automation((0.3,), (0.5,)), 81)
    frames = excitation([Note(60, 100, 0.1, 1.0)], pitches).frames(20, 120)
    end = frames.phase[0] + HOP * frames.step[0]
    gap = end[:-1] - frames.phase[0, 1:]
    assert np.abs(gap - np.round(gap)).max() < 1e-4


@pytest.mark.parametrize("vibrato", [STILL, Automation((0.0,), (0.5,))])
def test_blocks_of_any_size_give_the_same(vibrato: Automation) -> None:
    pitches = Pitches(ramp(-3.0, 0.2, 0.6), STILL, vibrato, 81)
    notes = [Note(60, 100, 0.1, 0.5), Note(72, 80, 0.3, 0.7), Note(60, 90, 0.5, 0.9)]
    whole = pulses(excitation(notes, pitches).frames(0, 150), HOP)
    for size in (1, 7, 64):
        other = excitation(notes, pitches)
        parts = [pulses(other.frames(i, min(i + size, 150)), HOP) for i in range(0, 150, size)]
        np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=2e-4)


def test_without_bends_it_is_the_plain_excitation() -> None:
    notes = [Note(60, 100, 0.1, 0.5), Note(67, 80, 0.25, 0.7), Note(60, 90, 0.4, 0.9)]
    plain = Excitation(
        PianoRoll(notes, 125), sample_rate=RATE, hop_length=HOP, onset_grid_s=64 / RATE
    )
    roll = PerformanceRoll(notes, 125)
    bent = BentExcitation(roll, sample_rate=RATE, hop_length=HOP, timing=Timing(64 / RATE))
    expected, found = plain.frames(0, 150), bent.frames(0, 150)
    np.testing.assert_array_equal(found.first, expected.first)
    sounding = expected.gain > 0
    np.testing.assert_allclose(found.gain[sounding], expected.gain[sounding], rtol=0.03)
    apart = found.phase - expected.phase
    assert np.abs(apart - np.round(apart)).max() < 1e-4
    np.testing.assert_allclose(found.step, np.broadcast_to(expected.step, found.step.shape))


def test_harmonics_stay_below_half_the_rate() -> None:
    pitches = Pitches(ramp(12.0, 0.1, 0.5), STILL, STILL, 80)
    frames = excitation([Note(100, 100, 0.0, 1.0)], pitches).frames(0, 100)
    assert (frames.harmonics * frames.step).max() <= 0.49 + 1e-6
    assert frames.harmonics[0, 80] < frames.harmonics[0, 5]

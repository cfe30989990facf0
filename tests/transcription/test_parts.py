"""Notes of a mix are described by their own sound, and grouped by it."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.transcription.note_sounds import N_FEATURES, note_features
from timbrel.transcription.parts import grouped

RATE = 16_000


def tone(pitch: int, slope: float, fade: float, seconds: float = 0.6) -> np.ndarray:
    """Harmonics whose amplitudes fall by a power of their numbers, and that fade."""
    time = np.arange(round(seconds * RATE)) / RATE
    hz = 440 * 2 ** ((pitch - 69) / 12)
    numbers = np.arange(1, int(7500 / hz))[:, None]
    sound = (np.sin(2 * np.pi * numbers * hz * time) / numbers**slope).sum(axis=0)
    return sound * np.exp(-fade * time) * np.minimum(1, (seconds - time) / 0.02)


def mix() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bright instrument that lasts and a dull one that fades, in one register, and who plays."""
    random = np.random.default_rng(1)
    audio, rows, whose = np.zeros(RATE * 12), [], []
    for step in range(44):
        start_s, pitch, which = 0.25 * step + 0.1, int(random.integers(48, 76)), step % 2
        sound = tone(pitch, *((0.6, 0.5) if which else (2.5, 7.0)))
        sound *= 0.1 / np.sqrt(np.mean(sound**2))
        first = round(start_s * RATE)
        audio[first : first + len(sound)] += sound
        rows.append((start_s, start_s + 0.6, pitch, 80))
        whose.append(which)
    return audio.astype(np.float32), np.array(rows, float), np.array(whose)


def test_instruments_in_one_register_are_told_apart() -> None:
    audio, notes, whose = mix()
    features = note_features([audio], notes)
    assert features.shape == (44, N_FEATURES)
    ones = np.ones(len(notes))
    labels = grouped(features, 0.6 * ones, ones, 2)
    assert labels[0] == 0  # the parts are in the order of appearance
    assert (labels == whose).mean() > 0.95
    # What a block is, and how loud the mix is, changes nothing.
    blocks = np.array_split(audio / 2, 5)
    np.testing.assert_allclose(note_features(blocks, notes), features, atol=0.1)
    assert (grouped(features, 0.6 * ones, ones, None) == labels).mean() > 0.9


def test_features_are_the_notes_own() -> None:
    """Beside another note, what is known of a note hardly differs from when it is alone."""
    low, high = tone(50, 1.0, 1.0), tone(63, 1.0, 1.0)
    notes = np.array([(0.0, 0.6, 50, 80), (0.0, 0.6, 63, 80)], float)
    alone = note_features([low.astype(np.float32)], notes[:1])[0].reshape(4, -1)[:, :20]
    beside = note_features([(low + high).astype(np.float32)], notes)[0].reshape(4, -1)[:, :20]
    known = np.isfinite(beside[:3])
    assert 0.4 < known.mean() < 1.0
    assert np.isnan(beside[3]).all() == np.isnan(alone[3]).all()
    assert np.abs(beside[:3] - alone[:3])[known].mean() < 1.0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_notes_have_few_parts(count: int) -> None:
    notes = np.array([(0.1, 0.5, 60, 80), (9.0, 9.5, 64, 80)], float)[:count]
    # The second note begins where the sound has ended: nothing is known of it.
    features = note_features([tone(60, 1.0, 1.0).astype(np.float32)], notes)
    ones = np.ones(count)
    assert len(grouped(features, ones, ones, None)) == count
    assert sorted(set(grouped(features, ones, ones, 5).tolist())) == list(range(count))

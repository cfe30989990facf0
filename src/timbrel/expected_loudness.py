"""How loud a score will be: what is expected of its notes, for sound that cannot be measured first.

Each note has a power that depends on its instrument, its velocity and its key, and that falls while
it sounds. The powers of all notes, on the meter's grid of 100 ms, are gated as those of real sound
are. The numbers were fitted to renders by ``tools/fit_loudness.py``, which says how good they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from timbrel.bundles.bundle import Bundle
from timbrel.loudness import STEP_S, STEPS_PER_BLOCK, gated_power, lufs
from timbrel.voices import Voice

REFERENCE_KEY = 60
REFERENCE_VELOCITY = 100
RELEASE_S = 0.1  # so long a note goes on after its end
NEAREST = 1e-3  # distances are at least so large, in the model's space
_NOTES_AT_ONCE = 4096


@dataclass(frozen=True)
class Level:
    """How loud notes of an instrument are."""

    level_db: float  # K-weighted power of the reference note when it begins
    decay_s: float  # until the power has fallen to 37 %
    octave_db: float  # for each octave upwards
    velocity_db: float  # for each doubling of the velocity


GAIN = 0.5237  # FluidSynth's, in what the model was trained on that the levels were fitted to
LEVELS = {  # by General MIDI program
    0: Level(level_db=-32.93, decay_s=0.21, octave_db=-0.05, velocity_db=7.95),
    4: Level(level_db=-32.64, decay_s=1.34, octave_db=-1.19, velocity_db=7.28),
    11: Level(level_db=-32.81, decay_s=0.5, octave_db=-2.02, velocity_db=9.45),
    19: Level(level_db=-34.39, decay_s=29.96, octave_db=0.85, velocity_db=8.2),
    24: Level(level_db=-33.03, decay_s=0.71, octave_db=-2.8, velocity_db=9.73),
    45: Level(level_db=-31.69, decay_s=0.08, octave_db=-0.88, velocity_db=9.12),
    46: Level(level_db=-29.61, decay_s=0.12, octave_db=-2.11, velocity_db=7.29),
    48: Level(level_db=-36.42, decay_s=29.96, octave_db=0.91, velocity_db=9.45),
    56: Level(level_db=-30.88, decay_s=29.96, octave_db=1.63, velocity_db=8.13),
    80: Level(level_db=-28.21, decay_s=0.78, octave_db=0.48, velocity_db=9.53),
}


def expected_loudness(
    voices: Sequence[Voice], bundle: Bundle, *, start_s: float, stop_s: float, channels: int
) -> float:
    """The loudness that the mix of some voices is expected to have, in LUFS.

    Parameters
    ----------
    voices
        Of a score.
    bundle
        The model that plays them. The levels are those of the nearest instruments that are known.
    start_s, stop_s
        What is played of the score.
    channels
        Of the mix.
    """
    edges = start_s + STEP_S * np.arange(max(round((stop_s - start_s) / STEP_S), 1) + 1)
    powers = np.zeros(len(edges) - 1)
    for voice in voices:
        notes = voice.notes[
            (voice.notes[:, 1] + RELEASE_S > start_s) & (voice.notes[:, 0] < stop_s)
        ]
        levels = _levels(voice.timbre.at(notes[:, 0]), bundle)
        powers += np.square(voice.track.gain.at(edges[:-1])) * note_powers(notes, levels, edges)
    powers *= channels * (bundle.gain / GAIN) ** 2
    if len(powers) < STEPS_PER_BLOCK:
        powers = np.pad(powers, (0, STEPS_PER_BLOCK - len(powers)))
    blocks = np.lib.stride_tricks.sliding_window_view(powers, STEPS_PER_BLOCK).mean(axis=1)
    return lufs(gated_power(blocks))


def note_powers(notes: np.ndarray, levels: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The K-weighted power of notes in steps of time.

    Parameters
    ----------
    notes
        (notes, 4): start and end in seconds, pitch, velocity.
    levels
        (notes, 4): the fields of a `Level`.
    edges
        (steps + 1,): where steps begin and end, in seconds; all of one length.
    """
    powers = np.zeros(len(edges) - 1)
    for first in range(0, len(notes), _NOTES_AT_ONCE):
        part = slice(first, first + _NOTES_AT_ONCE)
        starts, ends, keys, velocities = notes[part].T
        level_db, decay_s, octave_db, velocity_db = levels[part].T
        ends = ends + RELEASE_S
        db = level_db + octave_db * (keys - REFERENCE_KEY) / 12
        db += velocity_db * np.log2(velocities / REFERENCE_VELOCITY)
        steps = np.clip((np.stack([starts, ends]) - edges[0]) / STEP_S, 0, len(powers) - 1)
        before, after = steps.astype(np.int64)
        counts = after - before + 1
        note = np.repeat(np.arange(len(starts)), counts)
        step = np.arange(len(note)) - np.repeat(np.cumsum(counts) - counts - before, counts)
        # From where to where in a step the note sounds, since it began.
        begins = np.clip(edges[step], starts[note], ends[note]) - starts[note]
        stops = np.clip(edges[step + 1], starts[note], ends[note]) - starts[note]
        decay = decay_s[note]
        share = decay / STEP_S * (np.exp(-begins / decay) - np.exp(-stops / decay))
        powers += np.bincount(step, 10 ** (db / 10)[note] * share, len(powers))
    return powers


def _levels(points: np.ndarray, bundle: Bundle) -> np.ndarray:
    """The fields of a `Level` at points (n, timbre_size) of a model's space, (n, 4)."""
    known = [one for one in bundle.instruments if not one.is_kit and one.program in LEVELS]
    if not known:
        return np.tile(np.mean(_table(list(LEVELS.values())), axis=0), (len(points), 1))
    places = np.array([instrument.embedding for instrument in known])
    distances = np.linalg.norm(points[:, None] - places, axis=2)
    weights = np.maximum(distances, NEAREST) ** -2
    weights /= weights.sum(axis=1, keepdims=True)
    return weights @ _table([LEVELS[one.program] for one in known])


def _table(levels: Sequence[Level]) -> np.ndarray:
    """(levels, 4)"""
    return np.array([astuple(level) for level in levels])

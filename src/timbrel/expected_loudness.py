"""How loud a score will be: what is expected of its notes, for sound that cannot be measured first.

Each note has a power that depends on its instrument, its velocity and its key, and that falls while
it sounds. The powers of all notes, on the meter's grid of 100 ms, are gated as those of real sound
are. The numbers were fitted to renders by ``tools/fit_loudness.py``, which says how good they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from timbrel.bundles.bundle import Bundle, Instrument
from timbrel.files import read_json
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


LEVELS_FILE = Path(__file__).with_name("levels.json")


@dataclass(frozen=True)
class Levels:
    """The levels of instruments, and of what they were fitted to."""

    gain: float  # FluidSynth's, in what the model was trained on
    programs: dict[int, Level]  # by General MIDI program
    kits: dict[int, Level]  # by the kit's program

    def of(self, instrument: Instrument) -> Level | None:
        return (self.kits if instrument.is_kit else self.programs).get(instrument.program)

    def all(self) -> list[Level]:
        return [*self.programs.values(), *self.kits.values()]


@cache
def known_levels() -> Levels:
    """What `tools/fit_loudness.py` wrote."""
    content = read_json(LEVELS_FILE)
    programs, kits = (
        {int(number): Level(*fields) for number, fields in content[key].items()}
        for key in ("programs", "kits")
    )
    return Levels(content["gain"], programs, kits)


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
    powers *= channels * (bundle.gain / known_levels().gain) ** 2
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
    levels = known_levels()
    found = [(one, level) for one in bundle.instruments if (level := levels.of(one))]
    if not found:
        return np.tile(np.mean(_table(levels.all()), axis=0), (len(points), 1))
    places = np.array([instrument.embedding for instrument, _ in found])
    distances = np.linalg.norm(points[:, None] - places, axis=2)
    weights = np.maximum(distances, NEAREST) ** -2
    weights /= weights.sum(axis=1, keepdims=True)
    return weights @ _table([level for _, level in found])


def _table(levels: Sequence[Level]) -> np.ndarray:
    """(levels, 4)"""
    return np.array([astuple(level) for level in levels])

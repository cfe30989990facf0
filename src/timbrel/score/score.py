"""A score: what is played, by which instruments, when, and how loud in the mix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from timbrel.constants import HIGHEST_PITCH, LOWEST_PITCH

# Kinds of `Score.unplayable` that are notes.
DRUM_NOTES, OUTSIDE_KEYS = "drum_notes", "notes_outside_21_108"
LACKING_KEYS = "notes_of_lacking_keys"

# What the kinds of `Score.unplayable` are, in words.
UNPLAYABLE = {
    "channel_pressure": "channel pressure",
    "chorus_sends": "chorus",
    DRUM_NOTES: "notes of drums",
    "fine_tunings": "fine tuning",
    "key_pressure": "key pressure",
    "modulation": "modulation",
    "mono_mode": "mono mode",
    LACKING_KEYS: "notes of keys that the drum kit lacks",
    OUTSIDE_KEYS: "notes outside the 88 keys",
    "other_effect_sends": "other effects",
    "pitch_bends": "pitch bends",
    "portamento": "portamento",
    "reverb_sends": "reverb",
    "soft_pedal": "soft pedal",
    "sound_controllers": "sound controllers",
}


class Note(NamedTuple):
    """One sounding note; times in seconds from the start of the score."""

    pitch: int  # MIDI number
    velocity: int  # 1–127
    start_s: float
    end_s: float  # when it stops sounding: the key's release, or the pedal's where that is later


@dataclass(frozen=True)
class Automation:
    """A stepwise curve: `values[i]` holds from `times_s[i]` until the next time.

    Before the first time the first value holds.
    """

    times_s: tuple[float, ...]
    values: tuple[float, ...]

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """Values at some times, both of shape (n,)."""
        times, values = self._arrays
        return values[np.maximum(np.searchsorted(times, times_s, side="right") - 1, 0)]

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.times_s), np.array(self.values)

    def shifted(self, seconds: float) -> Automation:
        """The same curve, `seconds` later; earlier where they are negative."""
        return replace(self, times_s=tuple(time + seconds for time in self.times_s))


@dataclass(frozen=True)
class Track:
    """The notes that one instrument plays."""

    name: str
    program: int  # General MIDI, 0–127
    channel: int  # 0–15
    notes: tuple[Note, ...]  # sorted by start, then pitch; all of them playable
    # Linear amplitude; 1 is the level of a track that sets neither volume nor expression.
    gain: Automation = Automation((0.0,), (1.0,))
    pan: Automation = Automation((0.0,), (0.0,))  # −1 left, 0 centre, 1 right
    port: int = 0  # channels of one number on two ports are two channels
    # Whether a drum kit plays them: pitches are its keys, 0–127, and the program is the kit's.
    is_kit: bool = False
    # In semitones, and not part of the notes' pitches, which are whole.
    bend: Automation = Automation((0.0,), (0.0,))
    tuning: Automation = Automation((0.0,), (0.0,))
    vibrato: Automation = Automation((0.0,), (0.0,))  # depth to either side


@dataclass(frozen=True)
class Score:
    """Tracks of notes in seconds, with a count of what the file holds and not all models play.

    `timbrel.abilities` says what a model makes of it.
    """

    tracks: tuple[Track, ...]
    pedal_events: int = 0
    unplayable: dict[str, int] = field(default_factory=dict)  # messages or notes, by `UNPLAYABLE`
    # What drums play. Not all models do, so they are no part of the properties below.
    drum_tracks: tuple[Track, ...] = ()
    warnings: tuple[str, ...] = ()  # what of a damaged file could not be read, in words

    @property
    def duration_s(self) -> float:
        """The end of the last note, in seconds."""
        return max((note.end_s for track in self.tracks for note in track.notes), default=0.0)

    @property
    def n_notes(self) -> int:
        return sum(len(track.notes) for track in self.tracks)

    @property
    def unplayable_notes(self) -> int:
        """Notes that the file holds and no track plays: of drums, or outside the 88 keys."""
        return sum(count for kind, count in self.unplayable.items() if "notes" in kind)

    @property
    def left_out(self) -> str:
        """What the file holds and Timbrel cannot play, in words; empty where there is nothing."""
        return ", ".join(f"{UNPLAYABLE[kind]} ({n})" for kind, n in self.unplayable.items())

    @property
    def notes(self) -> list[Note]:
        """The notes of all tracks, sorted by start, then pitch."""
        return sorted(
            (note for track in self.tracks for note in track.notes),
            key=lambda note: (note.start_s, note.pitch),
        )

    def merged(self) -> Score:
        """The same notes in one track of neutral volume and pan."""
        programs = [track.program for track in self.tracks]
        track = Track("all tracks", programs[0] if programs else 0, 0, tuple(self.notes))
        return replace(self, tracks=(track,))

    def excerpt(self, start_s: float, duration_s: float | None = None) -> Score:
        """The part of the score that sounds in a span of time, which then starts at 0.

        Notes that began before the span keep their (negative) start, so that whoever plays them
        knows that they were struck earlier. Tracks without notes in the span are kept.
        """
        stop_s = np.inf if duration_s is None else start_s + duration_s
        shifted: dict[int, Automation] = {}  # tracks of one channel share their curves

        def moved(curve: Automation) -> Automation:
            if id(curve) not in shifted:
                shifted[id(curve)] = curve.shifted(-start_s)
            return shifted[id(curve)]

        def part(track: Track) -> Track:
            notes = tuple(
                note._replace(
                    start_s=note.start_s - start_s, end_s=min(note.end_s, stop_s) - start_s
                )
                for note in track.notes
                # A note without length sounds, too (for a frame), where it is struck.
                if note.start_s < stop_s and (note.end_s > start_s or note.start_s >= start_s)
            )
            return replace(
                track,
                notes=notes,
                gain=moved(track.gain),
                pan=moved(track.pan),
                bend=moved(track.bend),
                tuning=moved(track.tuning),
                vibrato=moved(track.vibrato),
            )

        return replace(
            self,
            tracks=tuple(map(part, self.tracks)),
            drum_tracks=tuple(map(part, self.drum_tracks)),
        )


def note_table(notes: Iterable[Note]) -> np.ndarray:
    """Notes as an array, (notes, 4): start and end in seconds, pitch, velocity; sorted as rows."""
    table = np.array(list(notes), np.float64).reshape(-1, 4)[:, [2, 3, 0, 1]]
    return table[np.lexsort(table.T[::-1])]


def is_playable(pitch: int) -> bool:
    """Whether a pitch is one of the 88 keys that models know."""
    return LOWEST_PITCH <= pitch <= HIGHEST_PITCH

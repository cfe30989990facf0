"""A score: what is played, by which instruments, when, and how loud in the mix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from timbrel.constants import HIGHEST_PITCH, LOWEST_PITCH

# Kinds of `Score.unplayable`.
DRUM_NOTES, OUTSIDE_KEYS = "drum_notes", "notes_outside_21_108"
LACKING_KEYS, DRUM_BENDS = "notes_of_lacking_keys", "drum_bends"

# Descriptions of the kinds of `Score.unplayable`.
UNPLAYABLE = {
    "channel_pressure": "channel pressure",
    DRUM_BENDS: "bends of drums",
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
    "soft_pedal": "soft pedal",
    "sound_controllers": "sound controllers",
}


DEFAULT_REVERB_SEND = 40 / 127  # General MIDI 2


class Note(NamedTuple):
    """One sounding note; times in seconds from the start of the score."""

    pitch: int  # MIDI number
    velocity: int  # 1–127
    start_s: float
    end_s: float  # when it is released: by the key, or by the pedal if that is later
    detune: float = 0.0  # semitones above its pitch, by its channel's scale tuning


@dataclass(frozen=True)
class Automation:
    """A step function of time: `values[i]` applies from `times_s[i]` until the next time.

    Before the first time, the first value applies.
    """

    times_s: tuple[float, ...]
    values: tuple[float, ...]

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """The values at the given times, both of shape (n,)."""
        times, values = self._arrays
        return values[np.maximum(np.searchsorted(times, times_s, side="right") - 1, 0)]

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.times_s), np.array(self.values)

    def shifted(self, seconds: float) -> Automation:
        """The same curve, `seconds` later, or earlier if negative."""
        return replace(self, times_s=tuple(time + seconds for time in self.times_s))


@dataclass(frozen=True)
class Track:
    """The notes that one instrument plays."""

    name: str
    program: int  # General MIDI, 0–127
    channel: int  # 0–15
    notes: tuple[Note, ...]  # sorted by start, then pitch; all of them playable
    # Linear amplitude; 1 is the level of a track whose volume and expression are never set.
    gain: Automation = Automation((0.0,), (1.0,))
    # −1 left, 0 centre, 1 right; without it, `timbrel.score.placement` finds a place.
    pan: Automation | None = None
    # What is sent to the room's effects, 0–1 of the track's amplitude.
    reverb: Automation = Automation((0.0,), (DEFAULT_REVERB_SEND,))
    chorus: Automation = Automation((0.0,), (0.0,))
    port: int = 0  # the same channel number on two ports means two channels
    # Whether the track is a drum kit: its pitches are keys of the kit, 0–127, `program` is the kit.
    is_kit: bool = False
    # In semitones; not included in the notes' pitches, which are integers.
    bend: Automation = Automation((0.0,), (0.0,))
    tuning: Automation = Automation((0.0,), (0.0,))
    vibrato: Automation = Automation((0.0,), (0.0,))  # depth to either side


@dataclass(frozen=True)
class Score:
    """Tracks of notes, timed in seconds, and counts of what the file holds but not all models play.

    `timbrel.abilities` determines what a given model can play of it.
    """

    tracks: tuple[Track, ...]
    pedal_events: int = 0
    unplayable: dict[str, int] = field(default_factory=dict)  # messages or notes, by `UNPLAYABLE`
    # The drum parts. Not all models play them, so the properties below do not include them.
    drum_tracks: tuple[Track, ...] = ()
    warnings: tuple[str, ...] = ()  # descriptions of damaged parts that could not be read

    @property
    def duration_s(self) -> float:
        """The end of the last note, in seconds."""
        return max((note.end_s for track in self.tracks for note in track.notes), default=0.0)

    @property
    def n_notes(self) -> int:
        return sum(len(track.notes) for track in self.tracks)

    @property
    def unplayable_notes(self) -> int:
        """Number of notes in the file that no track plays: drum notes, or outside the 88 keys."""
        return sum(count for kind, count in self.unplayable.items() if "notes" in kind)

    @property
    def left_out(self) -> str:
        """Description of what the file holds but Timbrel cannot play; empty if there is nothing."""
        return ", ".join(f"{UNPLAYABLE[kind]} ({n})" for kind, n in self.unplayable.items())

    @property
    def notes(self) -> list[Note]:
        """The notes of all tracks, sorted by start, then pitch."""
        return sorted(
            (note for track in self.tracks for note in track.notes),
            key=lambda note: (note.start_s, note.pitch),
        )

    def merged(self) -> Score:
        """The same notes in one track with neutral volume and pan."""
        programs = [track.program for track in self.tracks]
        track = Track("all tracks", programs[0] if programs else 0, 0, tuple(self.notes))
        return replace(self, tracks=(track,))

    def tuned(self, semitones: float) -> Score:
        """The same score, higher by so much, but for drums."""
        if not semitones:
            return self

        def higher(track: Track) -> Track:
            if track.is_kit:
                return track
            tuning = track.tuning
            moved = replace(tuning, values=tuple(value + semitones for value in tuning.values))
            return replace(track, tuning=moved)

        return replace(self, tracks=tuple(map(higher, self.tracks)))

    def excerpt(self, start_s: float, duration_s: float | None = None) -> Score:
        """The part of the score that sounds in a span of time, shifted so that it starts at 0.

        Notes that began before the span keep their start, which is then negative, to show that they
        were struck earlier. Tracks without notes in the span are kept.
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
                pan=moved(track.pan) if track.pan is not None else None,
                reverb=moved(track.reverb),
                chorus=moved(track.chorus),
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
    """Notes as an array, (notes, 4): start and end in seconds, pitch, velocity; rows are sorted.

    The pitch includes `Note.detune`, so it need not be whole.
    """
    # Without a list of them: a file can hold more than a million.
    values = (
        value
        for note in notes
        for value in (note.start_s, note.end_s, note.pitch + note.detune, note.velocity)
    )
    table = np.fromiter(values, np.float64).reshape(-1, 4)
    return table[np.lexsort(table.T[::-1])]


def is_playable(pitch: int) -> bool:
    """Whether a pitch is one of the 88 keys that models can play."""
    return LOWEST_PITCH <= pitch <= HIGHEST_PITCH

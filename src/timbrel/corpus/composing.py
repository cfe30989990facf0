"""Simple tonal music, generated at random: keys, chord progressions, melodies with motifs.

Networks trained on composed music play it better than networks trained on rolls drawn at random,
so most of an etude sounds like music.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from timbrel.constants import HIGHEST_PITCH, LOWEST_PITCH
from timbrel.corpus.sheet import Sheet

T = TypeVar("T")

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
DORIAN, PENTATONIC, WHOLE_TONE = (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 7, 9), (0, 2, 4, 6, 8, 10)
CHROMATIC = tuple(range(12))

# Chords that may follow a chord, by degree (0 is the tonic), in common-practice harmony.
_FOLLOWING: dict[int, tuple[int, ...]] = {
    0: (3, 4, 5, 1, 3, 4, 2),
    1: (4, 4, 6, 3),
    2: (5, 3, 1),
    3: (4, 0, 1, 4, 6),
    4: (0, 0, 5, 3, 0),
    5: (3, 1, 4, 2),
    6: (0, 0, 2, 5),
}
# Rhythms that fill a bar, by its number of beats: the lengths of the notes in beats.
_RHYTHMS: dict[int, tuple[tuple[float, ...], ...]] = {
    3: ((1, 1, 1), (2, 1), (1.5, 0.5, 1), (0.5,) * 6, (1, 0.5, 0.5, 1), (3,), (0.75, 0.25, 1, 1)),
    4: (
        *((1, 1, 1, 1), (2, 1, 1), (0.5,) * 8, (1.5, 0.5, 1, 1), (1, 0.5, 0.5, 1, 1), (2, 2)),
        *((0.75, 0.25, 0.75, 0.25, 1, 1), (4,), (0.25,) * 8 + (1, 1), (1 / 3,) * 6 + (1, 1)),
    ),
}


@dataclass(frozen=True)
class Player:
    """What the sections of an etude are written with."""

    sheet: Sheet
    random: np.random.Generator
    low: int  # the instrument's natural range
    high: int

    def between(self, low: float, high: float) -> float:
        return float(self.random.uniform(low, high))

    def integer(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.random.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.random.integers(len(choices)))]

    def loudness(self) -> float:
        """A velocity to play a section around."""
        return self.between(18, 122)

    def span(self, width: int) -> tuple[int, int]:
        """Part of the keyboard: mostly within the natural range, else anywhere."""
        low, high = (LOWEST_PITCH, HIGHEST_PITCH)
        if self.chance(0.8):
            low, high = self.low, self.high
        if high - low <= width:
            return low, high
        start = self.integer(low, high - width)
        return start, start + width


def in_scale(root: int, scale: Sequence[int], low: int, high: int) -> list[int]:
    """The pitches of a scale within a span."""
    return [pitch for pitch in range(low, high + 1) if (pitch - root) % 12 in scale]


def progression(player: Player, length: int) -> list[int]:
    """Degrees of chords that begin and end at home."""
    degrees = [0]
    while len(degrees) < length - 2:
        degrees.append(player.pick(_FOLLOWING[degrees[-1]]))
    return [*degrees, 4, 0][:length]


def chord_classes(root: int, scale: Sequence[int], degree: int, size: int) -> list[int]:
    """Pitch classes of the thirds piled up on a degree of a seven-note scale."""
    return [
        (root + scale[(degree + 2 * i) % 7] + (scale is MINOR and degree == 4 and i == 1)) % 12
        for i in range(size)
    ]


def voiced(classes: Sequence[int], near: Sequence[int], low: int, high: int) -> list[int]:
    """A chord whose voices lie near those of the chord before."""
    voices = []
    for i, pitch_class in enumerate(classes):
        target = near[min(i, len(near) - 1)]
        options = [p for p in range(low, high + 1) if p % 12 == pitch_class]
        voices.append(min(options or [low], key=lambda p, t=target: abs(p - t)))  # type: ignore[misc]
    return sorted(set(voices))


def piece(player: Player, start_s: float) -> float:
    """A few bars with melody, bass and accompaniment; gives the end."""
    root, scale = player.integer(0, 11), player.pick((MAJOR, MAJOR, MINOR, DORIAN))
    beats = player.pick((3, 4, 4))
    beat_s = 60 / player.between(66, 168)
    degrees = progression(player, player.pick((4, 6, 8)))
    low, high = player.span(player.integer(26, 48))
    middle = low + (high - low) * 2 // 5
    upper = in_scale(root, scale, middle + 3, high) or [high]
    loud = player.loudness()
    accompany = player.pick((_block_chords, _broken_chords, _bass_and_chords))
    size = player.pick((3, 3, 4))
    voices = [low + (middle - low) * i // size for i in range(1, size + 1)]
    motif = player.pick(_RHYTHMS[beats])
    at, position = player.integer(0, len(upper) - 1), start_s
    pedalled = player.chance(0.3)
    for bar, degree in enumerate(degrees):
        classes = chord_classes(root, scale, degree, size)
        voices = voiced(classes, voices, low, max(middle, low + 12))
        bar_s = beats * beat_s
        swell = 10 * np.sin(np.pi * (bar + 0.5) / len(degrees))
        if pedalled:
            player.sheet.pedal(position + 0.02, position + bar_s - 0.03)
        accompany(player, position, beats, beat_s, voices, loud - 14 + swell)
        rhythm = motif if player.chance(0.7) else player.pick(_RHYTHMS[beats])
        if bar == len(degrees) - 1:
            rhythm = (float(beats),)
        at = _tune(player, position, rhythm, beat_s, upper, classes, at, loud + swell)
        position += bar_s
    return position


def _tune(
    player: Player,
    start_s: float,
    rhythm: Sequence[float],
    beat_s: float,
    notes: list[int],
    classes: list[int],
    at: int,
    loud: float,
) -> int:
    """A bar of melody: steps mostly, notes of the chord on whole beats; gives where it ends."""
    touch = player.pick((0.35, 0.7, 0.9, 1.0))
    beat = 0.0
    for length in rhythm:
        at += player.pick((-2, -1, -1, 0, 1, 1, 2, player.integer(-4, 4)))
        at = min(max(at, 0), len(notes) - 1)
        if beat == int(beat):
            at = min(
                range(len(notes)), key=lambda i: abs(i - at) + 9 * (notes[i] % 12 not in classes)
            )
        if not player.chance(0.06):  # else a rest
            accent = 8 if beat == 0 else 0
            player.sheet.note(
                start_s + beat * beat_s,
                length * beat_s * touch,
                notes[at],
                loud + accent + player.between(-8, 8),
            )
        beat += length
    return at


Accompaniment = Callable[[Player, float, int, float, list[int], float], None]


def _block_chords(
    player: Player, start_s: float, beats: int, beat_s: float, voices: list[int], loud: float
) -> None:
    strokes = player.pick((1, 1, beats))
    length = beats * beat_s / strokes
    for stroke in range(strokes):
        for pitch in voices:
            spread = player.between(0, 0.012)
            player.sheet.note(
                start_s + stroke * length + spread,
                length * 0.93,
                pitch,
                loud + player.between(-6, 6),
            )


def _broken_chords(
    player: Player, start_s: float, beats: int, beat_s: float, voices: list[int], loud: float
) -> None:
    order = player.pick(([0, 1, 2, 1], [0, 2, 1, 2], list(range(len(voices)))))
    step = beat_s / player.pick((2, 2, 3, 4))
    for i in range(round(beats * beat_s / step)):
        pitch = voices[order[i % len(order)] % len(voices)]
        player.sheet.note(start_s + i * step, step * 1.1, pitch, loud + player.between(-6, 6))


def _bass_and_chords(
    player: Player, start_s: float, beats: int, beat_s: float, voices: list[int], loud: float
) -> None:
    player.sheet.note(start_s, beat_s * 0.9, voices[0], loud + 8)
    for beat in range(1, beats):
        for pitch in voices[1:] or voices:
            player.sheet.note(
                start_s + beat * beat_s, beat_s * 0.5, pitch, loud + player.between(-8, 4)
            )

"""Tracks → voices: which notes are played together by one instance of the networks.

Tracks of a file are often parts of one instrument: the two hands of a pianist, or a part that a
notation program has split. Tracks that would sound alike are played as one voice, which costs as
much as a single track and lets the model hear everything that the instrument plays.

The number of simultaneous voices and notes is limited, so that every score can be played in the
same memory. The limits are far above what people write; beyond them the quietest notes are left out
and counted.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from heapq import heappop, heappush

import numpy as np

from timbrel.score.piano_roll import to_frames
from timbrel.score.score import Score, Track, note_table
from timbrel.timbre.timbre import Timbre

MOST_VOICES = 256  # that sound at one time
MOST_NOTES = 128  # that a voice holds at one time
RING_S = 6.0  # a voice may sound so long after its last note
_GRID_S = 0.128  # voices are counted in steps of so much

# The fields of a track that decide how it sounds, besides its notes and its timbre.
_DECISIVE = [f.name for f in fields(Track) if f.name not in ("name", "port", "channel", "notes")]

_BENDS = ("bend", "tuning", "vibrato")


@dataclass(frozen=True, eq=False)
class Voice:
    """Notes of tracks that sound alike, played by one instance of the networks."""

    number: int  # of one of the tracks in the score, counted from 0; no two voices share it
    track: Track  # that track, whose volume and pan are those of all
    timbre: Timbre
    notes: np.ndarray  # of all, a `note_table`


@dataclass(frozen=True)
class Voices:
    """What is played of a score."""

    voices: tuple[Voice, ...]  # by their numbers
    notes_left_out: int = 0  # beyond the bounds


def voices_of(
    score: Score, timbres: Sequence[Timbre], frame_rate: float, *, merge: bool = True
) -> Voices:
    """Find the voices of a score.

    Tracks share their voices where they have the same timbre and everything else that decides
    their sound (program, volume, pan, …); their names and channels do not matter. A note whose key
    another of these tracks is holding goes to a further voice, which sleeps otherwise.

    Parameters
    ----------
    score
        The score; tracks without notes have no voice.
    timbres
        One for each track.
    frame_rate
        Of the model. Of notes that strike one key in one frame, one remains: as loud as the
        loudest, as long as the longest.
    merge
        Whether tracks may share a voice.
    """
    tables = [note_table(track.notes) for track in score.tracks]
    numbers = [number for number, table in enumerate(tables) if len(table)]
    alike = _alike(score.tracks, timbres, numbers) if merge else [[n] for n in numbers]
    voices, left_out = [], 0
    for members in alike:
        shared = _shared([tables[number] for number in members])
        # There are no more voices than tracks.
        for number, all_notes in zip(members, shared, strict=False):
            notes = _struck_once(all_notes, frame_rate)
            bounded = _bounded(notes, frame_rate)
            left_out += len(notes) - len(bounded)
            voices.append(Voice(number, score.tracks[number], timbres[number], bounded))
    voices.sort(key=lambda voice: voice.number)
    bounded_voices, more = _bounded_voices(voices)
    return Voices(tuple(bounded_voices), left_out + more)


def excerpt(voice: Voice, start_s: float) -> Voice:
    """What a voice plays from a time on, which is then 0; see `Score.excerpt`.

    Its volume and pan stay where they are: those are the mixer's affair.
    """
    notes = voice.notes
    notes = notes[(notes[:, 1] > start_s) | (notes[:, 0] >= start_s)]
    shifted = notes - np.array([start_s, start_s, 0.0, 0.0])
    bends = {name: getattr(voice.track, name).shifted(-start_s) for name in _BENDS}
    return replace(
        voice,
        track=replace(voice.track, **bends),
        timbre=voice.timbre.shifted(-start_s),
        notes=shifted,
    )


def _alike(
    tracks: Sequence[Track], timbres: Sequence[Timbre], numbers: Sequence[int]
) -> list[list[int]]:
    """The numbers of tracks that would sound alike, together."""
    alike: dict[tuple, list[int]] = defaultdict(list)
    for number in numbers:
        sound = tuple(getattr(tracks[number], name) for name in _DECISIVE)
        alike[(timbres[number], sound)].append(number)
    return list(alike.values())


def _shared(tables: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The notes of some tracks, in as few voices as hold no key twice at the same time."""
    if len(tables) == 1:
        return list(tables)
    strokes: dict[float, list[tuple[float, float, list[int]]]] = defaultdict(list)
    first = 0
    for table in tables:
        for pitch, spans in _held(table, first).items():
            strokes[pitch] += spans
        first += len(table)
    owners = np.zeros(first, np.int64)
    for spans in strokes.values():
        free: list[int] = []  # heaps: voices whose key is free, and when those of others will be
        taken: list[tuple[float, int]] = []
        for start, end, stroke in sorted(spans):
            while taken and taken[0][0] <= start:
                heappush(free, heappop(taken)[1])
            voice = heappop(free) if free else len(taken)
            heappush(taken, (end, voice))
            owners[stroke] = voice
    notes = np.concatenate(tables)
    return [_sorted(notes[owners == voice]) for voice in range(owners.max() + 1)]


def _held(table: np.ndarray, first: int) -> dict[float, list[tuple[float, float, list[int]]]]:
    """When a track holds each key, and by which notes, counted from `first` on."""
    held: dict[float, list[tuple[float, float, list[int]]]] = defaultdict(list)
    for index, (start, end, pitch, _) in enumerate(table.tolist(), first):
        spans = held[pitch]
        if spans and start < spans[-1][1]:
            begun, until, notes = spans[-1]
            notes.append(index)
            spans[-1] = (begun, max(until, end), notes)
        else:
            spans.append((start, end, [index]))
    return held


def _sorted(notes: np.ndarray) -> np.ndarray:
    return notes[np.lexsort(notes.T[::-1])]


def _struck_once(notes: np.ndarray, frame_rate: float) -> np.ndarray:
    """Notes of which no two strike one key in one frame."""
    frames = to_frames(notes[:, 0], frame_rate)
    order = np.lexsort((frames, notes[:, 2]))
    pitches, times = notes[order, 2], frames[order]
    fresh = np.ones(len(notes), bool)
    fresh[1:] = (np.diff(pitches) != 0) | (np.diff(times) != 0)
    if fresh.all():
        return notes
    firsts = np.flatnonzero(fresh)
    kept = notes[order[firsts]]
    for column in (1, 3):
        kept[:, column] = np.maximum.reduceat(notes[order, column], firsts)
    return _sorted(kept)


def _bounded(notes: np.ndarray, frame_rate: float) -> np.ndarray:
    """The notes of a voice without those that are too many at one time."""
    starts = to_frames(notes[:, 0], frame_rate)
    stops = np.maximum(to_frames(notes[:, 1], frame_rate), starts + 1)
    if _most_at_once(starts, stops) <= MOST_NOTES:
        return notes
    return notes[_loudest(starts, stops, notes[:, 3], np.arange(len(notes)), MOST_NOTES)]


def _bounded_voices(voices: list[Voice]) -> tuple[list[Voice], int]:
    """The voices without notes for which too many would sound, and how many notes these are."""
    if len(voices) <= MOST_VOICES:
        return voices, 0
    notes = np.concatenate([voice.notes for voice in voices])
    owners = np.repeat(np.arange(len(voices)), [len(voice.notes) for voice in voices])
    gains = np.concatenate([voice.track.gain.at(voice.notes[:, 0]) for voice in voices])
    starts = np.floor(notes[:, 0] / _GRID_S).astype(np.int64) - 1
    stops = np.ceil((notes[:, 1] + RING_S) / _GRID_S).astype(np.int64) + 1
    kept = _loudest(starts, stops, notes[:, 3] * gains, owners, MOST_VOICES)
    ends = np.cumsum([len(voice.notes) for voice in voices])
    remaining = []
    for voice, mask in zip(voices, np.split(kept, ends[:-1]), strict=True):
        if mask.any():
            remaining.append(replace(voice, notes=voice.notes[mask]))
    return remaining, int(len(kept) - kept.sum())


def _most_at_once(starts: np.ndarray, stops: np.ndarray) -> int:
    """How many spans overlap at most; `starts` are sorted."""
    over = np.searchsorted(np.sort(stops), starts, side="right")
    return int((np.arange(1, len(starts) + 1) - over).max(initial=0))


def _loudest(
    starts: np.ndarray, stops: np.ndarray, loudness: np.ndarray, owners: np.ndarray, limit: int
) -> np.ndarray:
    """Which spans can be kept, the loudest first, if few owners may have one at any one time.

    Returns
    -------
    kept : ndarray of bool, shape (spans,)
    """
    first = starts.min()
    counts = np.zeros(stops.max() - first, np.int32)  # owners at each time
    covered: dict[int, list[tuple[int, int]]] = defaultdict(list)
    kept = np.zeros(len(starts), bool)
    for i in np.argsort(-loudness, kind="stable").tolist():
        own = covered[owners[i]]
        new = _uncovered(own, int(starts[i] - first), int(stops[i] - first))
        if any(counts[start:stop].max() >= limit for start, stop in new):
            continue
        kept[i] = True
        for start, stop in new:
            counts[start:stop] += 1
            insort(own, (start, stop))
    return kept


def _uncovered(spans: list[tuple[int, int]], start: int, stop: int) -> list[tuple[int, int]]:
    """The parts of a span that lie in none of some disjoint, sorted others."""
    index = max(bisect(spans, (start, stop)) - 1, 0)
    parts = []
    while start < stop and index < len(spans) and spans[index][0] < stop:
        begin, end = spans[index]
        if start < begin:
            parts.append((start, begin))
        start = max(start, end)
        index += 1
    if start < stop:
        parts.append((start, stop))
    return parts

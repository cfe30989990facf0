"""Scores that were made by hand: what cannot be played is refused, and named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from timbrel.errors import InputError
from timbrel.score.instruments import PROGRAM_NAMES
from timbrel.score.score import (
    DRUM_NOTES,
    OUTSIDE_KEYS,
    Automation,
    Note,
    Score,
    Track,
    is_playable,
)

LONGEST_S = 1e7  # some four months, of which there are still frames to count
_KEYS, _VELOCITIES, _CHANNELS = range(128), range(1, 128), range(16)
_CURVES = ("gain", "pan", "reverb", "chorus", "bend", "tuning", "vibrato")
_NOTE_HELP = "a note is (pitch, velocity, start in seconds, end in seconds)"


def checked(score: Score) -> Score:
    """A score as it can be played.

    Notes that no model's 88 keys have are left out and counted, as those of MIDI files are.

    Raises
    ------
    InputError
        If a track is none, a program, channel or curve is not valid, or a note has a key beyond
        0–127, a velocity beyond 1–127, a time that is not finite, or an end before its start.
        Names the track and the note.
    """
    tracks = [_track(track, "track", i) for i, track in enumerate(score.tracks, 1)]
    drums = [track for track in tracks if track.is_kit]  # which not all models play
    drums += [_track(track, "drum track", i) for i, track in enumerate(score.drum_tracks, 1)]
    tracks = [track for track in tracks if not track.is_kit]
    playable = [replace(t, notes=tuple(n for n in t.notes if is_playable(n.pitch))) for t in tracks]
    n_outside = sum(len(track.notes) for track in tracks) - sum(len(t.notes) for t in playable)
    unplayable = dict(score.unplayable)
    n_drums = sum(len(track.notes) for track in drums)
    if n_drums:
        unplayable.setdefault(DRUM_NOTES, n_drums)
    if n_outside:
        unplayable[OUTSIDE_KEYS] = unplayable.get(OUTSIDE_KEYS, 0) + n_outside
    return replace(score, tracks=tuple(playable), drum_tracks=tuple(drums), unplayable=unplayable)


def as_notes(items: Sequence[object], where: str) -> tuple[Note, ...]:
    """Notes from `Note`, sequences of four numbers, or rows of an array; sorted by start and pitch.

    Raises
    ------
    InputError
        If one is not possible; `where` names what they belong to.
    """
    if _are_fine(items):
        return tuple(items)  # type: ignore[arg-type]
    notes = []
    for number, item in enumerate(items, 1):
        at = f"{where}, note {number} of {len(items)}"
        try:
            note = Note(*map(float, item))  # type: ignore[call-overload]
        except (TypeError, ValueError):
            raise InputError(f"{at}: is {_short(item)}; {_NOTE_HELP}") from None
        pitch, velocity, start_s, end_s, detune = note
        if pitch not in _KEYS:
            raise InputError(f"{at}: its key is {pitch:g}; keys are 0 to 127")
        if velocity not in _VELOCITIES:
            raise InputError(f"{at}: its velocity is {velocity:g}; velocities are 1 to 127")
        if not all(map(math.isfinite, (start_s, end_s, detune))):
            raise InputError(f"{at}: lasts from {start_s:g} to {end_s:g} s; times must be finite")
        if end_s < max(start_s, 0.0):
            what = "its start" if end_s < start_s else "the score begins"
            raise InputError(
                f"{at}: lasts from {start_s:g} to {end_s:g} s, but must end after {what}"
            )
        if end_s > LONGEST_S:
            raise InputError(f"{at}: ends after {end_s:g} s; scores last up to {LONGEST_S:g} s")
        notes.append(Note(int(pitch), int(velocity), start_s, end_s, detune))
    return tuple(sorted(notes, key=lambda note: (note.start_s, note.pitch)))


def _are_fine(items: Sequence[object]) -> bool:
    """Whether all are a `Note` that can be played, in their order; quick for many."""
    if not all(type(item) is Note for item in items):
        return False
    table = np.array(items)
    if table.dtype.kind not in "iuf" or not np.isfinite(table).all():
        return not items
    pitches, velocities, starts, ends, _ = table.reshape(-1, len(Note._fields)).T
    return bool(
        np.isin(pitches, _KEYS).all()
        and np.isin(velocities, _VELOCITIES).all()
        and (ends >= np.maximum(starts, 0.0)).all()
        and (ends <= LONGEST_S).all()
        and (np.lexsort((pitches, starts)) == np.arange(len(items))).all()
    )


def _track(track: object, kind: str, number: int) -> Track:
    if not isinstance(track, Track):
        raise InputError(f"{kind} {number} is {_short(track)}, not a Track")
    where = f"{kind} {number} ({track.name})"
    for what, value, most in (
        ("program", track.program, len(PROGRAM_NAMES) - 1),
        ("channel", track.channel, _CHANNELS.stop - 1),
    ):
        if not (isinstance(value, int | np.integer) and 0 <= value <= most):
            raise InputError(f"{where}: its {what} is {value}; it must be 0 to {most}")
    for name in _CURVES:
        curve: Automation | None = getattr(track, name)
        if curve is None and name == "pan":
            continue
        if not isinstance(curve, Automation):
            raise InputError(f"{where}: its {name} is {_short(curve)}, not an Automation")
        sizes = {len(curve.times_s), len(curve.values)}
        if len(sizes) > 1 or 0 in sizes or not np.isfinite([*curve.times_s, *curve.values]).all():
            raise InputError(f"{where}: its {name} must have as many times as values, all finite")
    return replace(track, notes=as_notes(track.notes, where))


def _short(item: object) -> str:
    text = repr(item)
    return text if len(text) <= 60 else type(item).__name__

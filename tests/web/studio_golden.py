"""What Python makes of a score with bends, vibrato, tunings and drums: golden/performance.json."""

from __future__ import annotations

import base64
from dataclasses import fields
from typing import Any

import numpy as np

from timbrel.bundles.bundle import load_bundle
from timbrel.score.midi import parse_midi
from timbrel.score.performance_roll import PerformanceRoll, roll_of
from timbrel.score.score import Track
from timbrel.score.sounding import sounding_notes
from timbrel.vocoder.excitation import NoteFrames
from timbrel.vocoder.pre_echo import PreEchoControl
from timbrel.vocoder.sources import source_of
from timbrel.vocoder.strokes import StrokeFrames

GOLDEN_FILE = "performance.json"
SCORE = "expressive"
MODEL, VOCODER = "mel2mel-studio", "parallel-studio"
# Frames: before the beginning, from it on, in the middle, over the end.
ROLL_WINDOWS = ((-9, 23), (33, 129), (161, 225), (310, 330), (340, 420))
# With the frame in which notes are not known yet, and whether they are told anew.
TOLD_WINDOWS = (
    (-64, 0, 32, False),
    (0, 64, 96, False),
    (128, 192, 192, True),
    (320, 384, 416, False),
)
SOURCE_WINDOWS = ((-3, 5), (58, 74), (130, 131), (203, 221), (316, 332), (370, 380))
THINNING = 13  # of samples one in so many is kept


def performance_golden(data: bytes) -> dict[str, Any]:
    """The rolls and sources of each track of a file, as float32 in base 64."""
    sizes, frame_rate = load_bundle(VOCODER).model, load_bundle(MODEL).mel.frame_rate
    score = parse_midi(data)
    tracks = []
    for track in (*score.tracks, *score.drum_tracks):
        roll = roll_of(load_bundle(MODEL).roll, track, track.notes, frame_rate)
        assert isinstance(roll, PerformanceRoll)
        told = [_told(roll, *window) for window in TOLD_WINDOWS]
        sources = _sources(track, roll, sizes)
        tracks.append({"rolls": _rolls(roll), "told": told, "sources": sources})
    return {
        "sizes": {k: sizes[k] for k in sorted(sizes) if "onset" in k or k in _GEOMETRY},
        "frame_rate": frame_rate,
        "thinning": THINNING,
        "tracks": tracks,
        "pre_echo": _text(held_back(sizes)[::THINNING]),
    }


def held_back(sizes: dict[str, Any]) -> np.ndarray:
    """A sound that swells all the time, held back before strokes; `performance.test.ts` does so."""
    hop = sizes["hop_length"]
    places = np.arange(20 * hop)
    sound = np.sin(0.05 * places) * (1 + places % 2000 / 100) / 20
    control = PreEchoControl([STROKES], sample_rate=sizes["sample_rate"], hop_length=hop)
    return control.process(sound[None].astype(np.float32), 0)[0]


STROKES = np.array([700, 3000, 3000, 3900, 6500, 7701])  # samples
_GEOMETRY = ("sample_rate", "hop_length")


def _rolls(roll: PerformanceRoll) -> list[dict[str, Any]]:
    """Of each window the places and values that are not zero."""
    found = []
    for start, stop in ROLL_WINDOWS:
        flat = roll.window(start, stop).ravel()
        places = np.flatnonzero(flat)
        found.append(
            {"start": start, "stop": stop, "at": places.tolist(), "values": _text(flat[places])}
        )
    return found


def _told(roll: PerformanceRoll, start: int, stop: int, last: int, told_anew: bool) -> dict:
    """What is heard in some frames: of each row its note, its stretch and its first times."""
    told = sounding_notes(roll, start, stop, last=last, told_anew=told_anew)
    rows = [told.notes[told.of_note], told.stretches[:, None], told.times_s[:, 0]]
    about = {"start": start, "stop": stop, "last": last, "told_anew": told_anew}
    return about | {"rows": _text(np.concatenate(rows, axis=1).ravel()), "notes": len(told.notes)}


def _sources(track: Track, roll: PerformanceRoll, sizes: Any) -> list[dict[str, Any]]:
    source: Any = source_of(roll, sizes)
    kind: Any = StrokeFrames if track.is_kit else NoteFrames
    found = []
    for start, stop in SOURCE_WINDOWS:
        frames = source.frames(start, stop)
        values = {field.name: getattr(frames, field.name) for field in fields(kind)}
        found.append(
            {"start": start, "stop": stop}
            | {name: _text(value.ravel()[:: _step(name)]) for name, value in values.items()}
        )
    return found


def _step(name: str) -> int:
    return THINNING if name in ("sources", "gate", "keys") else 1


def _text(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode()


def numbers(text: str) -> np.ndarray:
    """What `performance_golden` holds as text."""
    return np.frombuffer(base64.b64decode(text), "<f4")

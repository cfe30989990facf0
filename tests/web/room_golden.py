"""Golden values of the room: its effects, a mix in it, and where tracks sit."""

from __future__ import annotations

from typing import Any

import numpy as np

from timbrel.mixer import Mixer
from timbrel.room import Room
from timbrel.score.placement import placed, without_room
from timbrel.score.score import Automation, Score, Track


def room_sound() -> dict[str, Any]:
    """Some of what a room adds to sends that any language can compute."""
    n, rate = 30_000, 48_000
    times = np.arange(n)
    fade = np.exp(-times / 4000)
    reverb = np.stack([np.sin(0.1 * times) * fade, np.cos(0.37 * times) * fade], axis=1)
    chorus = np.stack([np.sin(0.05 * times), np.cos(0.03 * times)], axis=1)
    wet = Room(rate, 2).process(reverb.astype(np.float32), chorus.astype(np.float32))
    return {"n": n, "sample_rate": rate, "every": 97, "wet": wet[::97].T.tolist()}


def mixed_in_a_room() -> dict[str, Any]:
    """Some of a mix of two tracks that move, dry and in a room."""
    n, rate = 24_000, 16_000
    times = np.arange(n)
    fade = np.exp(-times / 6000)
    audio = {0: 0.3 * np.sin(0.1 * times) * fade, 1: 0.2 * np.cos(0.037 * times) * fade}
    curves = [
        {
            "gain": ((0.0, 0.5), (1.0, 0.4)),
            "reverb": ((0.0, 0.7), (1.0, 0.2)),
            "chorus": ((0.0,), (0.0,)),
        },
        {
            "gain": ((0.0,), (0.8,)),
            "reverb": ((0.0,), (0.3,)),
            "chorus": ((0.0, 0.2), (0.0, 0.9)),
        },
    ]
    tracks = [
        Track("", program, 0, (), **{name: Automation(*curve) for name, curve in own.items()})
        for program, own in zip((0, 56), curves, strict=True)
    ]
    found: dict[str, Any] = {"n": n, "sample_rate": rate, "every": 89, "tracks": curves}
    for kind, score in (
        ("dry", without_room(Score(tuple(tracks)))),
        ("wet", placed(Score(tuple(tracks)))),
    ):
        sounds = {index: sound.astype(np.float32) for index, sound in audio.items()}
        mix = Mixer(score.tracks, rate, 2).process(sounds, n)
        found[kind] = mix[:: found["every"]].T.tolist()
    return found


def placements() -> list[dict[str, Any]]:
    """Programs of tracks, and where the tracks sit."""
    found = []
    for programs in ([0], [0, 40], [33, 0, 40, 0, 56], list(range(30, 44))):
        score = placed(Score(tuple(Track("", program, 0, ()) for program in programs)))
        pans = [track.pan.values[0] for track in score.tracks if track.pan is not None]
        found.append({"programs": programs, "pans": pans})
    return found


ROOM_FILES = {
    "room.json": room_sound,
    "mix.json": mixed_in_a_room,
    "placements.json": placements,
}

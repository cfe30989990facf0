"""The inputs of the parallel vocoder's graphs besides the mel, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Protocol

import numpy as np

from timbrel.errors import InputError
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder.chance import phases
from timbrel.vocoder.excitation import ENVELOPES, NoteFrames, stack_notes
from timbrel.vocoder.sources import is_kit, source_of
from timbrel.vocoder.strokes import N_SOURCES, StrokeFrames, stack_strokes

# Limit of notes · frames in a step, each of which needs memory for several hops of samples.
_MOST_NOTE_FRAMES = 8192


class StreamInputs(Protocol):
    """The inputs of some tracks."""

    n_sources: int  # whose tails the graph keeps; 0 where it has none
    onsets: Sequence[np.ndarray]  # of each kit's strokes, in samples; of nothing else

    def next(self, start: int, n_frames: int) -> tuple[int, dict[str, np.ndarray]]:
        """A step's length, no more than so many frames of mel from `start` on, and its inputs."""


class Chance:
    """The phases of the noise, where nothing is known of the score.

    Parameters
    ----------
    sizes
        The vocoder's configuration.
    seed, numbers
        Of the chance, and of the tracks.
    """

    n_sources = 0
    onsets: Sequence[np.ndarray] = ()

    def __init__(self, sizes: dict[str, Any], seed: int, numbers: Sequence[int]) -> None:
        self._seed = seed
        self._numbers = np.array(numbers, np.uint64).astype(np.uint32)
        self._n_bins, self._lookahead = sizes["n_fft"] // 2 + 1, sizes["lookahead"]

    def next(self, start: int, n_frames: int) -> tuple[int, dict[str, np.ndarray]]:
        first = start - self._lookahead
        noise = phases(self._seed, self._numbers, first, first + n_frames, self._n_bins)
        return n_frames, {"noise": noise}


class Notes:
    """What the notes of the tracks do, and the phases of the noise; see `Chance`."""

    n_sources = len(ENVELOPES)
    onsets: Sequence[np.ndarray] = ()

    def __init__(
        self, rolls: Sequence[PianoRoll], sizes: dict[str, Any], seed: int, numbers: Sequence[int]
    ) -> None:
        self._chance = Chance(sizes, seed, numbers)
        self._excitations: Any = [source_of(roll, sizes) for roll in rolls]
        self._lead = _lead(sizes)
        if sizes["conditioning"] == "performance" and not all(
            isinstance(roll, PerformanceRoll) for roll in rolls
        ):
            raise InputError("this vocoder wants rolls of all keys and bends")

    def next(self, start: int, n_frames: int) -> tuple[int, dict[str, np.ndarray]]:
        """See `StreamInputs`.

        A step computes all of its notes in all of its frames, as many for each track as the one
        with the most of them has: the more notes there are, the shorter it is.
        """
        first = start + self._lead
        while True:
            ringing = [e.ringing(first, first + n_frames) for e in self._excitations]
            most = max(map(len, ringing))
            if n_frames == 1 or len(ringing) * most * n_frames <= _MOST_NOTE_FRAMES:
                break
            n_frames = (n_frames + 1) // 2
        found = [
            excitation.frames(first, first + n_frames, notes)
            for excitation, notes in zip(self._excitations, ringing, strict=True)
        ]
        stacked = stack_notes(found)
        notes = {f.name: getattr(stacked, f.name) for f in fields(NoteFrames)}
        return n_frames, self._chance.next(start, n_frames)[1] | notes


class KitStrokes:
    """What the strokes of kits do."""

    n_sources = N_SOURCES

    def __init__(
        self, rolls: Sequence[PianoRoll], sizes: dict[str, Any], latency_frames: int
    ) -> None:
        self._strokes: Any = [source_of(roll, sizes) for roll in rolls]
        self.onsets: Sequence[np.ndarray] = [one.onsets for one in self._strokes]
        self._lead, self._latency, self._hop = _lead(sizes), latency_frames, sizes["hop_length"]

    def next(self, start: int, n_frames: int) -> tuple[int, dict[str, np.ndarray]]:
        first = start + self._lead
        stacked = stack_strokes([one.frames(first, first + n_frames) for one in self._strokes])
        inputs = {f.name: getattr(stacked, f.name) for f in fields(StrokeFrames)}
        # The gate is that of the audio which a step finishes.
        begin = (start - self._latency) * self._hop
        end = begin + n_frames * self._hop
        inputs["gate"] = np.stack([one.gate(begin, end) for one in self._strokes])
        return n_frames, inputs


def inputs_of(
    rolls: Sequence[PianoRoll],
    sizes: dict[str, Any],
    *,
    seed: int,
    numbers: Sequence[int],
    latency_frames: int,
) -> StreamInputs:
    """The inputs for some tracks, of which all are kits or none is.

    Parameters
    ----------
    rolls
        Of the tracks.
    sizes
        The vocoder's configuration.
    seed, numbers
        Of the chance, and of the tracks.
    latency_frames
        From a mel frame's arrival to the last sample of its spectrum.
    """
    if sizes["conditioning"] not in ("excitation", "performance"):
        return Chance(sizes, seed, numbers)
    if is_kit(rolls[0]):
        return KitStrokes(rolls, sizes, latency_frames)
    return Notes(rolls, sizes, seed, numbers)


def _lead(sizes: dict[str, Any]) -> int:
    """Frames by which sources reach further than the mel: to the end of the window around it."""
    return sizes["n_fft"] // 2 // sizes["hop_length"] - 1

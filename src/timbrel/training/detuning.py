"""Detuning of a part of a sound, so that an encoder heeds the melody rather than its tuning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

SHORTEST_S, LONGEST_S = 0.25, 0.5  # of a detuned segment, as published
_FADE_S = 0.005  # at either end of a segment, inside it
_SPARE = 64  # samples at either end, for the edges of a resampler


@dataclass(frozen=True)
class Segment:
    """A part of a sound, in samples, and by how many semitones it is to be moved."""

    start: int
    stop: int
    semitones: float


def draw_segment(
    random: np.random.Generator, first: int, last: int, sample_rate: int, *, most: float
) -> Segment:
    """Draw a segment of a quarter to half of a second between two samples.

    Parameters
    ----------
    random
        Draws.
    first, last
        Where it may begin, and where it must have ended; at least `LONGEST_S` apart.
    sample_rate
        In Hz.
    most
        The most semitones, up or down.
    """
    length = round(random.uniform(SHORTEST_S, LONGEST_S) * sample_rate)
    start = int(random.integers(first, last - length + 1))
    return Segment(start, start + length, random.uniform(-most, most))


def detuned(audio: np.ndarray, segment: Segment, sample_rate: int) -> np.ndarray:
    """A copy of a sound whose segment is higher or lower; its length and all else stay.

    The segment is played faster or slower about its middle, so that it needs, or leaves out, a
    little of its surroundings: half a semitone moves its ends by 7 ms at most.

    Parameters
    ----------
    audio
        float32, shape (samples,).
    segment
        Lies within it.
    sample_rate
        In Hz.
    """
    speed = 2 ** (segment.semitones / 12)
    n = segment.stop - segment.start
    centre = (segment.start + segment.stop) / 2
    first = round(centre - (n / 2 + _SPARE) * speed)
    last = round(centre + (n / 2 + _SPARE) * speed)
    source = np.pad(audio[max(first, 0) : last], (max(-first, 0), max(last - len(audio), 0)))
    played = soxr.resample(source, speed, 1.0)[_SPARE : _SPARE + n]
    edge = np.minimum(np.arange(n), np.arange(n)[::-1])
    share = np.minimum(edge / (_FADE_S * sample_rate), 1).astype(np.float32)
    changed = audio.copy()
    part = changed[segment.start : segment.stop]
    part += share * (played - part)
    return changed

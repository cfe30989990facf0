"""A drum part as sound: the sources that the vocoder filters where there is no pitch.

Pulse trains cannot represent a drum. Each stroke has four sources instead, which begin at the exact
sample at which it is heard and are the same for every stroke of a key, so that the recording of a
kit can be learnt exactly:

0. an impulse, from which the attack is made;
1. noise during the first moments;
2. impulses after that, 16 ms apart, for anything that rings with a pitch;
3. noise after that.

The first two make the attack, which is silent until the sample of the stroke, whatever masks do to
it (`gate`); the others fade in a few milliseconds later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np

from timbrel.score.performance_roll import N_KEYS, PerformanceRoll
from timbrel.score.pitch import Timing
from timbrel.vocoder.chance import scattered, unit_interval

N_SOURCES = 4
IMPULSE, ATTACK_NOISE, BODY_IMPULSES, BODY_NOISE = range(N_SOURCES)
# Time constants, in seconds, of the decaying inputs that tell the network a stroke's age.
AGES_S = (3.0, 0.4, 0.05)
BODY_S = 1.0  # in which the sources of the body fall by e
RINGS_S = 8.0  # a stroke is left out from then on, or when its key is struck again
ATTACK_S = (0.008, 0.024)  # where the attack ends and the body begins: a cosine between
PULSES_PER_S = 62.5
GATE_S = 0.064  # so long the gate stays open: until no window holds the attack any more
NOISE_SIZE = 1 << 16  # samples, after which the noise repeats
_NOISE_PEAK = np.float32(np.sqrt(3))  # of even noise whose power is 1
NOISE_SHIFT = 7919  # samples that the noise of a key is ahead of that of the key below

Array = TypeVar("Array")


@dataclass(frozen=True)
class StrokeFrames(Generic[Array]):
    """The strokes of a span of frames; all float32."""

    sources: Array  # (N_SOURCES, frames · hop_length)
    gate: Array  # (frames · hop_length) 1 where an attack may sound, else 0
    keys: Array  # (frames, len(AGES_S) · N_KEYS) how far each key's stroke has faded


class Strokes:
    """What the strokes of a kit's part do, span by span.

    Parameters
    ----------
    roll
        The score of the part.
    sample_rate, hop_length
        Of the vocoder; a frame holds the samples from ``frame · hop_length`` on.
    timing
        When strokes are heard.
    """

    def __init__(
        self, roll: PerformanceRoll, *, sample_rate: int, hop_length: int, timing: Timing
    ) -> None:
        self._sample_rate, self._hop_length = sample_rate, hop_length
        self._frame_rate = sample_rate / hop_length
        struck_s, _, keys, velocity = roll.notes.T
        onset_s = timing.acted(struck_s)
        self._attack, self._body = _envelopes(sample_rate)
        self._onset = np.round(onset_s * sample_rate).astype(np.int64)  # samples
        self._key = keys.astype(np.int64)
        self._level = (velocity / 127).astype(np.float32)
        self._end = self._onset + round(RINGS_S * sample_rate)
        following: dict[int, int] = {}
        for i in range(len(self._onset) - 1, -1, -1):
            key = int(self._key[i])
            self._end[i] = min(self._end[i], following.get(key, self._end[i]))
            following[key] = int(self._onset[i])

    @property
    def onsets(self) -> np.ndarray:
        """The samples in which strokes begin, rising, (strokes,)."""
        return self._onset

    def frames(self, start: int, stop: int) -> StrokeFrames[np.ndarray]:
        """What the strokes do in the frames from `start` to `stop`."""
        hop = self._hop_length
        begin, end = start * hop, stop * hop
        begun = np.searchsorted(self._onset, end)
        ringing = np.flatnonzero(self._end[:begun] > begin)
        sources = np.zeros((N_SOURCES, end - begin), np.float32)
        keys = np.zeros((stop - start, len(AGES_S), N_KEYS), np.float32)
        frame_starts = np.arange(start, stop) * hop
        for i in ringing.tolist():
            for place in range(begin, end, NOISE_SIZE):
                part = sources[:, place - begin :]
                self._add_sources(i, place, min(place + NOISE_SIZE, end), part)
            age_s = (frame_starts - self._onset[i]) / self._sample_rate
            # A frame that holds the onset knows of it.
            sounding = (age_s > -1 / self._frame_rate) & (frame_starts < self._end[i])
            falls = np.exp(-age_s.clip(0)[:, None] / np.array(AGES_S)) * sounding[:, None]
            found = self._level[i] * falls.astype(np.float32)
            keys[:, :, self._key[i]] = np.maximum(keys[:, :, self._key[i]], found)
        return StrokeFrames(sources, self.gate(begin, end), keys.reshape(stop - start, -1))

    def gate(self, begin: int, end: int) -> np.ndarray:
        """Where an attack may sound, from one sample to another: float32, 1 or 0."""
        gate = np.zeros(end - begin, np.float32)
        length = round(GATE_S * self._sample_rate)
        first = np.searchsorted(self._onset, begin - length)
        last = np.searchsorted(self._onset, end)
        for onset in self._onset[first:last]:
            gate[max(onset - begin, 0) : max(onset - begin + length, 0)] = 1.0
        return gate

    def _add_sources(self, index: int, begin: int, end: int, sources: np.ndarray) -> None:
        onset = int(self._onset[index])
        first, last = max(onset, begin), min(int(self._end[index]), end)
        if last <= first:
            return
        level = self._level[index]
        age, stop = first - onset, last - onset
        # Never longer than what the noise repeats after.
        shift = (age + NOISE_SHIFT * int(self._key[index])) % NOISE_SIZE
        noise = _NOISE[shift : shift + stop - age]
        body = level * self._body[age:stop]
        sources[BODY_NOISE, first - begin : last - begin] += body * noise
        period = round(self._sample_rate / PULSES_PER_S)
        strength = np.float32(np.sqrt(period))  # as loud as the noise
        pulses = slice(-age % period, None, period)
        sources[BODY_IMPULSES, first - begin : last - begin][pulses] += strength * body[pulses]
        attack = level * self._attack[age:stop]
        attacked = slice(first - begin, first - begin + len(attack))
        sources[ATTACK_NOISE, attacked] += attack * noise[: len(attack)]
        if age == 0:
            sources[IMPULSE, first - begin] += strength * level


@lru_cache(maxsize=4)
def _envelopes(sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """How loud attack and body of a stroke are, sample by sample from its onset on: float32."""
    age_s = np.arange(round(RINGS_S * sample_rate)) / sample_rate
    place = ((age_s - ATTACK_S[0]) / (ATTACK_S[1] - ATTACK_S[0])).clip(0, 1)
    begun = 0.5 - 0.5 * np.cos(np.pi * place)
    attack = 1 - begun[: round(ATTACK_S[1] * sample_rate)]
    return attack.astype(np.float32), (begun * np.exp(-age_s / BODY_S)).astype(np.float32)


def stack_strokes(tracks: Sequence[StrokeFrames[np.ndarray]]) -> StrokeFrames[np.ndarray]:
    """The strokes of some tracks, with a leading axis."""
    return StrokeFrames(
        *(np.stack([getattr(one, field.name) for one in tracks]) for field in fields(StrokeFrames))
    )


def _noise() -> np.ndarray:
    """Even noise of power 1, twice in a row, float32."""
    return np.tile(_NOISE_PEAK * (2 * unit_interval(scattered(np.arange(NOISE_SIZE))) - 1), 2)


_NOISE = _noise()

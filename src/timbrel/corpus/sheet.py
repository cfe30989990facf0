"""Writing generated scores: notes, pedals and bends in seconds → a MIDI file."""

from __future__ import annotations

import math
from bisect import insort
from collections import defaultdict

import mido

_TICKS_PER_BEAT = 1_000
_TEMPO = 250_000  # microseconds per beat: 4,000 ticks a second
_TICKS_PER_SECOND = _TICKS_PER_BEAT * 1_000_000 // _TEMPO
_SHORTEST_S = 0.02
_GAP_S = 0.002  # between the release of a key and its next stroke

MODULATION, SUSTAIN = 1, 64
_DATA_MSB, _DATA_LSB, _RPN_LSB, _RPN_MSB = 6, 38, 100, 101
DEFAULT_BEND_RANGE = 2.0  # semitones
_BEND_LIMITS = (-8192, 8191)

# At the same tick, note-offs come first, then changes of the channel, then note-ons.
_OFF, _CHANGE, _ON = range(3)


class Sheet:
    """One part, written down in any order.

    A key that is struck while it sounds is released first, as on a keyboard.

    Parameters
    ----------
    channel
        0–15; 9 is that of the drums.
    """

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._strokes: dict[int, list[tuple[float, float, int]]] = defaultdict(list)
        self._changes: list[tuple[float, int, mido.Message]] = []
        self._bend_ranges: list[tuple[float, float]] = [(-math.inf, DEFAULT_BEND_RANGE)]

    @property
    def end_s(self) -> float:
        """The last release of a key; 0 where there are no notes."""
        ends = (stop for strokes in self._strokes.values() for _, stop, _ in strokes)
        return max(ends, default=0.0)

    def note(self, start_s: float, length_s: float, pitch: float, velocity: float) -> None:
        """Strike a key; velocities are kept within 1–127."""
        velocity = min(max(round(velocity), 1), 127)
        stop_s = start_s + max(length_s, _SHORTEST_S)
        insort(self._strokes[int(pitch)], (start_s, stop_s, velocity))

    def control(self, time_s: float, number: int, value: float) -> None:
        """Set a controller."""
        message = mido.Message(
            "control_change",
            channel=self._channel,
            control=number,
            value=min(max(round(value), 0), 127),
        )
        self._changes.append((time_s, len(self._changes), message))

    def pedal(self, start_s: float, stop_s: float) -> None:
        """Hold the sustain pedal."""
        self.control(start_s, SUSTAIN, 127)
        self.control(stop_s, SUSTAIN, 0)

    def bend_range(self, time_s: float, semitones: int) -> None:
        """Say how far the pitch wheel reaches from now on (registered parameter 0)."""
        self._bend_ranges.append((time_s, float(semitones)))
        for number, value in (
            (_RPN_MSB, 0),
            (_RPN_LSB, 0),
            (_DATA_MSB, semitones),
            (_DATA_LSB, 0),
            (_RPN_MSB, 127),  # "none": what follows is not meant for the parameter
            (_RPN_LSB, 127),
        ):
            self.control(time_s, number, value)

    def bend(self, time_s: float, semitones: float) -> None:
        """Turn the pitch wheel, as far as the range that was set last (in time) lets it."""
        reach = max(entry for entry in self._bend_ranges if entry[0] <= time_s)[1]
        value = round(semitones / reach * -_BEND_LIMITS[0])
        value = min(max(value, _BEND_LIMITS[0]), _BEND_LIMITS[1])
        message = mido.Message("pitchwheel", channel=self._channel, pitch=value)
        self._changes.append((time_s, len(self._changes), message))

    def midi(self, name: str, program: int, bank: int = 0) -> mido.MidiFile:
        """The part as a MIDI file of one track, which ends with its last release.

        Parameters
        ----------
        name
            Of the track.
        program, bank
            Of the instrument; a bank beyond 127 has no number in MIDI and is left to the channel.
        """
        channel = self._channel
        track = mido.MidiTrack()
        track.append(mido.MetaMessage("track_name", name=name))
        track.append(mido.MetaMessage("set_tempo", tempo=_TEMPO))
        if 0 < bank <= 127:
            track.append(mido.Message("control_change", channel=channel, control=0, value=bank))
        track.append(mido.Message("program_change", channel=channel, program=program))
        now = 0
        for tick, _, _, message in sorted(self._events(), key=lambda event: event[:3]):
            message.time = tick - now
            track.append(message)
            now = tick
        return mido.MidiFile(type=0, ticks_per_beat=_TICKS_PER_BEAT, tracks=[track])

    def _events(self) -> list[tuple[int, int, int, mido.Message]]:
        events = [
            (_tick(time_s), _CHANGE, order, message) for time_s, order, message in self._changes
        ]
        for pitch, strokes in self._strokes.items():
            following = [stroke[0] for stroke in strokes[1:]] + [math.inf]
            for (start_s, stop_s, velocity), next_s in zip(strokes, following, strict=True):
                start = _tick(start_s)
                if _tick(next_s - _GAP_S) <= start:
                    continue  # struck twice at once
                stop = max(_tick(min(stop_s, next_s - _GAP_S)), start + 1)
                events.append((start, _ON, pitch, self._key(pitch, velocity)))
                events.append((stop, _OFF, pitch, self._key(pitch, 0)))
        return events

    def _key(self, pitch: int, velocity: int) -> mido.Message:
        kind = "note_on" if velocity else "note_off"
        return mido.Message(kind, channel=self._channel, note=pitch, velocity=velocity)


def _tick(time_s: float) -> int:
    return round(time_s * _TICKS_PER_SECOND) if math.isfinite(time_s) else 1 << 60

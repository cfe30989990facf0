"""The events of all tracks of a MIDI file, merged into one list and timed in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from timbrel.constants import DEFAULT_TEMPO
from timbrel.score.smf import DEVICE_NAME, META, PORT, SET_TEMPO, SYSEX, MidiFile

DEFAULT_BEAT_US = round(60e6 / DEFAULT_TEMPO)  # microseconds of a beat

Port = tuple[int, int]  # the number of a port, and which of the devices that the file names


class Event(NamedTuple):
    """An event of one track."""

    time_s: float
    track: int
    port: Port
    status: int  # of a message without its channel, or `SYSEX` or `META`
    channel: int
    first: int
    second: int
    data: bytes


class Timeline:
    """Gives the events of a file, as often as wanted.

    Tracks play together, at one tick in their order. The sequences of a type 2 file are pieces of
    their own, of one track each.
    """

    def __init__(self, midi: MidiFile) -> None:
        self._midi = midi
        events = midi.events
        ticks = np.frombuffer(events.ticks, np.int64)
        if midi.kind == 2:
            order = np.lexsort((ticks, np.frombuffer(events.tracks, np.int32)))
            begins = np.flatnonzero(np.diff(np.frombuffer(events.tracks, np.int32)[order])) + 1
            self._sequences = np.split(order, begins) if len(order) else []
        else:
            self._sequences = [np.argsort(ticks, kind="stable")]

    def __len__(self) -> int:
        """How many pieces there are, to be played one after the other."""
        return len(self._sequences)

    def sequence(self, index: int, start_s: float = 0.0) -> Iterator[Event]:
        """The events of one piece, which starts at a time."""
        events, division = self._midi.events, self._midi.division
        tempo = DEFAULT_BEAT_US
        ports: dict[int, Port] = {}
        devices: dict[bytes, int] = {}
        base_s, last_tick = start_s, 0
        for row in map(int, self._sequences[index]):
            tick, track, status = events.ticks[row], events.tracks[row], events.statuses[row]
            first = events.first[row]
            if division < 0:  # SMPTE: frames per second, negated, and ticks per frame
                frames_per_s = {29: 30 / 1.001}.get(-(division >> 8), -(division >> 8))
                seconds_per_tick = 1 / (frames_per_s * max(division & 0xFF, 1))
            else:
                seconds_per_tick = tempo * 1e-6 / division
            time_s = base_s + (tick - last_tick) * seconds_per_tick
            data = b"" if status < SYSEX else events.data.get(row, b"")
            number, device = ports.get(track, (0, 0))
            if status == META and first == SET_TEMPO:
                tempo = int.from_bytes(data[:3], "big") or tempo
            if status == META and first == PORT:
                ports[track] = data[0], device
            elif status == META and first == DEVICE_NAME:
                # What names no device plays on the first one.
                ports[track] = number, devices.setdefault(data, len(devices))
            elif status == SYSEX:
                yield Event(time_s, track, (number, device), status, 0, first, 0, data)
            else:
                base_s, last_tick = time_s, tick
                kind, channel = (status, 0) if status == META else (status & 0xF0, status & 0x0F)
                second = events.second[row]
                yield Event(time_s, track, (number, device), kind, channel, first, second, data)

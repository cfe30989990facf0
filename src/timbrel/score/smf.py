"""The bytes of Standard MIDI Files → events.

Files are read as far as possible, and anything that cannot be read becomes a warning. mido's own
reader refuses files because of details that do not affect the sound (a key signature of 20 sharps,
an unknown chunk), and takes minutes to read a damaged number of some hundred thousand digits.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass

from timbrel.errors import InputError

NOTE_OFF, NOTE_ON, KEY_PRESSURE, CONTROL = 0x80, 0x90, 0xA0, 0xB0
PROGRAM, CHANNEL_PRESSURE, PITCH_BEND = 0xC0, 0xD0, 0xE0
SYSEX, ESCAPE, META = 0xF0, 0xF7, 0xFF
TRACK_NAME, DEVICE_NAME, PORT, END_OF_TRACK, SET_TEMPO = 0x03, 0x09, 0x21, 0x2F, 0x51

# System common messages and the data bytes that follow their status bytes, as sent over a cable.
_SYSTEM_COMMON = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0}
_REAL_TIME = range(0xF8, 0xFF)
# Manufacturer IDs of the exclusive messages that `exclusive.py` understands; all of them are short.
_EXCLUSIVE_IDS = (0x7E, 0x7F, 0x41, 0x43)
MAX_EXCLUSIVE_BYTES = 64
_MAX_NUMBER_BYTES = 5
CUT_OFF = "is cut off; copy or export the MIDI file again"
_PADDING = b"\x00\x1a\r\n "
MAX_WARNINGS = 20


class Events:
    """Events of all tracks in columns, in the order of the file; a row costs few bytes.

    Attributes
    ----------
    ticks, tracks
        When, from the start of its track; and in which track, counted from 0.
    statuses
        The status byte of a channel's message, or `SYSEX` or `META`.
    first, second
        The data bytes of a channel's message; `first` is the kind of a meta event.
    data
        What exclusive and meta events hold, by the number of the row.
    """

    def __init__(self) -> None:
        self.ticks = array("q")
        self.tracks = array("i")
        self.statuses, self.first, self.second = bytearray(), bytearray(), bytearray()
        self.data: dict[int, bytes] = {}

    def add(self, tick: int, track: int, status: int, first: int = 0, second: int = 0) -> None:
        """Append a row."""
        self.ticks.append(tick)
        self.tracks.append(track)
        self.statuses.append(status)
        self.first.append(first)
        self.second.append(second)

    def add_data(self, tick: int, track: int, status: int, data: bytes, first: int = 0) -> None:
        """Append a row that holds data."""
        self.data[len(self.ticks)] = data
        self.add(tick, track, status, first)


@dataclass(frozen=True)
class MidiFile:
    """What a Standard MIDI File holds, as far as it can be read."""

    kind: int  # 0, 1 or 2; what the standard calls the format
    division: int  # ticks per beat, or for SMPTE what the standard says, negative
    events: Events
    warnings: tuple[str, ...]
    failure: str  # the first damage that may have cost notes, in words; empty without


def parse_smf(data: bytes) -> MidiFile:
    """Read a Standard MIDI File; its first four bytes have been checked.

    Only what the sound or a track's name depends on is kept. Chunks that are not tracks are passed
    over, as the standard wants.

    Raises
    ------
    InputError
        If the data end before the first track begins, or the header does not say how fast to play.
        The message lacks the file's name.
    """
    return _Reader(data).read()


def count_of(n: int, what: str) -> str:
    """Words for a number of things: "1 byte", "2 bytes"."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


class _Reader:
    """Finds the chunks of a file, also where their number and lengths are wrong."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._events = Events()
        self._n_tracks = 0
        self._warnings: list[str] = []
        self._n_unsaid = 0
        self._failure = ""

    def read(self) -> MidiFile:
        if len(self._data) < 14:
            raise InputError(CUT_OFF)
        header_length, kind, n_announced, division = struct.unpack(">LHHh", self._data[4:14])
        if division == 0:
            raise InputError("is a damaged MIDI file (its time division is zero)")
        if kind > 2:
            self._warn(f"type {kind} is unknown; its tracks are played together")
        position = 8 + header_length
        leads_on = position == len(self._data) or self._is_chunk(position)
        if header_length < 6 or (header_length > 6 and not leads_on):
            self._warn("the length of its header is wrong")
            position = self._next_track(14)
        while position < len(self._data):
            position = self._chunk(position)
        if self._n_tracks != n_announced:
            self._warn(
                f"the header says {count_of(n_announced, 'track')}, the file holds {self._n_tracks}"
            )
            if self._n_tracks < n_announced:
                self._failure = self._failure or CUT_OFF
        if self._n_unsaid:
            self._warnings.append(f"{count_of(self._n_unsaid, 'more fault')} of this kind")
        return MidiFile(kind, division, self._events, tuple(self._warnings), self._failure)

    def _chunk(self, start: int) -> int:
        """Read what begins at a position; gives the position after it."""
        data = self._data
        if not self._is_chunk(start):
            found = self._next_track(start)
            what = "before track" if found < len(data) else "after track"
            number = self._n_tracks + (found < len(data))
            if data[start:found].strip(_PADDING):
                gap = count_of(found - start, "byte")
                self._warn(f"{gap} {what} {number} were passed over")
            return found
        name, length = struct.unpack(">4sL", data[start : start + 8])
        start += 8
        if name != b"MTrk":
            return start + length
        return self._track(start, start + length)

    def _track(self, start: int, end: int) -> int:
        """Read the track that says that it goes from `start` to `end`."""
        data = self._data
        self._n_tracks += 1
        # A length is believed where it leads to another chunk or to the end of the file.
        believed = end == len(data) or self._is_chunk(end)
        limit = end if believed else self._next_track(start)
        track = _Track(data, start, limit, self._n_tracks - 1, self._events)
        problem = track.read()
        number, stop = self._n_tracks, track.position
        if track.ended:
            if believed and not (stop < end and data.startswith(b"MTrk", stop)):
                return end  # what follows the end of a track within its chunk does not count
        elif limit == len(data) < end:
            self._warn(f"track {number} is cut off", CUT_OFF)
            return limit
        elif problem:
            self._warn(
                f"track {number} is damaged ({problem}); what follows in it is left out",
                f"is a damaged MIDI file ({problem})",
            )
            return limit
        else:
            stop = limit
        if stop != end:
            which = "shorter" if stop < end else "longer"
            wrong = count_of(abs(end - stop), "byte")
            self._warn(f"track {number} is {wrong} {which} than it says")
        return stop

    def _is_chunk(self, position: int) -> bool:
        """Whether a chunk seems to begin there: a track, or another that ends within the file."""
        header = self._data[position : position + 8]
        if len(header) < 8:
            return False
        name, length = struct.unpack(">4sL", header)
        return name == b"MTrk" or (
            all(0x20 <= byte < 0x7F for byte in name) and position + 8 + length <= len(self._data)
        )

    def _next_track(self, position: int) -> int:
        """Where the next track begins, or the end of the file."""
        found = self._data.find(b"MTrk", position, max(len(self._data) - 4, 0))
        return len(self._data) if found < 0 else found

    def _warn(self, words: str, failure: str = "") -> None:
        self._failure = self._failure or failure
        if len(self._warnings) < MAX_WARNINGS:
            self._warnings.append(words)
        else:
            self._n_unsaid += 1


class _DamageError(Exception):
    """What keeps the rest of a track from being read."""


class _Track:
    """Reads the events of one track, up to its end, to `limit` or to the first damage."""

    def __init__(self, data: bytes, start: int, limit: int, number: int, events: Events) -> None:
        self.position = start
        self.ended = False  # by an event that says so
        self._data = data
        self._limit = limit
        self._number_of_track = number
        self._events = events
        self._tick = 0
        self._status = 0
        self._exclusive = b""  # an exclusive message that may go on in another event

    def read(self) -> str:
        """Append the events; gives the damage in words, or nothing."""
        problem = ""
        try:
            while self.position < self._limit and not self.ended:
                self._event()
        except _DamageError as damage:
            problem = str(damage)
        # Many files lack the end of a track; its chunk's end is as good.
        self._events.add(self._tick, self._number_of_track, META, END_OF_TRACK)
        return problem

    def _event(self) -> None:
        tick = self._tick + self._number()
        first = self._byte()
        if first == META:
            self._meta(tick)
        elif first in (SYSEX, ESCAPE):
            self._system_exclusive(tick, first, self._take(self._number()))
        elif first in _SYSTEM_COMMON:
            self._take(_SYSTEM_COMMON[first])
        elif first not in _REAL_TIME:
            self._channel_message(tick, first)
        self._tick = tick

    def _meta(self, tick: int) -> None:
        kind = self._byte()
        data = self._take(self._number())
        if kind == END_OF_TRACK:
            self.ended = True
        elif (
            kind in (TRACK_NAME, DEVICE_NAME)
            or (kind == SET_TEMPO and len(data) >= 3)
            or (kind == PORT and data)
        ):
            self._events.add_data(tick, self._number_of_track, META, data, kind)

    def _system_exclusive(self, tick: int, status: int, data: bytes) -> None:
        """Keep an exclusive message that may be understood, put together from its packets."""
        if status == ESCAPE and data[:1] == b"\xf0":  # a whole message, in the escaped form
            status, data = SYSEX, data[1:]
        message = (self._exclusive if status == ESCAPE else b"") + data
        if not message or message[0] not in _EXCLUSIVE_IDS or len(message) > MAX_EXCLUSIVE_BYTES:
            message = b""
        whole = message.endswith(b"\xf7")
        self._exclusive = b"" if whole else message
        if message:  # some programs leave out the last byte
            self._events.add_data(tick, self._number_of_track, SYSEX, message.rstrip(b"\xf7"))

    def _channel_message(self, tick: int, first: int) -> None:
        if first >= 0x80:
            self._status = first
        else:  # running status: the message starts like the last one
            self.position -= 1
        status = self._status
        if not 0x80 <= status < 0xF0:
            raise _DamageError(f"the status byte 0x{first:02x} is undefined")
        # Program changes and channel pressure have one data byte, all others two.
        one = self._data_byte()
        two = 0 if PROGRAM <= status < PITCH_BEND else self._data_byte()
        self._events.add(tick, self._number_of_track, status, one, two)

    def _data_byte(self) -> int:
        """A byte of a message; real-time messages may come between any two."""
        byte = self._byte()
        while byte in _REAL_TIME:
            byte = self._byte()
        return min(byte, 127)  # some programs write velocities above; they mean the loudest

    def _byte(self) -> int:
        if self.position >= self._limit:
            raise _DamageError("a message runs past the end of its track")
        self.position += 1
        return self._data[self.position - 1]

    def _take(self, length: int) -> bytes:
        start, stop = self.position, self.position + length
        if stop > self._limit:
            raise _DamageError("a message runs past the end of its track")
        self.position = stop
        return self._data[start:stop]

    def _number(self) -> int:
        """A number of variable length, seven bits a byte.

        The standard allows four bytes; some programs write five.
        """
        number = 0
        for _ in range(_MAX_NUMBER_BYTES):
            byte = self._byte()
            number = number << 7 | byte & 0x7F
            if byte < 0x80:
                return number
        raise _DamageError(f"a number has more than {_MAX_NUMBER_BYTES} bytes")

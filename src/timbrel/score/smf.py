"""The bytes of Standard MIDI Files → mido's messages.

mido's own reader refuses files for what no sound depends on (a key signature of 20 sharps, a chunk
that it does not know), and takes minutes for a damaged number of some hundred thousand digits.
"""

from __future__ import annotations

import struct

import mido

META, SYSEX, ESCAPE = 0xFF, 0xF0, 0xF7
TRACK_NAME, END_OF_TRACK, SET_TEMPO = 0x03, 0x2F, 0x51


def parse_smf(data: bytes) -> mido.MidiFile:
    """Read a Standard MIDI File; its first four bytes have been checked.

    Only what the sound or a track's name depends on is kept: notes, controllers and all else that
    channels receive, tempi, names, and the end of each track. Chunks that are not tracks are
    passed over, as the standard wants.

    Raises
    ------
    EOFError
        If the data end before the last track does.
    ValueError
        If the data are damaged in another way.
    """
    if len(data) < 14:
        raise EOFError
    header_length, kind, n_tracks, division = struct.unpack(">LHHh", data[4:14])
    if header_length < 6:
        raise ValueError("its header is too short")
    if kind > 2:
        raise ValueError(f"type {kind} is unknown")
    if division == 0:
        raise ValueError("its time division is zero")
    tracks: list[mido.MidiTrack] = []
    position = 8 + header_length
    while len(tracks) < n_tracks:
        if position + 8 > len(data):
            raise EOFError
        chunk, length = struct.unpack(">4sL", data[position : position + 8])
        position += 8
        if position + length > len(data):
            raise EOFError
        if chunk == b"MTrk":
            tracks.append(_Track(data[position : position + length]).messages())
        position += length
    return mido.MidiFile(type=kind, ticks_per_beat=division, tracks=tracks)


class _Track:
    """Reads the events of one track."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def messages(self) -> mido.MidiTrack:
        track = mido.MidiTrack()
        time = 0  # ticks since the last message that was kept
        status = 0
        # Many files lack the end of a track; its chunk's end is as good.
        while self._position < len(self._data):
            time += self._number()
            first = self._take(1)[0]
            if first == META:
                kind, data = self._take(1)[0], self._take(self._number())
                if kind == END_OF_TRACK:
                    break
                if kind == SET_TEMPO and len(data) >= 3:
                    tempo = int.from_bytes(data[:3], "big")
                    track.append(mido.MetaMessage("set_tempo", tempo=tempo, time=time))
                elif kind == TRACK_NAME:
                    track.append(mido.MetaMessage("track_name", name=_text(data), time=time))
                else:
                    continue
            elif first in (SYSEX, ESCAPE):
                self._take(self._number())
                continue
            else:
                if first >= 0x80:
                    status = first
                else:  # running status: the message starts like the last one
                    self._position -= 1
                if not 0x80 <= status < 0xF0:
                    raise ValueError(f"the status byte 0x{status:02x} is undefined")
                # Program changes and channel pressure have one data byte, all others two. Some
                # programs write velocities above 127; they mean the loudest.
                data = self._take(1 if 0xC0 <= status < 0xE0 else 2)
                track.append(
                    mido.Message.from_bytes([status, *(min(byte, 127) for byte in data)], time=time)
                )
            time = 0
        track.append(mido.MetaMessage("end_of_track", time=time))
        return track

    def _take(self, length: int) -> bytes:
        start, self._position = self._position, self._position + length
        if self._position > len(self._data):
            raise ValueError("a message runs past the end of its track")
        return self._data[start : self._position]

    def _number(self) -> int:
        """A number of variable length: seven bits a byte, and no more than four bytes."""
        number = 0
        for _ in range(4):
            byte = self._take(1)[0]
            number = number << 7 | byte & 0x7F
            if byte < 0x80:
                return number
        raise ValueError("a number has more than four bytes")


def _text(data: bytes) -> str:
    """Text of a time before Unicode, or after."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")

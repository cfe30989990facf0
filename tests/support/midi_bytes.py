"""Standard MIDI Files byte by byte, so that tests can write what no program should."""

from __future__ import annotations

import struct

TICKS_PER_BEAT = 500  # at the default 120 beats a minute, a tick is a millisecond
END = b"\x00\xff\x2f\x00"  # the end of a track


def number(value: int, *, length: int = 1) -> bytes:
    """A number of variable length, of `length` bytes at least."""
    out = [value & 0x7F]
    value >>= 7
    while value or len(out) < length:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(reversed(out))


def header(n_tracks: int = 1, *, kind: int | None = None, division: int = TICKS_PER_BEAT) -> bytes:
    kind = min(n_tracks, 2) - 1 if kind is None else kind
    return b"MThd" + struct.pack(">LHHh", 6, kind, n_tracks, division)


def chunk(data: bytes, name: bytes = b"MTrk", *, length: int | None = None) -> bytes:
    """A chunk, which may say another length than it has."""
    return name + struct.pack(">L", len(data) if length is None else length) + data


def smf(*tracks: bytes, kind: int | None = None, division: int = TICKS_PER_BEAT) -> bytes:
    """A file of tracks, whose ends are added."""
    chunks = b"".join(chunk(track + END) for track in tracks)
    return header(len(tracks), kind=kind, division=division) + chunks


def event(ticks: int, *data: int) -> bytes:
    return number(ticks) + bytes(data)


def on(pitch: int, ticks: int = 0, *, channel: int = 0, velocity: int = 64) -> bytes:
    return event(ticks, 0x90 | channel, pitch, velocity)


def off(pitch: int, ticks: int = 0, *, channel: int = 0) -> bytes:
    return event(ticks, 0x80 | channel, pitch, 0)


def note(pitch: int, ticks: int = 500, *, channel: int = 0, rest: int = 0) -> bytes:
    """A note after a rest."""
    return on(pitch, rest, channel=channel) + off(pitch, ticks, channel=channel)


def tune(*pitches: int, channel: int = 0) -> bytes:
    """Notes of half a second; four of them where none are given."""
    return b"".join(note(pitch, channel=channel) for pitch in pitches or (60, 62, 64, 65))


def control(kind: int, value: int, ticks: int = 0, *, channel: int = 0) -> bytes:
    return event(ticks, 0xB0 | channel, kind, value)


def program(which: int, ticks: int = 0, *, channel: int = 0) -> bytes:
    return event(ticks, 0xC0 | channel, which)


def bend(value: int, ticks: int = 0, *, channel: int = 0) -> bytes:
    """A pitch bend, −8192 to 8191."""
    return event(ticks, 0xE0 | channel, value + 8192 & 0x7F, value + 8192 >> 7)


def parameter(which: int, high: int, low: int | None = None, *, channel: int = 0) -> bytes:
    """A registered parameter and its value, of which the low part may be left out."""
    out = control(101, which >> 7, channel=channel) + control(100, which & 0x7F, channel=channel)
    out += control(6, high, channel=channel)
    return out if low is None else out + control(38, low, channel=channel)


def meta(kind: int, data: bytes, ticks: int = 0) -> bytes:
    return event(ticks, 0xFF, kind) + number(len(data)) + data


def name(text: str | bytes) -> bytes:
    return meta(0x03, text if isinstance(text, bytes) else text.encode())


def port(which: int) -> bytes:
    return meta(0x21, bytes([which]))


def device(text: str) -> bytes:
    return meta(0x09, text.encode())


def exclusive(*data: int, ticks: int = 0) -> bytes:
    """A system-exclusive message, between its 0xF0 and 0xF7."""
    return event(ticks, 0xF0) + number(len(data) + 1) + bytes([*data, 0xF7])


def roland(*address_and_data: int, ticks: int = 0) -> bytes:
    """A GS message with its checksum."""
    checksum = -sum(address_and_data) & 0x7F
    return exclusive(0x41, 0x10, 0x42, 0x12, *address_and_data, checksum, ticks=ticks)


def yamaha(*address_and_data: int, ticks: int = 0) -> bytes:
    """An XG message."""
    return exclusive(0x43, 0x10, 0x4C, *address_and_data, ticks=ticks)


GM_ON = exclusive(0x7E, 0x7F, 0x09, 0x01)
GM2_ON = exclusive(0x7E, 0x7F, 0x09, 0x03)
GS_RESET = roland(0x40, 0x00, 0x7F, 0x00)
XG_ON = yamaha(0x00, 0x00, 0x7E, 0x00)


def master_volume(value: int, ticks: int = 0) -> bytes:
    """Of 14 bits, by the message of the standard."""
    return exclusive(0x7F, 0x7F, 0x04, 0x01, value & 0x7F, value >> 7, ticks=ticks)


def riff(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<L", len(data)) + data + bytes(len(data) % 2)


def macbinary(data: bytes, *, length: int | None = None, rest: bytes = b"") -> bytes:
    """A file as old Macintosh programs send it: a header, the file, padding, the resources."""
    head = bytearray(128)
    head[1:6] = b"\x04song"
    struct.pack_into(">L", head, 83, len(data) if length is None else length)
    return bytes(head) + data + bytes(-len(data) % 128) + rest

"""System exclusive messages that change what is played: General MIDI, Roland GS, Yamaha XG.

The sources are the Universal System Exclusive Messages of the MIDI standard, and the MIDI
implementation documents published by Roland for the Sound Canvas and by Yamaha for its XG tone
generators.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

_NON_REAL_TIME, _REAL_TIME, _ROLAND, _YAMAHA = 0x7E, 0x7F, 0x41, 0x43
_GS_PARAMETERS = b"\x42\x12"
_XG_PARAMETERS = tuple(bytes([0x10 | device, 0x4C]) for device in range(16))
_CENTRE = 0x40  # of a value that goes up and down from the middle

# Offsets of the settings of a device and of a part from the beginning of their blocks.
_TUNE, _VOLUME = 0x00, 0x04
_ROLAND_SHIFT, _YAMAHA_SHIFT = 0x05, 0x06
_ROLAND_DRUMS, _YAMAHA_DRUMS = 0x15, 0x07  # the next one is the part's key shift


class Kind(Enum):
    """What a setting sets."""

    RESET = "reset"  # everything, to its default; 1 for a GS device, else 0
    MASTER_VOLUME = "master volume"  # 0 to 1
    MASTER_FINE = "master fine tuning"  # semitones
    MASTER_COARSE = "master coarse tuning"  # semitones
    MASTER_SHIFT = "master key shift"  # semitones
    SCALE = "scale tuning"  # of single keys
    PART_DRUMS = "drums"  # 1 for a channel of drums, 0 for one that is not
    PART_SHIFT = "key shift"  # semitones


class Setting(NamedTuple):
    """One thing that a message sets."""

    kind: Kind
    value: float
    part: int = 0  # of a part: 0–15 are the channels of the message's port, 16–31 of the next one
    scale: tuple[float, ...] = ()  # of a scale tuning: semitones for each key of an octave, from C


def settings_of(data: bytes) -> list[Setting]:
    """What a message sets; nothing where it is not understood.

    Parameters
    ----------
    data
        The message without its first byte, 0xF0, and its last, 0xF7.
    """
    if data[0] in (_NON_REAL_TIME, _REAL_TIME):
        return _universal(data[0] == _REAL_TIME, data[2:])
    if data[0] == _ROLAND and data[2:4] == _GS_PARAMETERS and len(data) > 8:
        return _roland(data[4:7], data[7:-1])  # the last byte is a checksum
    if data[0] == _YAMAHA and data[1:3] in _XG_PARAMETERS and len(data) > 6:
        return _yamaha(data[3:6], data[6:])
    return []


def resets(data: bytes) -> bool:
    """Whether a message sets everything to its default, which silences what sounds."""
    return any(setting.kind is Kind.RESET for setting in settings_of(data))


def _universal(real_time: bool, data: bytes) -> list[Setting]:
    if not real_time and data in (b"\x09\x01", b"\x09\x03"):
        return [Setting(Kind.RESET, 0)]
    if data[:2] in (b"\x08\x08", b"\x08\x09"):
        return _scale_tuning(data[2:], n_bytes=data[1] - 7)
    if not real_time or data[:1] != b"\x04" or len(data) < 4:
        return []
    value = (data[2] & 0x7F) | (data[3] & 0x7F) << 7
    if data[1] == 1:
        # Full is 0x3FFF, but many write 0x3F80 for it, with a low byte of 0.
        return [Setting(Kind.MASTER_VOLUME, min(value / 0x3F80, 1.0))]
    if data[1] == 3:
        return [Setting(Kind.MASTER_FINE, (value - 0x2000) / 0x2000)]
    if data[1] == 4:
        return [Setting(Kind.MASTER_COARSE, (data[3] & 0x7F) - _CENTRE)]
    return []


def _scale_tuning(data: bytes, *, n_bytes: int) -> list[Setting]:
    """The scale of each channel that a message of the MIDI Tuning Standard names.

    What is too short to be one counts as a tuning, and changes nothing.
    """
    cents = data[3 : 3 + 12 * n_bytes]
    if len(cents) < 12 * n_bytes:
        return [Setting(Kind.SCALE, 0)]
    if n_bytes == 1:
        scale = tuple((value - _CENTRE) / 100 for value in cents)
    else:
        pairs = zip(cents[::2], cents[1::2], strict=True)
        scale = tuple(((high << 7 | low) - 0x2000) / 0x2000 for high, low in pairs)
    # Seven channels to a byte, the last ones first.
    channels = (data[0] & 0x03) << 14 | (data[1] & 0x7F) << 7 | data[2] & 0x7F
    named = [part for part in range(16) if channels >> part & 1]
    return [Setting(Kind.SCALE, 0, part, scale) for part in named] or [Setting(Kind.SCALE, 0)]


def _roland(address: bytes, values: bytes) -> list[Setting]:
    high, middle, low = address
    if high in (0x00, 0x40) and (middle, low) == (0x00, 0x7F):
        return [Setting(Kind.RESET, 1)]
    if (high, middle) == (0x40, 0x00):
        return _master(low, values, _ROLAND_SHIFT)
    if high in (0x40, 0x50) and middle >> 4 == 1:
        # Blocks 1 to 9 are the parts of these numbers, block 0 is part 10, and A to F go on.
        block = middle & 0x0F
        part = 9 if block == 0 else block - (block <= 9)
        return _part(part + 16 * (high == 0x50), low, values, _ROLAND_DRUMS)
    return []


def _yamaha(address: bytes, values: bytes) -> list[Setting]:
    high, middle, low = address
    if (high, middle) == (0x00, 0x00):
        if low in (0x7E, 0x7F):
            return [Setting(Kind.RESET, 0)]
        return _master(low, values, _YAMAHA_SHIFT)
    if high == 0x08 and middle < 32:
        return _part(middle, low, values, _YAMAHA_DRUMS)
    return []


def _master(low: int, values: bytes, shift: int) -> list[Setting]:
    """Settings of the whole device, from an address on."""
    found = []
    if low == _TUNE and len(values) >= 4:  # four digits of four bits, in tenths of a cent
        tune = 0
        for value in values[:4]:
            tune = tune << 4 | value & 0x0F
        found.append(Setting(Kind.MASTER_FINE, (min(tune, 0x7FF) - 0x400) / 1000))
    for where, value in enumerate(values, low):
        if where == _VOLUME:
            found.append(Setting(Kind.MASTER_VOLUME, (value & 0x7F) / 127))
        elif where == shift:
            found.append(Setting(Kind.MASTER_SHIFT, (value & 0x7F) - _CENTRE))
    return found


def _part(part: int, low: int, values: bytes, drums: int) -> list[Setting]:
    """Settings of one part, from an address on."""
    found = []
    for where, value in enumerate(values, low):
        if where == drums:
            found.append(Setting(Kind.PART_DRUMS, int(value > 0), part))
        elif where == drums + 1:
            found.append(Setting(Kind.PART_SHIFT, (value & 0x7F) - _CENTRE, part))
    return found

"""SoundFonts of a few hundred bytes: tables of presets without any sound."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

KEY_RANGE, INSTRUMENT, SAMPLE = 43, 41, 53


class SmallPreset(NamedTuple):
    """A preset of one instrument with a zone for each span of keys."""

    name: str
    program: int
    bank: int
    spans: Sequence[tuple[int, int]]
    within: tuple[int, int] | None = None  # what the preset itself lets through
    default: tuple[int, int] | None = None  # a zone that leads nowhere, before the others


def write_soundfont(path: Path, presets: Sequence[SmallPreset], *, odd: bool = False) -> Path:
    """Write the tables; with `odd`, after a chunk of odd size that no zero follows."""
    headers, preset_zones, preset_generators = b"", b"", b""
    instruments, zones, generators = b"", b"", b""
    for index, preset in enumerate(presets):
        headers += _header(preset.name, preset.program, preset.bank, len(preset_zones) // 4)
        preset_zones += _zone(preset_generators)
        if preset.within:
            preset_generators += _range(*preset.within)
        preset_generators += struct.pack("<HH", INSTRUMENT, index)
        instruments += struct.pack("<20sH", preset.name.encode(), len(zones) // 4)
        if preset.default:
            zones += _zone(generators)
            generators += _range(*preset.default)
        for span in preset.spans:
            zones += _zone(generators)
            if span != (0, 127):
                generators += _range(*span)
            generators += struct.pack("<HH", SAMPLE, 0)
    headers += _header("EOP", 0, 0, len(preset_zones) // 4)
    instruments += struct.pack("<20sH", b"EOI", len(zones) // 4)
    preset_zones += _zone(preset_generators)
    zones += _zone(generators)
    tables = b"pdta" + b"".join(
        _chunk(name, data)
        for name, data in (
            *((b"phdr", headers), (b"pbag", preset_zones), (b"pgen", preset_generators)),
            *((b"inst", instruments), (b"ibag", zones), (b"igen", generators)),
        )
    )
    samples = b"sdta" + b"x" * (3 if odd else 4)
    content = b"sfbk" + struct.pack("<4sI", b"LIST", len(samples)) + samples
    content += _chunk(b"LIST", tables)
    path.write_bytes(_chunk(b"RIFF", content))
    return path


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("<4sI", name, len(data)) + data


def _header(name: str, program: int, bank: int, first: int) -> bytes:
    return struct.pack("<20s3H12x", name.encode(), program, bank, first)


def _zone(generators: bytes) -> bytes:
    return struct.pack("<2H", len(generators) // 4, 0)


def _range(low: int, high: int) -> bytes:
    return struct.pack("<H2B", KEY_RANGE, low, high)

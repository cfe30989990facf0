"""The presets of a SoundFont, and the keys that each of them covers.

Only the tables of a SoundFont are read (its 'pdta' chunk), which .sf2 and .sf3 files have in
common; reading the samples is left to FluidSynth. The format is that of the SoundFont Technical
Specification 2.04, section 7.
"""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from timbrel.corpus.soundfont import KIT_BANK, check_soundfont
from timbrel.errors import InputError
from timbrel.score.instruments import INSTRUMENT_SETS, PROGRAM_NAMES

# Records of the tables: preset and instrument headers, and links from one table to the next.
_PRESET = struct.Struct("<20s3H12x")  # name, program, bank, first zone
_INSTRUMENT = struct.Struct("<20sH")  # name, first zone
_ZONE = struct.Struct("<2H")  # first generator, first modulator
_GENERATOR = struct.Struct("<H2s")  # operator, amount
_INSTRUMENT_INDEX, _KEY_RANGE, _SAMPLE_INDEX = 41, 43, 53  # operators
_ALL_KEYS = range(128)


class Preset(NamedTuple):
    """An instrument or a drum kit of a SoundFont."""

    name: str
    program: int  # 0–127
    bank: int  # 0–128; 128 holds the kits
    keys: tuple[int, ...] = ()  # that it has samples for, rising

    @property
    def is_kit(self) -> bool:
        return self.bank == KIT_BANK


def read_presets(soundfont: str | os.PathLike) -> list[Preset]:
    """All presets of a SoundFont, by bank and program.

    Raises
    ------
    MissingToolError
        If there is no such file.
    InputError
        If it is not a SoundFont, or damaged.
    """
    path = check_soundfont(soundfont)
    try:
        tables = _tables(path)
        instruments = list(_instrument_keys(tables))
        return sorted(_presets(tables, instruments), key=lambda p: (p.bank, p.program))
    except (struct.error, IndexError, KeyError):
        raise InputError(f"{path}: is a damaged SoundFont; install or copy it again") from None


def general_midi(presets: list[Preset]) -> list[Preset]:
    """The programs of bank 0 by the names of General MIDI, then the kits by the SoundFont's."""
    programs = [p._replace(name=PROGRAM_NAMES[p.program]) for p in presets if p.bank == 0]
    return programs + [p._replace(name=_kit_name(p.name)) for p in presets if p.is_kit]


def variations(presets: list[Preset]) -> list[Preset]:
    """The presets of all other banks, by names of their own."""
    return [
        p._replace(name=f"{plain_name(p.name)} ({p.bank}-{p.program})")
        for p in presets
        if 0 < p.bank < KIT_BANK
    ]


def find_instruments(name: str, soundfont: str | os.PathLike) -> list[Preset]:
    """The instruments of a set: "ten", "gm" or "variations".

    Raises
    ------
    InputError
        If there is no set of this name, or the SoundFont lacks some of its instruments.
    """
    from_font = {"gm": general_midi, "variations": variations}
    if name not in INSTRUMENT_SETS and name not in from_font:
        known = ", ".join((*INSTRUMENT_SETS, *from_font))
        raise InputError(f"there is no set of instruments '{name}'; known: {known}")
    if name in from_font:
        found = from_font[name](read_presets(soundfont))
        if not found:
            raise InputError(f"{soundfont}: has no presets for the set '{name}'")
        return found
    return named_programs(INSTRUMENT_SETS[name], soundfont)


def named_programs(programs: Mapping[str, int], soundfont: str | os.PathLike) -> list[Preset]:
    """Presets of bank 0 by names of one's own.

    Raises
    ------
    InputError
        If the SoundFont lacks one.
    """
    by_program = {p.program: p for p in read_presets(soundfont) if p.bank == 0}
    missing = [program for program in programs.values() if program not in by_program]
    if missing:
        raise InputError(f"{soundfont}: has no program {missing[0]}; give another SoundFont")
    return [by_program[program]._replace(name=name) for name, program in programs.items()]


def _kit_name(name: str) -> str:
    name = plain_name(name)
    return name if "kit" in name.lower() else f"{name} Kit"


def plain_name(name: str) -> str:
    """A name without what divides names in a timbre, or folders in a path."""
    return " ".join("".join(" " if c in ",:;@/\\" else c for c in name).split())


def _tables(path: Path) -> dict[str, bytes]:
    """The chunks of the list 'pdta' by name."""
    with path.open("rb") as file:
        file.seek(12)
        while header := file.read(8):
            name, size = struct.unpack("<4sI", header)
            content = file.tell()
            if name == b"LIST" and file.read(4) == b"pdta":
                return dict(_chunks(file.read(size - 4)))
            file.seek(content + size)
            # Chunks of odd size are followed by a zero; some writers of .sf3 files forget it.
            if size % 2 and file.read(1) != b"\0":
                file.seek(content + size)
    raise KeyError("pdta")


def _chunks(data: bytes) -> Iterator[tuple[str, bytes]]:
    position = 0
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        yield name.decode("latin-1"), data[position + 8 : position + 8 + size]
        position += 8 + size + size % 2


def _presets(tables: dict[str, bytes], instruments: list[set[int]]) -> Iterator[Preset]:
    headers = list(_PRESET.iter_unpack(tables["phdr"]))
    for header, following in itertools.pairwise(headers):  # the last one marks the end
        name, program, bank, first = header
        zones = _zones(tables, "pbag", "pgen", range(first, following[3]), _INSTRUMENT_INDEX)
        keys: set[int] = set()
        for within, index in zones:
            keys |= instruments[index].intersection(within)
        text = name.split(b"\0")[0].decode("latin-1").strip()
        yield Preset(text, program, bank, tuple(sorted(keys)))


def _instrument_keys(tables: dict[str, bytes]) -> Iterator[set[int]]:
    headers = list(_INSTRUMENT.iter_unpack(tables["inst"]))
    for (_, first), (_, following) in itertools.pairwise(headers):
        zones = _zones(tables, "ibag", "igen", range(first, following), _SAMPLE_INDEX)
        yield {key for within, _ in zones for key in within}


def _zones(
    tables: dict[str, bytes], bags: str, generators: str, indices: range, leads_to: int
) -> Iterator[tuple[range, int]]:
    """Keys of each zone, and what it leads to: an instrument, or a sample.

    A first zone that leads nowhere says what holds for the others where they say nothing.
    """
    default = _ALL_KEYS
    for index in indices:
        start, stop = (_ZONE.unpack_from(tables[bags], 4 * i)[0] for i in (index, index + 1))
        found = dict(_GENERATOR.iter_unpack(tables[generators][4 * start : 4 * stop]))
        keys = default
        if _KEY_RANGE in found:
            low, high = found[_KEY_RANGE]
            keys = range(low, min(high, 127) + 1)
        if leads_to in found:
            yield keys, int.from_bytes(found[leads_to], "little")
        elif index == indices[0]:
            default = keys

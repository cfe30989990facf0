"""A list of instruments that a user writes in YAML: names, programs and banks of a SoundFont."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from timbrel.corpus.presets import Preset, plain_name, read_presets
from timbrel.corpus.soundfont import KIT_BANK
from timbrel.errors import InputError
from timbrel.files import read_yaml

YAML_SUFFIXES = (".yaml", ".yml")
_LARGEST = {"program": 127, "bank": KIT_BANK}
_KEYS = ("name", *_LARGEST)


def read_instrument_list(path: str | os.PathLike, soundfont: str | os.PathLike) -> list[Preset]:
    """The instruments of a list, as presets of a SoundFont.

    Parameters
    ----------
    path
        A YAML file: a list of mappings with `name`, `program` (0–127) and, where it is not 0,
        `bank` (0–128; 128 holds the drum kits).
    soundfont
        An .sf2 or .sf3 file.

    Raises
    ------
    InputError
        If the file is not such a list, names an instrument twice, or names what the SoundFont
        lacks.
    """
    content = read_yaml(path)
    if not isinstance(content, list) or not content:
        raise InputError(f"{path}: is not a list of instruments, each with a name and a program")
    listed = [_preset(row, f"{path}: instrument {i}") for i, row in enumerate(content, 1)]
    _check_names(listed, path)
    keys = {(preset.bank, preset.program): preset.keys for preset in read_presets(soundfont)}
    for preset in listed:
        if (preset.bank, preset.program) not in keys:
            raise InputError(
                f"{path}: '{preset.name}' is program {preset.program} of bank {preset.bank}, which "
                f"{soundfont} lacks"
            )
    return [preset._replace(keys=keys[preset.bank, preset.program]) for preset in listed]


def check_instrument_name(name: object, where: str) -> str:
    """A name that can be typed as a timbre and be a folder; `where` begins the error."""
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: needs a name in words, not {name!r}")
    if plain_name(name) != name or name.startswith(".") or not name.isprintable():
        raise InputError(
            f"{where}: the name {name!r} must not begin with a dot, and not hold , : ; @ / \\ or "
            "more than one space in a row"
        )
    return name


def _preset(row: Any, where: str) -> Preset:
    if not isinstance(row, dict):
        raise InputError(f"{where} is not a mapping with a name and a program")
    unknown = [key for key in row if key not in _KEYS]
    if unknown:
        raise InputError(f"{where} has an unknown key '{unknown[0]}'; known: {', '.join(_KEYS)}")
    name = check_instrument_name(row.get("name"), where)
    if "program" not in row:
        raise InputError(f"{where} ('{name}') has no program")
    numbers = {"bank": 0, **row}
    for key, largest in _LARGEST.items():
        value = numbers[key]
        if type(value) is not int or not 0 <= value <= largest:
            raise InputError(
                f"{where} ('{name}') has the {key} {value!r}; it must be a number from 0 to "
                f"{largest}"
            )
    return Preset(name, numbers["program"], numbers["bank"])


def _check_names(presets: Iterable[Preset], path: str | os.PathLike) -> None:
    """Refuse names that are alike: they are found without regard to case, and are folders."""
    seen: set[str] = set()
    for preset in presets:
        if preset.name.casefold() in seen:
            raise InputError(f"{path}: names two instruments '{preset.name}'; rename one")
        seen.add(preset.name.casefold())

"""Measuring the instruments of a SoundFont: which keys are silent, and how long a note lasts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from timbrel.constants import HIGHEST_PITCH, LOWEST_PITCH
from timbrel.corpus.etudes import natural_range
from timbrel.corpus.presets import Preset
from timbrel.corpus.sheet import Sheet
from timbrel.corpus.soundfont import as_preset, render_parts
from timbrel.errors import InputError
from timbrel.files import read_json, write_text
from timbrel.score.channels import DRUM_CHANNEL

SOUNDS_FILE = "instruments.json"
SUSTAINED, DECAYING, ONE_SHOT, SILENT = "sustained", "decaying", "one-shot", "silent"

_PROBE_RATE = 24_000  # Hz; FluidSynth filters nothing above, and levels need no more
_VELOCITY = 100
_PROBES = 3  # keys of an instrument
# A key is held, and then struck briefly; both notes are given time to ring out.
_HELD_S, _RING_S, _STRUCK_S = 3.5, 1.5, 0.1
_PROBE_S = 2 * (_HELD_S + _RING_S)
_LOOK_S = 0.05  # how long a level is taken over
_DECAYED_DB = -20.0  # a held note that has lost so much when it is released is one that decays
_SAME_DB = 3.0  # a note that is released early and is as loud as a held one ignores its release
_COMPARED_AT_S = (0.4, 0.7)
_AUDIBLE_DB = -40.0  # below the note's loudest moment nothing is compared


@dataclass(frozen=True)
class Sound:
    """What to expect of an instrument."""

    name: str
    program: int
    bank: int
    kind: str  # SUSTAINED, DECAYING, ONE_SHOT (its release is ignored), or SILENT
    held_db: float  # level of a held note after 3.4 s, against its loudest moment
    silent_keys: tuple[int, ...]  # of a piano's 88; of a kit, of all 128


def measure_sounds(presets: Sequence[Preset], soundfont: str | os.PathLike) -> list[Sound]:
    """Play some keys of each instrument, and look at how they decay and end.

    Raises
    ------
    MissingToolError
        If FluidSynth is not installed.
    """
    parts = []
    for preset in presets:
        midi = as_preset(_probe(preset).midi(preset.name, preset.program), *preset[1:3], tail_s=0)
        parts.append((midi, round(_PROBES * _PROBE_S * _PROBE_RATE)))
    audio = render_parts(parts, soundfont, sample_rate=_PROBE_RATE)
    return [_sound(preset, one) for preset, one in zip(presets, audio, strict=True)]


def write_sounds(folder: Path, sounds: Iterable[Sound]) -> None:
    """Write the table of a data folder."""
    lines = (json.dumps(asdict(sound)) for sound in sounds)
    write_text(folder / SOUNDS_FILE, "[\n  " + ",\n  ".join(lines) + "\n]\n")


def read_sounds(folder: Path) -> list[Sound]:
    """The table of a data folder; empty where it was made without one.

    Raises
    ------
    InputError
        If it is damaged.
    """
    path = folder / SOUNDS_FILE
    if not path.exists():
        return []
    try:
        rows = read_json(path)
        return [Sound(**{**row, "silent_keys": tuple(row["silent_keys"])}) for row in rows]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: is damaged ({error})") from None


def _probe(preset: Preset) -> Sheet:
    sheet = Sheet(DRUM_CHANNEL if preset.is_kit else 0)
    for i, key in enumerate(_probe_keys(preset)):
        sheet.note(i * _PROBE_S, _HELD_S, key, _VELOCITY)
        sheet.note(i * _PROBE_S + _HELD_S + _RING_S, _STRUCK_S, key, _VELOCITY)
    return sheet


def _probe_keys(preset: Preset) -> list[int]:
    """Keys spread over those that the instrument has, within its natural range if it can be."""
    low, high = natural_range(preset.program)
    keys = preset.keys
    if not preset.is_kit:
        keys = tuple(key for key in keys if low <= key <= high) or keys
    places = np.linspace(0, len(keys) - 1, _PROBES + 2)[1:-1]
    return [keys[round(place)] for place in places] if keys else []


def _sound(preset: Preset, audio: np.ndarray) -> Sound:
    notes = audio.reshape(_PROBES, -1)
    held = [_levels_db(note) for note in notes[:, : round(_HELD_S * _PROBE_RATE)]]
    struck = [_levels_db(note) for note in notes[:, round((_HELD_S + _RING_S) * _PROBE_RATE) :]]
    held_db = float(np.median([levels[-2] - levels.max() for levels in held]))
    first, last = (round(time_s / _LOOK_S) for time_s in _COMPARED_AT_S)
    # How much softer a released note is than a held one, where the held one can still be heard;
    # a sound that has ended by then asks nothing of a release.
    softer = [
        np.mean(a[first:last] - b[first:last])
        for a, b in zip(held, struck, strict=True)
        if a[first:last].min() > a.max() + _AUDIBLE_DB
    ]
    if not audio.any():
        kind, held_db = SILENT, 0.0
    elif not softer or np.median(softer) < _SAME_DB:
        kind = ONE_SHOT
    else:
        kind = SUSTAINED if held_db > _DECAYED_DB else DECAYING
    keyboard = range(128) if preset.is_kit else range(LOWEST_PITCH, HIGHEST_PITCH + 1)
    silent = tuple(key for key in keyboard if key not in set(preset.keys))
    return Sound(preset.name, preset.program, preset.bank, kind, round(held_db, 1), silent)


def _levels_db(audio: np.ndarray) -> np.ndarray:
    """Level of each `_LOOK_S`, in dB of full scale, floored at −120."""
    size = round(_LOOK_S * _PROBE_RATE)
    blocks = audio[: len(audio) // size * size].reshape(-1, size)
    return 10 * np.log10(np.maximum((blocks.astype(np.float64) ** 2).mean(axis=1), 1e-12))

"""How the instruments of MuseScore's SoundFont sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from timbrel.corpus import sounds
from timbrel.corpus.presets import Preset, find_instruments
from timbrel.corpus.sounds import (
    SOUNDS_FILE,
    Sound,
    measure_sounds,
    read_sounds,
    write_sounds,
)
from timbrel.errors import InputError


def test_instruments_sound_as_everybody_knows(soundfont: Path) -> None:
    gm = {preset.name: preset for preset in find_instruments("gm", soundfont)}
    expected = {
        "Acoustic Grand Piano": "decaying",
        "Church Organ": "sustained",
        "Trumpet": "sustained",
        "Acoustic Guitar (nylon)": "decaying",
        "Woodblock": "one-shot",
        "Standard Kit": "one-shot",
    }
    found = measure_sounds([gm[name] for name in expected], soundfont)
    assert {sound.name: sound.kind for sound in found} == expected
    by_name = {sound.name: sound for sound in found}
    assert by_name["Church Organ"].silent_keys == tuple(range(97, 109))
    assert by_name["Acoustic Grand Piano"].silent_keys == ()
    assert by_name["Standard Kit"].silent_keys == (*range(27), *range(88, 128))
    assert by_name["Standard Kit"].bank == 128
    assert by_name["Trumpet"].held_db > -6 > by_name["Acoustic Grand Piano"].held_db


def test_instrument_that_makes_no_sound_is_named(
    soundfont: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sounds,
        "render_parts",
        lambda parts, *_, **__: [np.zeros(length, np.float32) for _, length in parts],
    )
    (found,) = measure_sounds([Preset("Nothing", 5, 0, (60,))], soundfont)
    assert (found.kind, found.held_db) == ("silent", 0.0)
    assert len(found.silent_keys) == 87


def test_table_is_written_and_read(tmp_path: Path) -> None:
    table = [
        Sound("Harp", 46, 0, "decaying", -31.5, (21, 108)),
        Sound("Jazz Kit", 32, 128, "one-shot", -60.0, ()),
    ]
    assert read_sounds(tmp_path) == []  # data that were made without one
    write_sounds(tmp_path, table)
    assert read_sounds(tmp_path) == table
    assert read_sounds(tmp_path) != [replace(table[0], kind="sustained"), table[1]]
    (tmp_path / SOUNDS_FILE).write_text('[{"name": "Harp"}]')
    with pytest.raises(InputError, match=r"instruments\.json: is damaged"):
        read_sounds(tmp_path)

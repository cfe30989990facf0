"""The presets of SoundFonts, and the sets of instruments made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.small_soundfont import SmallPreset, write_soundfont
from timbrel.corpus.presets import (
    find_instruments,
    general_midi,
    named_programs,
    read_presets,
    variations,
)
from timbrel.corpus.soundfont import render_score
from timbrel.errors import InputError, MissingToolError
from timbrel.score.instruments import PROGRAM_NAMES, TEN_INSTRUMENTS
from timbrel.score.score import Note, Score, Track

CHURCH_ORGAN = 19
SMALL = (
    SmallPreset("Loud Flute", 73, 0, [(60, 62), (70, 70)]),
    SmallPreset("Flute: soft/far", 73, 8, [(0, 127)], within=(65, 66)),
    SmallPreset("Brush", 40, 128, [(35, 36), (0, 127)], default=(41, 41)),
    SmallPreset("Orchestra Kit", 48, 128, [(27, 27)]),
)


@pytest.mark.parametrize("odd", [False, True])
def test_tables_are_read(odd: bool, tmp_path: Path) -> None:
    font = write_soundfont(tmp_path / "small.sf2", SMALL, odd=odd)
    flute, soft, brush, orchestra = read_presets(font)
    assert flute == ("Loud Flute", 73, 0, (60, 61, 62, 70))
    assert soft == (
        "Flute: soft/far",
        73,
        8,
        (65, 66),
    )  # what preset and instrument both let through
    assert brush == ("Brush", 40, 128, (35, 36, 41))  # the second zone takes the default
    assert [preset.is_kit for preset in (flute, soft, brush, orchestra)] == [False] * 2 + [True] * 2


def test_names_are_those_of_general_midi_and_of_kits(tmp_path: Path) -> None:
    presets = read_presets(write_soundfont(tmp_path / "small.sf2", SMALL))
    assert [p.name for p in general_midi(presets)] == ["Flute", "Brush Kit", "Orchestra Kit"]
    assert [p.name for p in variations(presets)] == ["Flute soft far (8-73)"]


def test_sets_are_found_by_name(tmp_path: Path) -> None:
    font = write_soundfont(tmp_path / "small.sf2", SMALL)
    assert [(p.program, p.bank) for p in find_instruments("gm", font)] == [
        *((73, 0), (40, 128), (48, 128))
    ]
    assert [p.bank for p in find_instruments("variations", font)] == [8]
    assert named_programs({"my flute": 73}, font)[0][:3] == ("my flute", 73, 0)
    with pytest.raises(InputError, match=r"no set of instruments .all.; known: ten, gm, var"):
        find_instruments("all", font)
    with pytest.raises(InputError, match=r"small\.sf2: has no program 0"):
        find_instruments("ten", font)
    plain = write_soundfont(tmp_path / "plain.sf2", SMALL[:1])
    with pytest.raises(InputError, match=r"plain\.sf2: has no presets for the set 'variations'"):
        find_instruments("variations", plain)


@pytest.mark.parametrize("size", [12, 60, 150, 300])
def test_what_is_cut_off_is_refused(size: int, tmp_path: Path) -> None:
    font = write_soundfont(tmp_path / "small.sf2", SMALL)
    assert size < font.stat().st_size
    (tmp_path / "cut.sf2").write_bytes(font.read_bytes()[:size])
    with pytest.raises(InputError, match=r"cut\.sf2: is a damaged SoundFont"):
        read_presets(tmp_path / "cut.sf2")
    with pytest.raises(MissingToolError):
        read_presets(tmp_path / "none.sf2")


def test_the_debian_font_holds_general_midi(soundfont: Path) -> None:
    gm = find_instruments("gm", soundfont)
    melodic = [preset for preset in gm if not preset.is_kit]
    assert [preset.name for preset in melodic] == list(PROGRAM_NAMES)
    assert [preset.program for preset in melodic] == list(range(128))
    kits = {preset.program: preset.name for preset in gm if preset.is_kit}
    assert len(kits) == 38
    assert kits.items() >= {0: "Standard Kit", 25: "TR-808 Kit", 48: "Orchestra Kit"}.items()
    assert len({preset.name.lower() for preset in gm}) == len(gm)  # timbres ignore case
    assert not [preset.name for preset in gm if set(preset.name) & set(",:;@/")]
    ten = find_instruments("ten", soundfont)
    assert {preset.name: preset.program for preset in ten} == TEN_INSTRUMENTS


def test_keys_are_those_that_sound(soundfont: Path) -> None:
    organ = find_instruments("gm", soundfont)[CHURCH_ORGAN]
    assert organ.keys[-1] == 96
    peaks = []
    for pitch in (96, 97):
        score = Score((Track("", 0, 0, (Note(pitch, 100, 0.0, 0.3),)),))
        audio = render_score(score, CHURCH_ORGAN, soundfont, sample_rate=24_000, tail_s=0.2)
        peaks.append(np.abs(audio).max())
    assert peaks[0] > 0.001
    assert peaks[1] == 0

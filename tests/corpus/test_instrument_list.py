"""Lists of instruments that users write."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.small_soundfont import SmallPreset, write_soundfont
from timbrel.corpus.instrument_list import read_instrument_list
from timbrel.corpus.presets import Preset
from timbrel.errors import InputError


@pytest.fixture
def font(tmp_path: Path) -> Path:
    path = tmp_path / "font.sf2"
    presets = [("Piano", 0, 0, 21, 23), ("Harp", 46, 0, 40, 41), ("Strange", 46, 8, 60, 60)]
    presets.append(("Standard", 0, 128, 36, 38))
    write_soundfont(path, [SmallPreset(*preset[:3], [preset[3:]]) for preset in presets])
    return path


def test_instruments_are_presets_of_the_soundfont(font: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "- {name: my harp, program: 46}\n"
        "- {name: other harp, program: 46, bank: 8}\n"
        "- {name: kit, program: 0, bank: 128}\n"
    )
    assert read_instrument_list(path, font) == [
        Preset("my harp", 46, 0, (40, 41)),
        Preset("other harp", 46, 8, (60,)),
        Preset("kit", 0, 128, (36, 37, 38)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {name: harp, program: 46}\n- {name: Harp, program: 0}", "names two instruments 'Harp'"),
        ("- {name: harp, program: 200}", "the program 200; it must be a number from 0 to 127"),
        ("- {name: harp, program: true}", "the program True; it must be"),
        (
            "- {name: harp, program: 4, bank: 129}",
            "the bank 129; it must be a number from 0 to 128",
        ),
        ("- {name: harp, program: 46, keys: 3}", "unknown key 'keys'; known: name, program, bank"),
        ("- {name: harp}", "instrument 1 ('harp') has no program"),
        ("- {program: 46}", "instrument 1: needs a name in words, not None"),
        ("- {name: ../harp, program: 46}", "must not begin with a dot"),
        ("- {name: 'a:b', program: 46}", "the name 'a:b' must not"),
        ("- harp", "instrument 1 is not a mapping with a name and a program"),
        ("[]", "is not a list of instruments"),
        ("", "is not a list of instruments"),
        ("harp: 46", "is not a list of instruments"),
        ("- {name: [harp", "is not YAML"),
        ("- {name: flute, program: 73}", "'flute' is program 73 of bank 0, which"),
    ],
)
def test_faulty_lists_are_refused_in_a_line(
    font: Path, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_instrument_list(path, font)
    words = str(caught.value)
    assert words.startswith(f"{path}: ")
    assert message in words
    assert "\n" not in words

"""General MIDI's programs and what stands in for those that a model does not know."""

from __future__ import annotations

from pathlib import Path

import instrument_distances
import numpy as np
import pytest

from timbrel.corpus.presets import find_instruments
from timbrel.errors import InputError
from timbrel.score.instruments import (
    DISTANCES_FILE,
    INSTRUMENT_SETS,
    PROGRAM_NAMES,
    TEN_INSTRUMENTS,
    distance,
    first_with_words,
    nearest_program,
    program_named,
)

TEN = list(TEN_INSTRUMENTS.values())


def test_there_are_128_different_names() -> None:
    assert len(PROGRAM_NAMES) == 128
    assert len({name.lower() for name in PROGRAM_NAMES}) == 128
    assert all(name == name.strip() and name for name in PROGRAM_NAMES)


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (0, "Acoustic Grand Piano"),
        (8, "Celesta"),
        (16, "Drawbar Organ"),
        (24, "Acoustic Guitar (nylon)"),
        (32, "Acoustic Bass"),
        (40, "Violin"),
        (46, "Orchestral Harp"),
        (48, "String Ensemble 1"),
        (56, "Trumpet"),
        (64, "Soprano Sax"),
        (73, "Flute"),
        (80, "Lead 1 (square)"),
        (88, "Pad 1 (new age)"),
        (96, "FX 1 (rain)"),
        (104, "Sitar"),
        (112, "Tinkle Bell"),
        (115, "Woodblock"),
        (127, "Gunshot"),
    ],
)
def test_programs_have_the_names_of_the_standard(program: int, name: str) -> None:
    assert PROGRAM_NAMES[program] == name


def test_the_ten_instruments_are_those_of_the_paper() -> None:
    assert TEN == [0, 4, 11, 19, 24, 45, 46, 48, 56, 80]
    assert INSTRUMENT_SETS["ten"] is TEN_INSTRUMENTS
    for name, words in (
        *(("grand piano", "Grand Piano"), ("church organ", "Church Organ")),
        *(("vibraphone", "Vibraphone"), ("harp", "Harp"), ("trumpet", "Trumpet")),
        *(("string ensemble", "String Ensemble"), ("pizzicato strings", "Pizzicato Strings")),
    ):
        assert words in PROGRAM_NAMES[TEN_INSTRUMENTS[name]]


@pytest.mark.parametrize("available", [TEN, TEN[::-1], [4], list(range(128)), [127, 64]])
def test_every_program_finds_one_that_is_available(available: list[int]) -> None:
    nearest = [nearest_program(program, available) for program in range(128)]
    assert set(nearest) == set(available)
    assert [nearest[program] for program in available] == available  # themselves


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        *((1, 0), (3, 0), (5, 4), (6, 0), (12, 45), (18, 19), (25, 24), (32, 46), (40, 48)),
        *((41, 48), (42, 48), (43, 48), (44, 48), (47, 45), (49, 48), (52, 48), (59, 56)),
        *((61, 56), (65, 56), (79, 80), (87, 80), (89, 48), (110, 48)),
    ],
)
def test_one_of_the_ten_that_sounds_alike_stands_in(program: int, expected: int) -> None:
    assert nearest_program(program, TEN) == expected


def test_the_next_candidate_stands_in_where_the_first_is_missing() -> None:
    assert nearest_program(40, [0, 19, 56]) == 56
    assert nearest_program(40, [0, 19]) == 19


def test_a_family_is_nearest_to_itself() -> None:
    others = set(range(128))
    assert nearest_program(40, others - {40}) == 110  # the violin's is the fiddle
    assert nearest_program(48, others - {48}) == 49
    assert nearest_program(29, others - {29}) == 30
    assert nearest_program(65, others - {65}) in (64, 66, 67)


def test_distances_are_0_to_themselves_alone() -> None:
    table = np.loadtxt(DISTANCES_FILE, delimiter=",", dtype=int)
    assert table.shape == (128, 128)
    assert ((table == 0) == np.eye(128, dtype=bool)).all()
    assert table.max() == 255
    assert distance(0, 1) == table[0, 1] < distance(0, 48) == table[0, 48]


@pytest.mark.parametrize(
    ("name", "program"),
    [
        *(("violin", 40), ("46", 46), (" 0 ", 0), ("127", 127), ("Orchestral  HARP", 46)),
        *(("lead 1 square", 80), ("Lead 8 (bass + lead)", 87), ("acoustic-guitar nylon", 24)),
        *(("piano", 0), ("harp", 46), ("strings", 48), ("alto saxophone", 65), ("sax", 65)),
        *(("cor anglais", 69), ("honky tonk piano", 3), ("fx 8 sci fi", 103)),
        *(("grand", None), ("", None), ("zzz", None), ("4.5", None), ("-1", None)),
    ],
)
def test_programs_are_known_by_name_and_number(name: str, program: int | None) -> None:
    assert program_named(name) == program


def test_a_number_beyond_127_is_refused() -> None:
    with pytest.raises(InputError, match="there is no General MIDI program 128; they are 0 to 127"):
        program_named("128")


def test_a_name_is_found_by_some_of_its_words() -> None:
    assert first_with_words("french", PROGRAM_NAMES) == "French Horn"
    assert first_with_words("square lead", PROGRAM_NAMES) == "Lead 1 (square)"
    assert first_with_words("french piano", PROGRAM_NAMES) is None
    assert first_with_words("", PROGRAM_NAMES) is None


def test_the_tool_measures_what_the_table_says(soundfont: Path) -> None:
    """Four programs rendered anew are as far from each other as the table has it."""
    programs = [0, 3, 40, 48]
    presets = [p for p in find_instruments("gm", soundfont) if not p.is_kit]
    powers = instrument_distances.sounds([presets[p] for p in programs], soundfont)
    measured = instrument_distances.distances(powers, programs)
    table = np.loadtxt(DISTANCES_FILE, delimiter=",")[np.ix_(programs, programs)]
    scale = measured[0, 3] / table[0, 3]
    np.testing.assert_allclose(measured, table * scale, atol=1.0)

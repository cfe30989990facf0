"""General MIDI's programs and what stands in for those that a model does not know."""

from __future__ import annotations

import pytest

from timbrel.score.instruments import (
    INSTRUMENT_SETS,
    PROGRAM_NAMES,
    TEN_INSTRUMENTS,
    nearest_program,
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
        *((1, 0), (3, 0), (5, 4), (6, 24), (9, 11), (14, 11), (16, 19), (20, 19)),
        *((25, 24), (30, 80), (33, 24), (40, 48), (42, 48), (47, 45), (49, 48), (52, 48)),
        *((57, 56), (60, 56), (65, 56), (68, 56), (73, 80), (81, 80), (90, 48), (105, 24)),
        *((108, 11), (114, 11), (127, 45)),
    ],
)
def test_one_of_the_ten_that_sounds_alike_stands_in(program: int, expected: int) -> None:
    assert nearest_program(program, TEN) == expected


def test_the_next_candidate_stands_in_where_the_first_is_missing() -> None:
    assert nearest_program(40, [0, 19, 56]) == 56
    assert nearest_program(40, [0, 19]) == 19


def test_numbers_decide_where_no_candidate_is_available() -> None:
    assert nearest_program(40, [30, 60]) == 30
    assert nearest_program(40, [41, 39]) == 39  # the lower one where two are as near

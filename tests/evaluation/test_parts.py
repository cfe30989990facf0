"""The measure of parts: two instruments are mixed, heard and told apart."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import pytest

from conftest import EXAMPLES
from support.command_line import note, write_midi
from timbrel.errors import InputError
from timbrel.evaluation.originals import Excerpt
from timbrel.evaluation.parts import (
    ONE_PIECE,
    TWO_PIECES,
    PartsMeasures,
    balanced_share,
    evaluate_parts,
    markdown,
)
from timbrel.score.instruments import TEN_INSTRUMENTS

PAIR = {name: TEN_INSTRUMENTS[name] for name in ("trumpet", "harp")}


def test_shares_are_balanced_and_the_better_way_round() -> None:
    true = np.array([0, 0, 0, 0, 1, 1, -1])
    assert balanced_share(true, np.array([0, 0, 0, 1, 1, 1, 0])) == pytest.approx(7 / 8)
    assert balanced_share(true, np.array([1, 1, 1, 0, 0, 0, 0])) == pytest.approx(7 / 8)
    assert balanced_share(true, np.zeros(7, int)) == 0.5


def test_two_instruments_are_mixed_and_told_apart(soundfont: Path) -> None:
    excerpts = [Excerpt("duet.mid", 10.0, 8.0)]
    (found,) = evaluate_parts(EXAMPLES, soundfont, excerpts, PAIR, gain=0.4)
    assert (found.kind, found.tracks) == (ONE_PIECE, ("duet.mid",))
    assert set(found.instruments) == set(PAIR)
    assert found.heard > 0.8
    assert found.f1 > 0.8
    assert found.f1_alone > 0.85
    assert found.right > 0.8
    assert found.number in (1, 2, 3)
    with pytest.raises(InputError, match="two instruments are mixed"):
        evaluate_parts(EXAMPLES, soundfont, excerpts, {"harp": 46}, gain=0.4)


def test_pieces_of_one_part_cannot_be_mixed(tmp_path: Path, soundfont: Path) -> None:
    write_midi(str(tmp_path / "a.mid"), [m for i in range(20) for m in note(60 + i, ms=100)])
    assert mido.MidiFile(tmp_path / "a.mid").tracks
    with pytest.raises(InputError, match="no excerpt with two parts of 12 notes"):
        evaluate_parts(tmp_path, soundfont, [Excerpt("a.mid", 0.0, 2.0)], PAIR, gain=0.4)


def test_the_table_is_by_kind() -> None:
    some = [
        PartsMeasures(kind, (), ("harp", "trumpet"), 0.85, 0.9, 0.8, right, 0.6, number)
        for kind, right, number in (
            *((ONE_PIECE, 0.7, 1), (ONE_PIECE, 0.9, 2)),
            (TWO_PIECES, 0.75, 2),
        )
    ]
    text = markdown(some)
    f1 = "0.850 [0.850, 0.850] | 0.900 [0.900, 0.900]"
    assert f"| {ONE_PIECE} | 2 | {f1} | 0.800 [0.800, 0.800] | 0.800 [0.700, 0.900] |" in text
    assert f"| {TWO_PIECES} | 1 | 0.850 | 0.900 | 0.800 | 0.750 | 0.600 | 0 | 1 | 0 |" in text

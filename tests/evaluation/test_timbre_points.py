"""Points of a timbre space that are played and found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

from conftest import EXAMPLES
from support.small_mel2mel import two_instruments_bundle
from timbrel.bundles.bundle import load_bundle
from timbrel.evaluation import timbre_points
from timbrel.evaluation.timbre_points import find_points
from timbrel.hearing.sizes import embeddings_of
from timbrel.progress import silent
from timbrel.score.midi import read_midi


def test_passages_are_the_same_for_the_same_data_and_seed(small_data: Path, tmp_path: Path) -> None:
    bundle = load_bundle(two_instruments_bundle(tmp_path))
    given = (bundle, small_data, "valid", 4, 1.5)
    passages = timbre_points._passages(*given, 1, silent)
    assert passages == timbre_points._passages(*given, 1, silent)
    assert passages != timbre_points._passages(*given, 2, silent)
    ends = embeddings_of(bundle.instruments)
    for passage in passages:
        assert len(passage.notes) >= 3
        assert all(0 <= note.start_s < 1.5 for note in passage.notes)
        # On the line between the two instruments.
        share = np.linalg.norm(np.array(passage.point) - ends[0]) / np.linalg.norm(
            ends[1] - ends[0]
        )
        np.testing.assert_allclose(ends[0] + share * (ends[1] - ends[0]), passage.point, atol=1e-6)
        assert {*passage.pair} == {tuple(end) for end in ends.tolist()}


def test_points_are_found_again_by_the_shipped_models(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_bundle("mel2mel-studio")
    points = {one.program: np.array(one.embedding) for one in model.instruments if not one.is_kit}
    notes = read_midi(EXAMPLES / "duet.mid").excerpt(4, 6).merged().tracks[0].notes
    pair = tuple(points[24].tolist()), tuple(points[25].tolist())
    mix = tuple((0.5 * points[0] + 0.3 * points[24] + 0.2 * points[73]).tolist())
    passage = timbre_points._Passage(notes, 6.0, mix, pair)
    monkeypatch.setattr(timbre_points, "_passages", lambda *_: [passage])
    found = find_points(
        load_bundle("encoder"), model, "", split="valid", number=1, seconds=6.0, jobs=1
    )
    assert found.number == 1
    (distance,) = found.distances
    assert found.held == (distance < chi2.ppf(0.9, df=len(mix)))
    assert 0 < found.radius < 1
    assert found.error < 0.5 * found.encoder_error
    assert found.there_and_back_db < 0.5 * found.encoder_there_and_back_db
    assert found.neighbours_db > 2

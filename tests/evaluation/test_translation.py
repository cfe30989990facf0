"""There and back: what is heard in an original is written down, read again and played."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import EXAMPLES
from timbrel.evaluation.originals import Excerpt
from timbrel.evaluation.translation import (
    BOTH,
    KNOWN,
    NOTES,
    ThereAndBack,
    as_dict,
    estimate,
    evaluate_translation,
    markdown,
)
from timbrel.measures.correlation import LogCqtCorrelation


def test_an_excerpt_comes_back(tmp_path: Path, soundfont: Path) -> None:
    (found,) = evaluate_translation(
        EXAMPLES,
        soundfont,
        [Excerpt("duet.mid", 1.0, 4.0)],
        {"trumpet": 56},
        model="mel2mel-studio",
        cache=tmp_path / "cache",
    )
    assert (found.track, found.instrument) == ("duet.mid 1", "trumpet")
    assert list(found.sums) == [KNOWN, NOTES, BOTH]
    correlations = {way: estimate([found], way).mean for way in found.sums}
    # Few bins have notes in so short an excerpt: what matters is that the ways are near each other.
    assert correlations[KNOWN] > 0.45
    assert correlations[KNOWN] + 0.03 > correlations[NOTES] > 0.3
    assert 0.25 < correlations[BOTH] < correlations[NOTES] + 0.05


def test_tables_hold_all_ways_and_instruments() -> None:
    random = np.random.default_rng(0)
    results = []
    for track, instrument in (("a", "harp"), ("a", "organ"), ("b", "harp"), ("b", "organ")):
        pool, target = LogCqtCorrelation(), random.standard_normal((84, 50))
        noise = 1.0 if instrument == "organ" else 0.1
        pool.add_spectra(target, target + noise * random.standard_normal((84, 50)))
        results.append(ThereAndBack(track, instrument, {KNOWN: pool.sums}))
    found = as_dict(results)[KNOWN]
    assert found["instruments"]["harp"] > 0.98 > found["correlation"]
    assert found["instruments"]["organ"] == pytest.approx(1 / np.sqrt(2), abs=0.02)
    low, high = found["interval"]
    assert low <= found["correlation"] <= high
    assert "| played again | all | harp | organ |" in markdown(results)

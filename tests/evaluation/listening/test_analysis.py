"""The analysis of ratings, where the outcome is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from support.listening_data import ITEMS, MEANS
from timbrel.errors import InputError
from timbrel.evaluation.listening.analysis import (
    Analysis,
    Comparison,
    _corrected,
    analyse,
    markdown,
)
from timbrel.evaluation.listening.clips import RatedClip
from timbrel.evaluation.listening.store import RATINGS, Rating


def rating(listener: str, condition: str, item: tuple[str, str, float], value: float) -> Rating:
    return Rating(listener, RatedClip(condition, *item, "a.flac"), value)


def simulated(
    n: int, *, means: dict[str, float] = MEANS, spread: float = 0.5, seed: int = 0
) -> list[Rating]:
    """Listeners who round what they think to half points."""
    random = np.random.default_rng(seed)
    return [
        rating(f"listener {k}", condition, item,
               float(np.clip(round(2 * random.normal(mean, spread)) / 2, 1, 5)))
        for k in range(n) for item in ITEMS for condition, mean in means.items()
    ]  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Analysis:
    return analyse(simulated(20))


def test_known_means_are_found(found: Analysis) -> None:
    assert (found.n_listeners, found.n_ratings) == (20, 20 * len(ITEMS) * len(MEANS))
    assert list(found.conditions) == list(MEANS)
    for name, mean in MEANS.items():
        opinion = found.conditions[name]
        assert opinion.n == 20 * len(ITEMS)
        # Rounding to half points adds 1/48 of a point² to the variance.
        assert opinion.sem == pytest.approx(math.sqrt((0.25 + 1 / 48) / opinion.n), rel=0.2)
        assert opinion.mean == pytest.approx(mean, abs=3.5 * opinion.sem)
        of_instruments = found.instruments[name]
        assert list(of_instruments) == ["harp", "organ"]
        assert np.mean([o.mean for o in of_instruments.values()]) == pytest.approx(opinion.mean)


def test_differences_are_those_of_the_means(found: Analysis) -> None:
    pairs = {(pair.a, pair.b): pair for pair in found.comparisons}
    assert list(pairs) == [
        ("original", "good vocoder"),
        ("original", "bad vocoder"),
        ("good vocoder", "bad vocoder"),
    ]
    assert pairs["original", "good vocoder"].difference == pytest.approx(0.9, abs=0.2)
    # 20 listeners who all agree: 2 · 2⁻²⁰ at best, and ties are not exact; times 3 after Holm.
    assert 3 * 2**-19 <= pairs["original", "bad vocoder"].p < 1e-3
    assert all(pair.n == 20 for pair in pairs.values())


def test_equal_conditions_are_not_told_apart() -> None:
    found = analyse(simulated(20, means=dict.fromkeys(MEANS, 3.0)))
    assert all(pair.p > 0.05 for pair in found.comparisons)
    assert abs(found.alpha) < 0.1


def test_listeners_who_agree_agree(found: Analysis) -> None:
    exact = analyse(simulated(5, spread=0.0))
    assert exact.alpha == pytest.approx(1)
    assert exact.consensus == pytest.approx(1)
    # Between and within clips: 0.81 points² of the means, 0.27 of the listeners.
    assert 0.65 < found.alpha < 0.85
    assert found.consensus > 0.95
    contrary = [
        r if r.listener != "listener 0" else Rating(r.listener, r.clip, 6 - r.rating)
        for r in simulated(2, spread=0.0)
    ]
    assert analyse(contrary).consensus == pytest.approx(-1)


def test_few_ratings_say_little() -> None:
    item = ITEMS[0]
    alone = analyse([rating("a", "original", item, 4.0)])
    assert alone.conditions["original"].mean == 4
    assert math.isnan(alone.conditions["original"].sem)
    assert math.isnan(alone.alpha)
    assert math.isnan(alone.consensus)
    assert alone.comparisons == []
    # Those who heard different items cannot be compared.
    apart = [rating("a", "original", ITEMS[0], 4.0), rating("a", "bad vocoder", ITEMS[1], 1.0)]
    assert analyse(apart).comparisons == []
    same = [rating("a", name, item, 3.0) for name in MEANS]
    assert all(math.isnan(pair.p) for pair in analyse(same).comparisons)
    with pytest.raises(InputError, match="no ratings yet"):
        analyse([])


def test_tables_and_json_hold_the_numbers(found: Analysis) -> None:
    text = markdown(found)
    opinion = found.conditions["original"]
    assert f"| original | {opinion.mean:.3f} ± {opinion.sem:.3f} | 120 |" in text
    assert "| *published:* original | 4.316 ± 0.041 | |" in text
    assert "360 ratings by 20 listeners" in text
    content = json.loads(json.dumps(found.as_dict()))
    assert content["conditions"]["original"]["mean"] == opinion.mean
    assert content["comparisons"][0]["b"] == "good vocoder"
    alone = analyse([rating("a", "original", ITEMS[0], 4.0)]).as_dict()
    assert alone["alpha"] is None
    assert all(value in RATINGS for value in {r.rating for r in simulated(3)})


def test_probabilities_are_corrected_for_their_number() -> None:
    """Holm: the smallest times 3, the next times 2, the last as it is, and never falling."""
    found = [Comparison("a", "b", 0.0, p, 9) for p in (0.03, 0.01, math.nan, 0.02)]
    corrected = [pair.p for pair in _corrected(found)]
    assert corrected[:2] == [pytest.approx(0.04), pytest.approx(0.03)]
    assert math.isnan(corrected[2])
    assert corrected[3] == pytest.approx(0.04)
    assert _corrected([Comparison("a", "b", 0.0, 0.9, 9)] * 2)[0].p == 1

"""Aggregates of an evaluation, from numbers made up so that the outcome is known."""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields, replace

import numpy as np
import pytest

from timbrel.evaluation.conditions import MU_LAW, ORIGINAL, TRUE_MEL, Condition
from timbrel.evaluation.formatting import with_interval
from timbrel.evaluation.originals import Excerpt
from timbrel.evaluation.results import CORRELATION, Results
from timbrel.evaluation.run import Evaluation
from timbrel.evaluation.summary import summary
from timbrel.evaluation.tables import PUBLISHED, all_tables, markdown
from timbrel.measures.correlation import LogCqtCorrelation
from timbrel.measures.sound import SoundMeasures

TRACKS, INSTRUMENTS = 12, ["harp", "organ", "trumpet"]
# How much of the original's spectrum each condition has.
SHARES = {
    ORIGINAL: 1.0,
    MU_LAW: 0.98,
    "true mel, one": 0.9,
    "true mel, two": 0.95,
    "tanh, one": 0.8,
    "tanh, two": 0.84,
    "abs, one": 0.85,  # better than published
    "abs, two": 0.6,
}


def condition(name: str) -> Condition:
    source, _, vocoder = name.partition(", ")
    trained = source not in (ORIGINAL, MU_LAW, TRUE_MEL)
    loss = {"tanh": "tanh-log-abs", "abs": "abs"}.get(source, "")
    return Condition(source, vocoder, model=f"/{source}" if trained else "", loss=loss)


@pytest.fixture(scope="module")
def results() -> Results:
    random = np.random.default_rng(0)
    shape = (TRACKS, len(INSTRUMENTS))
    spectra = random.normal(-50, 10, (*shape, 84, 60))
    noise = random.normal(-50, 10, (*shape, 84, 60))
    sums, pitch, distance = {}, {}, {}
    hard = random.normal(0, 0.05, (TRACKS, 1))
    for number, (name, share) in enumerate(SHARES.items()):
        sums[name] = np.zeros((*shape, 6, 84))
        for place in np.ndindex(shape):
            pool = LogCqtCorrelation()
            mixed = share * spectra[place] + math.sqrt(1 - share**2) * noise[place]
            pool.add_spectra(spectra[place], mixed)
            sums[name][place] = pool.sums
        pitch[name] = np.clip(share * np.array([0.9, 0.3, 0.7]) + hard, 0, 1)
        distance[name] = np.full(shape, float(number))
    distance[MU_LAW][3] = np.nan
    return Results(
        instruments=INSTRUMENTS,
        excerpts=[Excerpt(f"{i}.mid", 0, 15) for i in range(TRACKS)],
        conditions=[condition(name) for name in SHARES],
        sums=sums,
        values=dict.fromkeys((part.name for part in fields(SoundMeasures)), distance)
        | {f"basic-pitch {part}": pitch for part in ("onset", "pitch", "offset")},
        log_mel={},
        judges=["basic-pitch"],
    )


def test_correlations_are_pooled(results: Results) -> None:
    for name, share in SHARES.items():
        estimate = results.estimate(CORRELATION, name)
        assert estimate.mean == pytest.approx(share, abs=0.01)
        assert estimate.low <= estimate.mean <= estimate.high
        assert estimate.high - estimate.low < 0.02
        by_instrument = results.by_instrument(CORRELATION, name)
        np.testing.assert_allclose(by_instrument, share, atol=0.02)
        assert by_instrument[1] == results.of_instrument(name, "organ").mean()
    whole = results.sums["tanh, one"].sum(axis=(0, 1))
    assert results.pooled("tanh, one").mean() == LogCqtCorrelation(whole).mean()


def test_other_measures_are_means_over_clips(results: Results) -> None:
    estimate = results.estimate("basic-pitch pitch", ORIGINAL)
    assert estimate.mean == pytest.approx(results.values["basic-pitch pitch"][ORIGINAL].mean())
    # The standard error of 12 tracks that vary by 0.05.
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * 0.05 / 12**0.5, rel=0.5)
    # What was not measured is left out, and not 0.
    assert results.estimate("spectral_distance", MU_LAW).mean == 1


def test_differences_are_paired(results: Results) -> None:
    """Hard tracks are hard for all: the difference is surer than either side."""
    found = results.difference("basic-pitch pitch", "true mel, one", "tanh, one")
    assert found.difference.mean == pytest.approx(0.1 * 1.9 / 3, abs=0.01)
    both = results.estimate("basic-pitch pitch", "tanh, one")
    assert found.difference.high - found.difference.low < 0.2 * (both.high - both.low)


def test_conditions_are_compared_that_differ_in_one_thing(results: Results) -> None:
    pairs = [(found.a, found.b) for found in results.differences(CORRELATION)]
    assert pairs == [
        (MU_LAW, "true mel, one"),
        (MU_LAW, "true mel, two"),
        ("true mel, one", "true mel, two"),
        ("true mel, one", "tanh, one"),
        ("true mel, one", "abs, one"),
        ("true mel, two", "tanh, two"),
        ("true mel, two", "abs, two"),
        ("tanh, one", "tanh, two"),
        ("tanh, one", "abs, one"),
        ("tanh, two", "abs, two"),
        ("abs, one", "abs, two"),
    ]


def test_published_order_is_tested(results: Results) -> None:
    order, missing = results.published_order("one")
    assert [c.name for c in order] == [MU_LAW, "true mel, one", "tanh, one", "abs, one"]
    assert missing == ["log-abs"]
    tables = {table.title: table for table in all_tables(results)}
    verdicts = [row[-1] for row in tables["The published order, one"].rows]
    assert verdicts == ["as published", "as published", "reversed"]
    verdicts = [row[-1] for row in tables["The published order, two"].rows]
    assert verdicts == ["as published"] * 3
    assert "trained with the loss log-abs." in tables["The published order, two"].notes[1]


def test_judges_judge_what_they_understand(results: Results) -> None:
    assert results.judged("basic-pitch") == (["harp", "trumpet"], ["organ"])
    relative = results.relative_pitch("basic-pitch", "tanh, two")
    assert relative.mean == pytest.approx(0.84, abs=0.01)
    assert relative.low < relative.mean < relative.high
    assert results.relative_pitch("basic-pitch", ORIGINAL).low == 1


def test_rows_are_one_for_each_clip_and_condition(results: Results) -> None:
    rows = list(results.rows())
    assert len(rows) == len(SHARES) * TRACKS * len(INSTRUMENTS)
    row = rows[-1]
    assert (row["condition"], row["source"], row["vocoder"]) == ("abs, two", "abs", "two")
    assert (row["loss"], row["instrument"], row["file"]) == ("abs", "trumpet", "11.mid")
    assert row[CORRELATION] == pytest.approx(0.6, abs=0.05)
    silent = next(r for r in rows if r["condition"] == MU_LAW and r["file"] == "3.mid")
    assert silent["spectral_distance"] == ""


def test_json_holds_the_numbers(results: Results) -> None:
    content = json.loads(json.dumps(results.as_dict()))
    row = content["log_cqt_correlation"]["tanh, two"]
    assert row["mean"] == results.pooled("tanh, two").mean()
    assert np.mean(row["octaves"]) == pytest.approx(row["mean"])
    assert np.mean(row["bins"]) == pytest.approx(row["mean"])
    assert list(row["instruments"]) == INSTRUMENTS
    assert ORIGINAL not in content["log_cqt_correlation"]
    pitch = content["measures"]["basic-pitch pitch"]["tanh, two"]
    assert pitch["mean"] == results.estimate("basic-pitch pitch", "tanh, two").mean
    assert content["relative_pitch_f1"]["basic-pitch"]["not_understood"] == ["organ"]
    assert len(content["differences"]) == 2 * 11
    assert content["excerpts"] == TRACKS


def test_tables_hold_the_measured_and_the_published_rows(evaluation: Evaluation) -> None:
    results = evaluation.results
    text = markdown(results)
    lines = text.splitlines()
    assert any(line.startswith("2 excerpts × 2 instruments × 4 conditions") for line in lines)
    pooled = results.pooled("true mel, griffin-lim")
    row = next(line for line in lines if line.startswith("| true mel, griffin-lim |"))
    assert row.startswith(f"| true mel, griffin-lim | {pooled.mean():.3f} | [")
    octaves = "".join(f" {value:.3f} |" for value in pooled.by_octave())
    assert row.endswith(octaves.replace("-", "−"))
    assert (
        "| *published:* true mel, WaveNet | 0.854 |  | 0.744 | 0.794 | 0.846 | 0.887 | 0.907 "
        "| 0.910 | 0.891 |"
    ) in lines
    for name in PUBLISHED:
        assert sum(line.startswith(f"| *published:* {name} |") for line in lines) == 1
    harp = results.log_mel["tiny"]["harp"]
    (harp_row,) = (line for line in lines if line.startswith("| harp |"))
    assert f"| {harp.centred_correlation:.3f} |" in harp_row.replace("−", "-")
    # Each table is whole: its rows have as many cells as its head.
    for table in all_tables(results):
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.header)}, table.title


def of_tracks(results: Results, count: int) -> Results:
    """The same results of the first tracks only."""
    return replace(
        results,
        excerpts=results.excerpts[:count],
        sums={name: sums[:count] for name, sums in results.sums.items()},
        values={
            measure: {name: table[:count] for name, table in found.items()}
            for measure, found in results.values.items()
        },
        _known_draws={},
    )


def test_summary_says_what_is_best(results: Results) -> None:
    compared, best, distance, notes, limits, first, second = summary(results)
    assert "2 models (tanh, abs) through 2 vocoders (one, two), on 12 excerpts" in compared
    assert "*abs, one*, 0.85" in best
    assert "Next: *tanh, two*; the difference is +0.01" in best
    assert best.endswith("beyond chance.")
    assert "*tanh, one*, 4.00 [4.00, 4.00]" in distance
    assert "basic-pitch hears best**: in *abs, one*, with an F1 of onset and pitch" in notes
    assert "*true mel, two*: 0.95" in limits
    assert "*µ-law only*: 0.98" in limits
    assert "one: holds at 2 of 3 steps. *tanh, one* against *abs, one*: reversed, −0.05" in first
    assert "two: holds at all 3 steps, with differences of 0.03" in second
    assert second.endswith("Not tested, for want of a model: log-abs.")
    assert markdown(results).splitlines()[2:9] == [f"- {line}" for line in summary(results)]


def test_one_track_has_no_interval(results: Results) -> None:
    one = of_tracks(results, 1)
    for measure in (CORRELATION, "basic-pitch pitch", "spectral_distance"):
        estimate = one.estimate(measure, "tanh, two")
        assert math.isfinite(estimate.mean)
        assert math.isnan(estimate.low)
        assert math.isnan(estimate.high)
    assert one.published_differences("one")[0].verdict == "not tested: one track"
    text = markdown(one)
    assert "nan" not in text
    assert not re.search(r"\[−?\d", text)
    row = next(line for line in text.splitlines() if line.startswith("| tanh, two |"))
    assert row.split(" | ")[2] == "–"
    assert "one track cannot test it; 2 of 3 differences between neighbours have" in text
    content = json.loads(json.dumps(one.as_dict(), allow_nan=False))
    assert content["log_cqt_correlation"]["tanh, two"]["low"] is None
    assert all(row["difference"]["high"] is None for row in content["differences"])


def test_measures_of_one_track_have_no_interval(results: Results) -> None:
    """Of four tracks, all but one of which could not be measured."""
    four = of_tracks(results, 4)
    table = np.full_like(four.values["spectral_distance"][MU_LAW], np.nan)
    table[1] = 2.0
    four.values["spectral_distance"] = {**four.values["spectral_distance"], MU_LAW: table}
    assert with_interval(four.estimate("spectral_distance", MU_LAW), 2) == "2.00 –"
    found = four.difference("spectral_distance", MU_LAW, "tanh, one").difference
    assert math.isnan(found.low)
    assert with_interval(four.estimate("spectral_distance", "tanh, one"), 2) == "4.00 [4.00, 4.00]"


def test_what_was_left_out_is_said(results: Results) -> None:
    results.silent = [(Excerpt("3.mid", 0, 15), "organ")]
    results.skipped = ["the judge madmom is left out, as madmom is not installed"]
    text = markdown(results)
    assert "Left out, as FluidSynth renders them silent: 3.mid (organ)." in text
    assert "The judge madmom is left out, as madmom is not installed." in text
    assert not [r for r in results.rows() if (r["file"], r["instrument"]) == ("3.mid", "organ")]
    results.silent, results.skipped = [], []

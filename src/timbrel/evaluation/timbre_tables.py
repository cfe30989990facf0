"""What was found of a timbre encoder, as numbers, tables and a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.stats import chi2

from timbrel.bundles.bundle import Instrument
from timbrel.evaluation.formatting import number, table
from timbrel.evaluation.timbre import Judged, note_families
from timbrel.evaluation.timbre_points import REGION, PointsFound
from timbrel.hearing.among import likely_among
from timbrel.hearing.sizes import neighbour_distance
from timbrel.pictures import new_figure, save_figure
from timbrel.score.instruments import KIT_FAMILY, TEN_INSTRUMENTS

_AMONG = ("ten", "programs", "all", "notes")
_WORDS = {
    "ten": "the paper's ten, among themselves",
    "programs": "programs, among all instruments",
    "all": "programs and drum kits, among all instruments",
    "notes": "families of NSynth",
}


def summary(rows: Sequence[Judged], instruments: Sequence[Instrument]) -> list[dict[str, Any]]:
    """Shares that are right, of each length and set of instruments."""
    found = []
    for seconds in sorted({row.seconds for row in rows}):
        there = [row for row in rows if row.seconds == seconds]
        for among in _AMONG:
            measures = _measures(among, there, instruments)
            if measures:
                found.append({"seconds": seconds, "among": among, **measures})
    return found


def by_instrument(
    rows: Sequence[Judged], instruments: Sequence[Instrument]
) -> list[dict[str, Any]]:
    """Of each instrument, as heard in the longest parts: right ones, and what it is taken for."""
    longest = max(row.seconds for row in rows)
    found = []
    for place, instrument in enumerate(instruments):
        own = [r for r in rows if r.instrument == place and r.seconds == longest]
        if not own:
            continue
        said = [int(row.probabilities[:-1].argmax()) for row in own]
        wrong = [instruments[one].name for one in said if one != place]
        found.append(
            {
                "name": instrument.name,
                "program": instrument.program,
                "drums": instrument.is_kit,
                "sounds": len(own),
                "right": float(np.mean([one == place for one in said])),
                "family": float(
                    np.mean([instruments[one].family == own[0].family for one in said])
                ),
                "taken_for": max(wrong, key=wrong.count) if wrong else "",
            }
        )
    return found


def markdown(
    found: Sequence[dict[str, Any]],
    instruments: Sequence[dict[str, Any]],
    points: PointsFound | None,
) -> str:
    """The tables of a report."""
    header = ["length", "instruments", "sounds", "top 1", "top 5", "families", "90 % regions hold"]
    lines = [
        [
            f"{row['seconds']:g} s",
            _WORDS[row["among"]],
            str(row["sounds"]),
            *(_percent(row.get(key)) for key in ("top1", "top5", "families", "held")),
        ]
        for row in found
    ]
    parts = ["# Timbre from sound", table(header, lines)]
    if points is not None:
        parts.append(
            f"Of {points.number} random mixes of three instruments that the model played, the "
            f"90 % regions hold {_percent(points.held)}. In distances between neighbouring "
            f"instruments, the median radius of the regions is {number(points.radius, 2)}, the "
            f"median error {number(points.error, 2)}. The mels at the true and at the found "
            f"points differ by {number(points.there_and_back_db, 2)} dB, those of neighbouring "
            f"instruments by {number(points.neighbours_db, 2)} dB (medians). Where the encoder "
            f"alone listened, the error was {number(points.encoder_error, 2)}, and the mels "
            f"differed by {number(points.encoder_there_and_back_db, 2)} dB."
        )
    if instruments:
        rows = [
            [
                one["name"],
                str(one["sounds"]),
                _percent(one["right"]),
                _percent(one["family"]),
                one["taken_for"],
            ]
            for one in instruments
        ]
        header = ["instrument", "sounds", "top 1", "family", "mostly taken for"]
        parts.append(table(header, rows))
    return "\n\n".join(parts) + "\n"


def as_json(
    found: Sequence[dict[str, Any]],
    instruments: Sequence[dict[str, Any]],
    points: PointsFound | None,
) -> dict[str, Any]:
    """All numbers of a report."""
    return {
        "summary": list(found),
        "points": None if points is None else asdict(points),
        "instruments": list(instruments),
    }


def plot_confusion(
    rows: Sequence[Judged], instruments: Sequence[Instrument], path: str | os.PathLike
) -> None:
    """Draw how often an instrument (row) is taken for another (column), to a picture."""
    longest = max(row.seconds for row in rows)
    counts = np.zeros((len(instruments), len(instruments)))
    for row in rows:
        if row.instrument >= 0 and row.seconds == longest:
            counts[row.instrument] += row.probabilities[:-1]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
    families = [instrument.family for instrument in instruments]
    firsts = [i for i, name in enumerate(families) if i == 0 or families[i - 1] != name]
    figure = new_figure(path, figsize=(10, 10))
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    ticks = [families[i] for i in firsts]
    axes.set_xticks(firsts, ticks, rotation=90, fontsize=8)
    axes.set_yticks(firsts, ticks, fontsize=8)
    axes.grid(color="0.85", linewidth=0.5)
    axes.set(xlabel="heard", ylabel="played")
    save_figure(figure, path, dpi=110)


def _measures(
    among: str, rows: Sequence[Judged], instruments: Sequence[Instrument]
) -> dict[str, Any]:
    if among == "notes":
        return _of_notes([row for row in rows if row.instrument < 0], instruments)
    answers = np.arange(len(instruments))
    known = [row for row in rows if row.instrument >= 0]
    if among == "ten":
        programs = set(TEN_INSTRUMENTS.values())
        ten = [i for i, one in enumerate(instruments) if not one.is_kit and one.program in programs]
        known, answers = [row for row in known if row.instrument in ten], np.array(ten)
    elif among == "programs":
        known = [row for row in known if row.family != KIT_FAMILY]
    elif not any(row.family == KIT_FAMILY for row in known):
        return {}
    if not known:
        return {}
    heard = np.stack([row.probabilities[:-1] for row in known])
    probabilities = likely_among(heard, instruments, answers.tolist()) if among == "ten" else heard
    order = answers[np.argsort(-probabilities, axis=1)]
    true = np.array([row.instrument for row in known])
    families = np.array([instrument.family for instrument in instruments])
    right = families[order[:, 0]] == families[true]
    limit = float(chi2.ppf(REGION, len(instruments[0].embedding)))
    radii = np.sqrt(limit) * np.array([row.deviation for row in known])
    return {
        "sounds": len(known),
        "top1": float((order[:, 0] == true).mean()),
        "top5": float((order[:, :5] == true[:, None]).any(axis=1).mean()),
        "families": float(right.mean()),
        "families_evenly": float(np.mean([right[true == one].mean() for one in np.unique(true)])),
        "held": float(np.mean([row.distance < limit for row in known])),
        "radius": float(np.median(radii) / neighbour_distance(instruments)),
    }


def _of_notes(rows: Sequence[Judged], instruments: Sequence[Instrument]) -> dict[str, Any]:
    """Of notes, of which the family alone is known."""
    if not rows:
        return {}
    families = np.array(note_families(instruments))
    names = sorted(set(families) - {""})
    right = 0
    for row in rows:
        shares = [float(row.probabilities[:-1][families == name].sum()) for name in names]
        right += names[int(np.argmax(shares))] == row.family
    return {"sounds": len(rows), "families": right / len(rows)}


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}".replace("%", " %")

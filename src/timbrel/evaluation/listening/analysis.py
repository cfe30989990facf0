"""Analysis of ratings: mean opinions, agreement between listeners, significant differences."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from timbrel.errors import InputError
from timbrel.evaluation.listening.store import Rating
from timbrel.evaluation.tables import PUBLISHED_OPINIONS


@dataclass(frozen=True)
class Opinion:
    """A mean opinion score."""

    mean: float
    sem: float  # standard error of the mean, as the paper gives it; NaN for one rating
    n: int  # ratings


@dataclass(frozen=True)
class Comparison:
    """Two conditions, over the listeners who heard the same items in both."""

    a: str
    b: str
    difference: float  # mean of a − b over listeners
    p: float  # Wilcoxon's signed-rank test, two-sided, corrected after Holm; NaN if not possible
    n: int  # listeners


@dataclass(frozen=True)
class Analysis:
    """The outcome of a listening test."""

    n_listeners: int
    n_ratings: int
    conditions: dict[str, Opinion]  # best first
    instruments: dict[str, dict[str, Opinion]]  # condition → instrument → opinion
    # Krippendorff's alpha of the ratings of the same clips: 1 where all agree, 0 for chance.
    alpha: float
    # Mean correlation of each listener's means of conditions with those of all others.
    consensus: float
    comparisons: list[Comparison]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        content = asdict(self)
        return _without_nan(content)


def analyse(ratings: Sequence[Rating]) -> Analysis:
    """Analyse the ratings of a listening test.

    Raises
    ------
    InputError
        If there are none.
    """
    if not ratings:
        raise InputError("there are no ratings yet")
    by_condition = _grouped(ratings, lambda r: r.clip.condition)
    opinions = {name: _opinion(found) for name, found in by_condition.items()}
    order = sorted(opinions, key=lambda name: -opinions[name].mean)
    return Analysis(
        n_listeners=len({rating.listener for rating in ratings}),
        n_ratings=len(ratings),
        conditions={name: opinions[name] for name in order},
        instruments={
            name: {
                instrument: _opinion(found)
                for instrument, found in sorted(
                    _grouped(by_condition[name], lambda r: r.clip.instrument).items()
                )
            }
            for name in order
        },
        alpha=_alpha(ratings),
        consensus=_consensus(ratings),
        comparisons=_comparisons(ratings, order),
    )


def markdown(analysis: Analysis) -> str:
    """The outcome as tables, beside the published one."""
    lines = [
        "# Listening test",
        "",
        f"{analysis.n_ratings} ratings by {analysis.n_listeners} listeners.",
        f"Agreement: Krippendorff's alpha {_number(analysis.alpha)}; mean correlation of a "
        f"listener's means of conditions with the others' {_number(analysis.consensus)}.",
        "",
        "| condition | mean opinion ± SEM | ratings |",
        "|---|---|---|",
    ]
    for name, opinion in analysis.conditions.items():
        lines.append(f"| {name} | {_opinion_text(opinion)} | {opinion.n} |")
    for name, (mean, sem) in PUBLISHED_OPINIONS.items():
        lines.append(f"| *published:* {name} | {mean:.3f} ± {sem:.3f} | |")
    instruments = sorted({name for found in analysis.instruments.values() for name in found})
    lines += ["", "By instrument:", "", f"| condition | {' | '.join(instruments)} |"]
    lines.append("|---|" + "---|" * len(instruments))
    for name, found in analysis.instruments.items():
        cells = [_opinion_text(found[i]) if i in found else "–" for i in instruments]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "Paired differences, each listener's on the same items (Wilcoxon's signed-rank test, "
        "corrected after Holm):",
        "",
        "| condition | and | difference | p | listeners |",
        "|---|---|---|---|---|",
    ]
    for pair in analysis.comparisons:
        lines.append(
            f"| {pair.a} | {pair.b} | {pair.difference:+.3f} | {_number(pair.p)} | {pair.n} |"
        )
    return "\n".join(lines) + "\n"


def _grouped(ratings: Iterable[Rating], key: Any) -> dict[Any, list[Rating]]:
    groups: dict[Hashable, list[Rating]] = defaultdict(list)
    for rating in ratings:
        groups[key(rating)].append(rating)
    return dict(groups)


def _opinion(ratings: Sequence[Rating]) -> Opinion:
    values = np.array([rating.rating for rating in ratings])
    sem = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Opinion(float(values.mean()), float(sem), len(values))


def _alpha(ratings: Sequence[Rating]) -> float:
    import krippendorff

    listeners = sorted({rating.listener for rating in ratings})
    clips = sorted({(r.clip.condition, r.clip.item) for r in ratings})
    table = np.full((len(listeners), len(clips)), np.nan)
    rows, columns = ({x: i for i, x in enumerate(names)} for names in (listeners, clips))
    for rating in ratings:
        place = rows[rating.listener], columns[rating.clip.condition, rating.clip.item]
        table[place] = rating.rating
    shared = table[:, np.isfinite(table).sum(axis=0) > 1]
    if shared.shape[1] == 0 or len(np.unique(shared[np.isfinite(shared)])) < 2:
        return math.nan
    return float(krippendorff.alpha(shared, level_of_measurement="interval"))


def _consensus(ratings: Sequence[Rating]) -> float:
    correlations = []
    for listener, own in _grouped(ratings, lambda r: r.listener).items():
        others = [rating for rating in ratings if rating.listener != listener]
        mine, theirs = (
            {
                name: _opinion(found).mean
                for name, found in _grouped(group, lambda r: r.clip.condition).items()
            }
            for group in (own, others)
        )
        common = sorted(set(mine) & set(theirs))
        a, b = (np.array([means[name] for name in common]) for means in (mine, theirs))
        if len(common) > 2 and a.std() > 0 and b.std() > 0:
            correlations.append(np.corrcoef(a, b)[0, 1])
    return float(np.mean(correlations)) if correlations else math.nan


def _comparisons(ratings: Sequence[Rating], order: Sequence[str]) -> list[Comparison]:
    """All pairs of conditions, the better first."""
    from scipy.stats import wilcoxon

    own: dict[str, dict[str, dict[tuple, float]]] = defaultdict(lambda: defaultdict(dict))
    for rating in ratings:
        own[rating.listener][rating.clip.condition][rating.clip.item] = rating.rating
    found = []
    for a, b in itertools.combinations(order, 2):
        differences = []
        for by_condition in own.values():
            items = by_condition[a].keys() & by_condition[b].keys()
            if items:
                pairs = [by_condition[a][item] - by_condition[b][item] for item in items]
                differences.append(float(np.mean(pairs)))
        if not differences:
            continue
        p = math.nan
        if np.any(differences):
            p = float(wilcoxon(differences).pvalue)
        found.append(Comparison(a, b, float(np.mean(differences)), p, len(differences)))
    return _corrected(found)


def _corrected(comparisons: list[Comparison]) -> list[Comparison]:
    """Holm's correction for having tested more than once."""
    values = {i: c.p for i, c in enumerate(comparisons) if math.isfinite(c.p)}
    corrected, largest = {}, 0.0
    for rank, i in enumerate(sorted(values, key=lambda i: values[i])):
        largest = max(largest, min(1.0, (len(values) - rank) * values[i]))
        corrected[i] = largest
    return [
        Comparison(c.a, c.b, c.difference, corrected.get(i, math.nan), c.n)
        for i, c in enumerate(comparisons)
    ]


def _opinion_text(opinion: Opinion) -> str:
    sem = f" ± {opinion.sem:.3f}" if math.isfinite(opinion.sem) else ""
    return f"{opinion.mean:.3f}{sem}"


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

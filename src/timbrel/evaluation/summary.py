"""The findings of an evaluation in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from timbrel.evaluation.conditions import MU_LAW, Condition
from timbrel.evaluation.formatting import number, signed, with_interval
from timbrel.evaluation.results import AS_PUBLISHED, CORRELATION, PUBLISHED_ORDER, Results

_DISTANCE = "spectral_distance"


def summary(results: Results) -> list[str]:
    """What was compared, which condition is best, and whether the published order holds."""
    made = [condition for condition in results.conditions if condition.model]
    lines = [_compared(results, made)]
    if made:
        lines += [_closest(results, made), _by_distance(results, made)]
        lines += [_by_judge(results, judge, made) for judge in results.judges]
    lines.append(_limits(results))
    lines += [_published_order(results, vocoder) for vocoder in results.vocoders]
    return [line for line in lines if line]


def _compared(results: Results, made: Sequence[Condition]) -> str:
    models = list(dict.fromkeys(condition.source for condition in made))
    of_models = f"{_counted(len(models), 'model')} ({', '.join(models)}) through "
    vocoders = f"{_counted(len(results.vocoders), 'vocoder')} ({', '.join(results.vocoders)})"
    return (
        f"**Compared**: {of_models if models else ''}{vocoders}, on "
        f"{_counted(len(results.excerpts), 'excerpt')} in "
        f"{_counted(len(results.instruments), 'instrument')}; all against FluidSynth's rendering."
    )


def _closest(results: Results, made: Sequence[Condition]) -> str:
    ranked = sorted(made, key=lambda c: -results.estimate(CORRELATION, c.name).mean)
    best = ranked[0].name
    text = (
        f"**Best of what is made from the score** by the {CORRELATION} with the original: "
        f"*{best}*, {with_interval(results.estimate(CORRELATION, best), 3)}."
    )
    if len(ranked) == 1:
        return text
    found = results.difference(CORRELATION, best, ranked[1].name).difference
    if not math.isfinite(found.low):
        sure = "of one track, which says nothing about others"
    else:
        sure = "beyond chance" if found.low > 0 else "not beyond chance"
    return f"{text} Next: *{ranked[1].name}*; the difference is {signed(found)}, {sure}."


def _by_distance(results: Results, made: Sequence[Condition]) -> str:
    found = {c.name: results.estimate(_DISTANCE, c.name) for c in made}
    known = {name: e for name, e in found.items() if math.isfinite(e.mean)}
    if not known:
        return ""
    best = min(known, key=lambda name: known[name].mean)
    return (
        f"**Closest by the multi-scale spectral distance**: *{best}*, "
        f"{with_interval(known[best], 2)} (lower is closer)."
    )


def _by_judge(results: Results, judge: str, made: Sequence[Condition]) -> str:
    found = {c.name: results.relative_pitch(judge, c.name) for c in made}
    known = {name: e for name, e in found.items() if math.isfinite(e.mean)}
    if not known:
        return f"**Notes**: {judge} understands none of the originals, and so cannot judge."
    best = max(known, key=lambda name: known[name].mean)
    return (
        f"**Notes that {judge} hears best**: in *{best}*, with an F1 of onset and pitch that is "
        f"{with_interval(known[best], 1, 100)} % of the original's."
    )


def _limits(results: Results) -> str:
    """What vocoders can reach with a true mel, and µ-law alone."""
    on_true_mel = [c.name for c in results.conditions if c.vocoder and not c.model]
    best = max(on_true_mel, key=lambda name: results.estimate(CORRELATION, name).mean)
    parts = (with_interval(results.estimate(CORRELATION, name), 3) for name in (best, MU_LAW))
    return "**For comparison**, {}: {}; {}: {}.".format(
        f"*{best}*", next(parts), f"*{MU_LAW}*", next(parts)
    )


def _published_order(results: Results, vocoder: str) -> str:
    steps = results.published_differences(vocoder)
    _, missing = results.published_order(vocoder)
    as_published = [step for step in steps if step.verdict == AS_PUBLISHED]
    tested = [step for step in steps if math.isfinite(step.difference.low)]
    start = f"**The published order** ({PUBLISHED_ORDER}), {vocoder}:"
    if not tested:
        same_sign = sum(step.difference.mean > 0 for step in steps)
        text = (
            f"{start} one track cannot test it; {same_sign} of {len(steps)} differences between "
            "neighbours have the published sign."
        )
    elif len(steps) == len(as_published) == 1:
        text = f"{start} holds at the only step tested, {signed(steps[0].difference)}."
    elif len(as_published) == len(steps):
        sizes = [step.difference.mean for step in steps]
        text = (
            f"{start} holds at all {len(steps)} steps, with differences of "
            f"{number(min(sizes), 3)} to {number(max(sizes), 3)}."
        )
    else:
        others = "; ".join(
            f"*{step.a}* against *{step.b}*: {step.verdict}, {signed(step.difference)}"
            for step in steps
            if step not in as_published
        )
        text = f"{start} holds at {len(as_published)} of {len(steps)} steps. {others}."
    if missing:
        text += f" Not tested, for want of a model: {', '.join(missing)}."
    return text


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

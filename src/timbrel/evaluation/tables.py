"""The tables of an evaluation: their contents, and their Markdown form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from timbrel.evaluation.conditions import MU_LAW, ORIGINAL
from timbrel.evaluation.formatting import interval, number, signed, with_interval
from timbrel.evaluation.results import CORRELATION, JUDGED_FROM, PUBLISHED_ORDER, Results
from timbrel.evaluation.summary import summary

# Kim et al. (2019), read off the figure on their poster: mean, then the octaves from C1 upward.
PUBLISHED = {
    MU_LAW: (0.979, (0.960, 0.967, 0.985, 0.996, 0.997, 0.992, 0.957)),
    "true mel, WaveNet": (0.854, (0.744, 0.794, 0.846, 0.887, 0.907, 0.910, 0.891)),
    "tanh-log-abs, WaveNet": (0.754, (0.626, 0.697, 0.745, 0.771, 0.789, 0.820, 0.832)),
    "log-abs, WaveNet": (0.754, (0.626, 0.676, 0.723, 0.769, 0.803, 0.836, 0.842)),
    "abs, WaveNet": (0.635, (0.516, 0.565, 0.576, 0.621, 0.664, 0.733, 0.769)),
}
# Mean opinion scores from the same source, with the standard error of the mean.
PUBLISHED_OPINIONS = {
    ORIGINAL: (4.316, 0.041),
    MU_LAW: (3.879, 0.051),
    "true mel, WaveNet": (3.378, 0.052),
    "tanh-log-abs, WaveNet": (3.183, 0.056),
    "log-abs, WaveNet": (3.011, 0.058),
    "abs, WaveNet": (2.757, 0.058),
}

# Measures of sound: heading, decimal places, and scale factor.
SOUND = {
    "spectral_distance": ("multi-scale spectral distance", 2, 1),
    "level_error_db": ("level, dB", 2, 1),
    "energy_error_db": ("envelope error, dB", 2, 1),
    "centroid_error": ("centroid error, %", 1, 100),
    "flatness_error_db": ("flatness error above 4 kHz, dB", 2, 1),
    "flatness_bias_db": ("flatness bias, dB", 2, 1),
    "silence_floor_db": ("silence, dB", 0, 1),
    "clicks_per_minute": ("clicks a minute", 0, 1),
}

# F1 of notes: what has to be right, by the names of `NoteScores`.
NOTES = {"onset": "onset", "pitch": "onset and pitch", "offset": "onset, pitch and end"}


@dataclass
class Table:
    """Rows of text under headings; the first column names them."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    level: int = 2
    term: str = ""  # of the glossary: what all cells are, where the headings do not say it


def all_tables(results: Results) -> list[Table]:
    """Every table of a report."""
    tables = [
        _correlation(results),
        _correlation_by_instrument(results),
        *_orders(results),
        _sound(results),
        *(table for judge in results.judges for table in _notes(results, judge)),
        *(_log_mel(results, model) for model in results.log_mel),
        _differences(results, CORRELATION),
        *(_differences(results, f"{judge} pitch") for judge in results.judges),
    ]
    return tables


def introduction(results: Results) -> list[str]:
    """What was measured, and what was left out, in words."""
    seconds = {excerpt.duration_s for excerpt in results.excerpts}
    length = f" of {seconds.pop():g} s" if len(seconds) == 1 else ""
    lines = [
        f"{len(results.excerpts)} excerpts{length} × {len(results.instruments)} instruments × "
        f"{len(results.conditions)} conditions, against FluidSynth's rendering.",
        "Written by `timbrel evaluate`; the definitions are in `timbrel/measures/` and at the end "
        "of `report.html`. In brackets: 95 % intervals by the bootstrap over tracks; – where there "
        "is only one track.",
    ]
    if results.silent:
        clips = ", ".join(f"{excerpt.file} ({name})" for excerpt, name in results.silent)
        lines.append(f"Left out, as FluidSynth renders them silent: {clips}.")
    return lines + [f"{words[:1].upper()}{words[1:]}." for words in results.skipped]


def markdown(results: Results) -> str:
    """The report's summary and tables as Markdown."""
    lines = ["# Results", "", *(f"- {line}" for line in summary(results))]
    lines += ["", *introduction(results)]
    for table in all_tables(results):
        lines += ["", f"{'#' * table.level} {table.title}", ""]
        lines += [*table.notes, ""] if table.notes else []
        lines.append(_line(table.header))
        lines.append("|" + "---|" * len(table.header))
        lines += [_line(row) for row in table.rows]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {cell} |" for cell in cells)


def _correlation(results: Results) -> Table:
    rows = []
    for condition in results.syntheses:
        pooled = results.pooled(condition.name)
        estimate = results.estimate(CORRELATION, condition.name)
        rows.append([condition.name, *_shares([pooled.mean()]), interval(estimate, 3)])
        rows[-1] += _shares(pooled.by_octave())
    for name, (mean, octaves) in PUBLISHED.items():
        rows.append([f"*published:* {name}", *_shares([mean]), "", *_shares(octaves)])
    header = ["condition", "mean", "95 %", *(f"C{octave}" for octave in range(1, 8))]
    return Table("Log-CQT correlation with the original", header, rows, term=CORRELATION)


def _correlation_by_instrument(results: Results) -> Table:
    rows = [
        [condition.name, *_shares(results.by_instrument(CORRELATION, condition.name))]
        for condition in results.syntheses
    ]
    header = ["condition", *results.instruments]
    return Table("By instrument", header, rows, level=3, term=CORRELATION)


def _orders(results: Results) -> list[Table]:
    """The order of Kim et al. (2019), tested with each vocoder."""
    tables = []
    for vocoder in results.vocoders:
        order, missing = results.published_order(vocoder)
        found = results.published_differences(vocoder)
        losses = {condition.name: condition.loss for condition in order}
        rows = []
        for item in found:
            names = [f"{x} ({losses[x]})" if losses[x] else x for x in (item.a, item.b)]
            rows.append([*names, signed(item.difference), item.verdict])
        notes = [
            f"Listeners and the correlation put the conditions in the order {PUBLISHED_ORDER}. "
            "Here, neighbours on the same tracks:"
        ]
        if missing:
            notes.append(f"No model was given that was trained with the loss {', '.join(missing)}.")
        header = ["better, as published", "worse", "difference (95 %)", "found"]
        tables.append(Table(f"The published order, {vocoder}", header, rows, notes, level=3))
    return tables


def _sound(results: Results) -> Table:
    rows = []
    for condition in results.conditions:
        cells = [condition.name]
        for measure, (_, digits, factor) in SOUND.items():
            cells.append(with_interval(results.estimate(measure, condition.name), digits, factor))
        level = results.silence_db.get(condition.vocoder, math.nan)
        rows.append([*cells, number(level, 0) if condition.vocoder else ""])
    header = ["condition", *(heading for heading, _, _ in SOUND.values()), "of silence, dB"]
    notes = [
        "Means over clips. *silence*: where the original is below −80 dB; *of silence*: what the "
        "vocoder makes of a silent mel. Struck notes count as clicks, too: compare with the "
        "original's.",
    ]
    return Table("Sound", header, rows, notes)


def _notes(results: Results, judge: str) -> list[Table]:
    _, bad = results.judged(judge)
    parts = [p for p in NOTES if np.isfinite(results.values[f"{judge} {p}"][ORIGINAL]).any()]
    rows = []
    for condition in results.conditions:
        cells = [
            with_interval(results.estimate(f"{judge} {part}", condition.name), 3) for part in parts
        ]
        relative = results.relative_pitch(judge, condition.name)
        rows.append([condition.name, *cells, with_interval(relative, 1, 100)])
    notes = [
        f"F1 of the notes that {judge} hears. The last column: onset and pitch as a share of the "
        f"original's, of the instruments whose originals reach {JUDGED_FROM}."
    ]
    if bad:
        notes.append(f"Below that, and not in the last column: {', '.join(bad)}.")
    header = ["condition", *(NOTES[part] for part in parts), "of the original's, %"]
    by_instrument = [
        [c.name, *_shares(results.by_instrument(f"{judge} pitch", c.name))]
        for c in results.conditions
    ]
    return [
        Table(f"Notes, judged by {judge}", header, rows, notes),
        Table(
            f"Onset and pitch by instrument, {judge}",
            ["condition", *results.instruments],
            by_instrument,
            level=3,
            term=NOTES["pitch"],
        ),
    ]


def _log_mel(results: Results, model: str) -> Table:
    measured = results.log_mel[model]
    found = {name: asdict(measures) for name, measures in measured.items()}
    keys = next(iter(found.values()))
    found["**mean**"] = {key: float(np.mean([f[key] for f in found.values()])) for key in keys}
    rows = [
        [
            name,
            f"{values['centred_correlation']:.3f}",
            f"{values['correlation']:.3f}",
            f"{values['mean_correlation']:.3f}",
            f"{values['error_db']:.2f}",
            f"{values['mean_error_db']:.2f}",
        ]
        for name, values in found.items()
    ]
    notes = [
        "Predicted against true, frames above silence; the centred correlation is taken after the "
        "mean of each bin is removed. *bin means* is a predictor that knows only these means."
    ]
    header = ["instrument", "centred correlation", "correlation", "(bin means)", "error, dB"]
    return Table(f"Log-mel, {model}", [*header, "(bin means)"], rows, notes)


def _differences(results: Results, measure: str) -> Table:
    rows = [[found.a, found.b, signed(found.difference)] for found in results.differences(measure)]
    is_correlation = measure == CORRELATION
    name = measure if is_correlation else f"F1 of onset and pitch by {measure.split()[0]}"
    return Table(
        f"Paired differences: {name}",
        ["condition", "and", "difference (95 %)"],
        rows,
        term=CORRELATION if is_correlation else NOTES["pitch"],
    )


def _shares(values: Iterable[float]) -> list[str]:
    return [number(value, 3) for value in values]

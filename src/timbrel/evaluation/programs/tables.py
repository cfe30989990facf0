"""The comparison of programs as text, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timbrel.evaluation.formatting import number, table
from timbrel.evaluation.programs.melodic import VELOCITIES, ProgramMeasures
from timbrel.evaluation.programs.run import ProgramResults, high_octave, mean, pooled

_WORDS = {
    "correlation_pooled": ("log-CQT correlation at 16 kHz, pooled over programs", 3),
    "correlation_mean": ("the same, mean of the programs' own", 3),
    "high_octave_pooled": ("correlation of the octave from 8.4 to 16.7 kHz, pooled", 3),
    "high_octave_level_db": ("level of that octave above the original's, dB", 1),
    "level_error_db": ("mean absolute error of the level, dB", 1),
    "velocity_error_db": (f"the same at velocities {', '.join(map(str, VELOCITIES))}", 1),
    "variance_ratio": ("variance of the log-mel by the original's", 2),
    "heard_share": ("F1 of basic-pitch by the original's, where it hears that", 2),
    "kit_onset_f1": ("kits: F1 of onsets in music", 3),
    "kit_own_keys": ("kits: share of keys nearest to their own original", 3),
    "kit_early_db": ("kits: energy in the 5 ms before a stroke above the original's, dB", 1),
    "kit_level_db": ("kits: level of strokes above the original's, dB", 1),
    "bend_median_cents": ("bends: median distance from the score's curve, cents", 1),
    "bend_largest_cents": ("bends: largest 95th percentile of it, cents", 1),
}


def markdown(results: ProgramResults) -> str:
    """Summary, families, programs and kits as tables in Markdown."""
    summary = results.summary()
    low = ", ".join(summary["correlation_below_0.6"]) or "none"
    parts = [
        f"# {results.model}, program by program",
        "Against FluidSynth's rendering. Written by `timbrel evaluate programs`.",
        table(
            ("measure", "value"),
            [(words, number(summary[key], digits)) for key, (words, digits) in _WORDS.items()]
            + [("programs whose correlation is below 0.6", low)],
        ),
        "## Families",
        table(
            ("family", "programs", "pooled", "octave from 8.4 kHz", "level error, dB"),
            [_family(name, members) for name, members in results.families().items()],
        ),
        "## Programs",
        table(
            ("program", "name", "correlation", "level, dB", "variance", "velocity, dB", "heard"),
            [_program(one) for one in results.programs],
        ),
    ]
    if results.kits:
        parts += [
            "## Drum kits",
            table(
                ("kit", "name", "onsets, F1", "own keys", "early, dB", "level, dB"),
                [
                    (
                        str(kit.program),
                        kit.name,
                        number(kit.onset_f1, 3),
                        f"{kit.own_keys} of {kit.keys}",
                        number(kit.early_db, 1),
                        number(kit.level_db, 1),
                    )
                    for kit in results.kits
                ],
            ),
        ]
    return "\n\n".join(parts) + "\n"


def as_dict(results: ProgramResults) -> dict[str, Any]:
    """All measures for JSON; None for what is not known."""
    return {
        "model": results.model,
        "summary": {key: _known(value) for key, value in results.summary().items()},
        "programs": [
            {
                "program": one.program,
                "name": one.name,
                "correlation": _known(one.correlation),
                "level_db": _known(one.level_db),
                "high_octave_level_db": _known(one.high_level_db),
                "variance_ratio": _known(one.variance_ratio),
                "velocity_errors_db": [_known(value) for value in one.velocity_errors_db],
                "heard_original": _known(one.heard_original),
                "heard": _known(one.heard_made),
            }
            for one in results.programs
        ],
        "kits": [{key: _known(value) for key, value in vars(kit).items()} for kit in results.kits],
        "bends": [
            {key: _known(value) for key, value in vars(bend).items()} for bend in results.bends
        ],
    }


def _family(name: str, members: Sequence[ProgramMeasures]) -> tuple[str, ...]:
    levels = [abs(one.level_db) for one in members]
    return (
        name,
        str(len(members)),
        number(pooled(members), 3),
        number(high_octave(members), 3),
        number(mean(levels), 1),
    )


def _program(one: ProgramMeasures) -> tuple[str, ...]:
    return (
        str(one.program),
        one.name,
        number(one.correlation, 3),
        number(one.level_db, 1),
        number(one.variance_ratio, 2),
        " ".join(number(error, 1) for error in one.velocity_errors_db),
        f"{number(one.heard_made, 2)} of {number(one.heard_original, 2)}",
    )


def _known(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4) if value == value else None  # NaN is not equal to itself
    return value

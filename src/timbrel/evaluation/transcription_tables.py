"""The tables of an evaluation of transcribers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from timbrel.evaluation.formatting import number, table, with_interval
from timbrel.evaluation.results import Estimate
from timbrel.evaluation.transcription import Verdict
from timbrel.measures.statistics import drawn_means, draws, interval, mean_of_known

# Measures: heading and decimal places.
_HEADINGS = {
    "onset": ("onset", 3),
    "pitch": ("onset and pitch", 3),
    "offset": ("onset, pitch and end", 3),
    "velocity": ("onset, pitch and velocity", 3),
    "frame": ("frames", 3),
    "velocity_error": ("velocity error", 1),
    "constant_error": ("of a constant", 1),
}
_OF_CLASSES = (
    "pitch",
    "offset",
    "velocity",
    "frame",
)  # measures that are shown of classes of takes
# Classes of takes, by how many keys sound at once.
_POLYPHONY = ((0.0, 1.5), (1.5, 3.0), (3.0, 5.0), (5.0, math.inf))


def estimate(verdicts: Sequence[Verdict], measure: str) -> Estimate:
    """The mean over the takes, with a 95 % bootstrap interval over tracks.

    The takes of a track, in all instruments, stay together.
    """
    by_track = _by_track(verdicts, measure)
    values = np.array(list(by_track.values()))
    return _estimate(float(mean_of_known(_scores(verdicts, measure))), values)


def paired_difference(
    verdicts: Sequence[Verdict], others: Sequence[Verdict], measure: str
) -> Estimate:
    """How much higher a measure is on the same takes, with a 95 % interval over the same draws.

    Parameters
    ----------
    verdicts, others
        Of two transcribers, on the same tracks.
    measure
        Of `timbrel.evaluation.transcription.MEASURES`.
    """
    first, second = _by_track(verdicts, measure), _by_track(others, measure)
    values = np.array([first[track] - second[track] for track in first])
    means = (mean_of_known(_scores(some, measure)) for some in (verdicts, others))
    higher, lower = (float(mean) for mean in means)
    return _estimate(higher - lower, values)


def _scores(verdicts: Sequence[Verdict], measure: str) -> np.ndarray:
    return np.array([verdict.scores[measure] for verdict in verdicts])


def _by_track(verdicts: Sequence[Verdict], measure: str) -> dict[str, float]:
    """The mean of each track over all its takes."""
    tracks = dict.fromkeys(verdict.track for verdict in verdicts)
    return {
        track: float(mean_of_known(_scores([v for v in verdicts if v.track == track], measure)))
        for track in tracks
    }


def _estimate(mean: float, by_track: np.ndarray) -> Estimate:
    if np.isfinite(by_track).sum() < 2:
        return Estimate(mean, math.nan, math.nan)
    return Estimate(mean, *interval(drawn_means(by_track, draws(len(by_track)))))


def markdown(verdicts: Sequence[Verdict], skipped: Sequence[str]) -> str:
    """All tables as Markdown: means, by instrument, by polyphony."""
    names = list(dict.fromkeys(verdict.transcriber for verdict in verdicts))
    instruments = list(dict.fromkeys(verdict.instrument for verdict in verdicts))
    n_tracks = len({verdict.track for verdict in verdicts})
    of = {name: [v for v in verdicts if v.transcriber == name] for name in names}
    lines = [
        "# Transcription",
        "",
        f"{n_tracks} tracks, {len(instruments)} instruments. Written by `timbrel evaluate "
        "transcription`; the definitions are in `timbrel/measures/transcription.py`. F1 scores by "
        "mir_eval, and errors in MIDI velocities after the best straight line. In brackets: 95 % "
        "intervals by the bootstrap over tracks; – where nothing is said, or of one track alone.",
        *(f"{words[:1].upper()}{words[1:]}." for words in skipped),
        "",
        table(
            ["transcriber", *(heading for heading, _ in _HEADINGS.values())],
            [
                [
                    name,
                    *(
                        _cell(estimate(of[name], key), digits)
                        for key, (_, digits) in _HEADINGS.items()
                    ),
                ]
                for name in names
            ],
        ),
    ]
    by_instrument = [(i, [v for v in verdicts if v.instrument == i]) for i in instruments]
    by_polyphony = [
        (_range(low, high), [v for v in verdicts if low <= v.polyphony < high])
        for low, high in _POLYPHONY
    ]
    for words, classes in (("instrument", by_instrument), ("polyphony", by_polyphony)):
        for key in _OF_CLASSES:
            lines += ["", f"## By {words}: {_HEADINGS[key][0]}", ""]
            lines.append(_by_class(words, classes, names, key))
    return "\n".join(lines) + "\n"


def _by_class(
    words: str, classes: Sequence[tuple[str, list[Verdict]]], names: Sequence[str], measure: str
) -> str:
    """A measure of classes of takes, a row each, by all transcribers."""
    digits = _HEADINGS[measure][1]
    rows = [
        [
            name,
            *(
                _cell(estimate([v for v in some if v.transcriber == transcriber], measure), digits)
                for transcriber in names
            ),
        ]
        for name, some in classes
        if some
    ]
    return table([words, *names], rows)


def _range(low: float, high: float) -> str:
    return f"{low:g} to {high:g} keys" if math.isfinite(high) else f"over {low:g} keys"


def _cell(found: Estimate, digits: int) -> str:
    return with_interval(found, digits) if math.isfinite(found.low) else number(found.mean, digits)

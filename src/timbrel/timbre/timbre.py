"""Timbres: points of a model's embedding space that can be named, mixed, moved and saved.

The grammar of a timbre, as a user types it:

    church organ                      an instrument of the model
    violin, 40                        a General MIDI name or number: the one that sounds nearest
    church organ:0.7, trumpet:0.3     a mix; the weights are divided by their sum
    70% church organ + 30% trumpet    the same
    @0.3,-1.2                         coordinates in the model's embedding space
    0s harp; 8s trumpet:2, harp       a path: any of the above with times, linearly interpolated
    my.timbre                         a file that holds a path

In Python a timbre may also be a number (of General MIDI), or coordinates as a sequence or an array.
"""

from __future__ import annotations

import itertools
import json
import math
import operator
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from timbrel.bundles.bundle import Instrument, check_keys
from timbrel.errors import InputError
from timbrel.files import read_json, write_text
from timbrel.timbre.lookup import find_instrument

FILE_SUFFIX = ".timbre"
FILE_FORMAT = 1
_BREAKPOINT = re.compile(r"\s*([0-9.eE+-]+)\s*s\s+(.*)", re.DOTALL)
# A plus sign may also be part of a weight, as in 'harp:+1', or of a name, in brackets.
_BETWEEN_PARTS = re.compile(r"(?:,|(?<!:)(?<!\d[eE])\+)(?![^()]*\))")
_PERCENT = r"([0-9.]+)\s*%"
_SHARE = re.compile(rf"{_PERCENT}\s+(?P<after>.+)|(?P<before>.+?)[\s:]\s*{_PERCENT}", re.DOTALL)
# A point so many times farther from the instruments' centre than the farthest of them is sounds
# like none of them.
FAR = 2.0


@dataclass(frozen=True)
class Timbre:
    """A trajectory through the timbre space; a constant timbre has one breakpoint.

    Before the first breakpoint and after the last one, the timbre is that of the nearest
    breakpoint; between breakpoints it is interpolated linearly.
    """

    times_s: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]  # one for each time
    name: str = field(default="", compare=False)  # what to call it
    # What should be known of it, in words: what stands for what, what is far from all instruments.
    remarks: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def constant(cls, point: Sequence[float], *, name: str = "") -> Timbre:
        return cls((0.0,), (tuple(float(value) for value in point),), name=name)

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """The points at the given times (n,), in seconds; float32, shape (n, timbre_size)."""
        points = np.asarray(self.points)
        columns = [np.interp(times_s, self.times_s, column) for column in points.T]
        return np.stack(columns, axis=-1).astype(np.float32)

    def shifted(self, seconds: float) -> Timbre:
        """The same trajectory, `seconds` later, or earlier if negative."""
        return replace(self, times_s=tuple(time + seconds for time in self.times_s))


TimbreLike: TypeAlias = "str | os.PathLike | int | Sequence[float] | np.ndarray | Timbre"


def parse_timbre(spec: str | os.PathLike, instruments: Sequence[Instrument]) -> Timbre:
    """Parse a timbre: an instrument, a mix, coordinates, a path, or a ``.timbre`` file.

    Parameters
    ----------
    spec
        The text that the user typed, such as ``church organ:0.7, trumpet:0.3``, or the path of a
        ``.timbre`` file; see `timbrel.timbre.timbre` for the grammar.
    instruments
        The instruments of the model.

    Raises
    ------
    InputError
        If the text cannot be parsed, names an unknown instrument, has coordinates that are not
        finite or whose number is not the model's, or times that do not increase.
    """
    text = str(spec).strip()
    if text.lower().endswith(FILE_SUFFIX):
        return _read_file(Path(text), instruments)
    breakpoints = []
    for part in text.split(";"):
        match = _BREAKPOINT.fullmatch(part)
        if match is None:
            if ";" in text:
                raise InputError(
                    f"timbre '{text}': each part of a path starts with its time, as in "
                    "'0s harp; 8s trumpet'"
                )
            return _path([(0.0, _point(text, instruments))], f"timbre '{text}'")
        breakpoints.append((_number(match[1], text), _point(match[2].strip(), instruments)))
    timbre = _path(breakpoints, f"timbre '{text}'")
    parts = zip(timbre.times_s, timbre.name.split("; "), strict=True)
    return replace(timbre, name="; ".join(f"{time:g}s {name}" for time, name in parts))


def as_timbre(wish: TimbreLike, instruments: Sequence[Instrument]) -> Timbre:
    """A timbre from what a program gives for one.

    Parameters
    ----------
    wish
        A `Timbre`; what `parse_timbre` reads; a General MIDI program, 0–127; coordinates as a
        sequence or an array of shape (timbre_size,).
    instruments
        The instruments of the model.

    Raises
    ------
    InputError
        If it is none of these, or does not fit the model.
    """
    size = len(instruments[0].embedding)
    if isinstance(wish, str | os.PathLike):
        return parse_timbre(wish, instruments)
    if isinstance(wish, Timbre):
        if any(len(point) != size for point in wish.points):
            raise InputError(
                f"a timbre of another model was given; this one's have {size} coordinates"
            )
        return wish
    try:
        return parse_timbre(str(operator.index(wish)), instruments)  # type: ignore[arg-type]
    except TypeError:  # it is no whole number
        pass
    try:
        values = np.asarray(wish, np.float64)
    except (TypeError, ValueError):
        values = np.full((), np.nan)
    if values.ndim == 0:
        raise InputError(
            f"a timbre cannot be made of {type(wish).__name__}; give a name, a General MIDI "
            f"number, a Timbre, or {size} coordinates"
        )
    if values.shape != (size,) or not np.isfinite(values).all():
        raise InputError(
            f"a timbre of shape {values.shape} was given; coordinates are {size} finite numbers"
        )
    return parse_timbre("@" + ",".join(map(repr, values.tolist())), instruments)


def save_timbre(path: str | os.PathLike, timbre: Timbre) -> None:
    """Write a timbre to a ``.timbre`` file (JSON), as coordinates."""
    content = {
        "timbrel_timbre": FILE_FORMAT,
        "path": [
            {"time_s": time, "timbre": "@" + ",".join(repr(value) for value in point)}
            for time, point in zip(timbre.times_s, timbre.points, strict=True)
        ],
    }
    write_text(path, json.dumps(content, indent=2) + "\n")


def _read_file(path: Path, instruments: Sequence[Instrument]) -> Timbre:
    content = read_json(path)
    version = content.get("timbrel_timbre") if isinstance(content, dict) else None
    if version != FILE_FORMAT:
        raise InputError(
            f"{path}: is not a timbre file of format {FILE_FORMAT} ('timbrel_timbre' is {version})"
        )
    check_keys(content, {"timbrel_timbre": int, "path": list}, path)
    breakpoints = []
    for item in content["path"]:
        check_keys(item, {"time_s": float, "timbre": str}, path)
        try:
            point = _point(item["timbre"].strip(), instruments)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        breakpoints.append((_number(str(item["time_s"]), str(path)), point))
    return replace(_path(breakpoints, str(path)), name=path.name)


class _Point(NamedTuple):
    """A point of the space."""

    coordinates: tuple[float, ...]
    name: str
    remarks: tuple[str, ...]


def _path(breakpoints: list[tuple[float, _Point]], where: str) -> Timbre:
    if not breakpoints:
        raise InputError(f"{where}: has no breakpoints")
    times = [time for time, _ in breakpoints]
    if any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise InputError(f"{where}: the times of a path must rise")
    points = [point for _, point in breakpoints]
    return Timbre(
        tuple(times),
        tuple(point.coordinates for point in points),
        name="; ".join(point.name for point in points),
        remarks=tuple(dict.fromkeys(remark for point in points for remark in point.remarks)),
    )


def _point(text: str, instruments: Sequence[Instrument]) -> _Point:
    if not text:
        raise InputError("the timbre is empty; give an instrument's name, a mix or coordinates")
    if text.startswith("@"):
        size = len(instruments[0].embedding)
        values = tuple(_number(part, text) for part in text[1:].split(","))
        if len(values) != size:
            raise InputError(
                f"timbre '{text}': has {len(values)} coordinates; the model has {size}"
            )
        return _Point(values, text, _if_far(text, values, instruments))
    return _mix(text, instruments)


def _mix(text: str, instruments: Sequence[Instrument]) -> _Point:
    """One instrument, or several with weights."""
    parts = [_weighted(part, text) for part in _BETWEEN_PARTS.split(text)]
    if any(is_percent for *_, is_percent in parts) and not all(p[2] for p in parts):
        raise InputError(f"timbre '{text}': give each instrument of the mix its share in percent")
    weights: dict[Instrument, float] = {}
    remarks = []
    for name, weight, _ in parts:
        try:
            found = find_instrument(name, instruments)
        except InputError as error:
            raise InputError(f"timbre '{text}': {error}") from None
        weights[found.instrument] = weights.get(found.instrument, 0.0) + weight
        if found.stands_for:
            remarks.append(
                f"the model has no {found.stands_for}; "
                f"{found.instrument.name} sounds nearest to it and plays instead"
            )
        if weight < 0:
            remarks.append(f"timbre '{text}': a negative weight leads away from its instrument")
    total = sum(weights.values())
    if not 0 < total < math.inf:
        raise InputError(f"timbre '{text}': the weights of a mix must add up to more than 0")
    embeddings = np.array([instrument.embedding for instrument in weights])
    mixed = np.array(list(weights.values())) / total @ embeddings
    point = tuple(float(value) for value in mixed)
    shares = [(instrument.name, weight / total) for instrument, weight in weights.items()]
    name = ", ".join(f"{name}:{share:.3g}" for name, share in shares)
    remarks += _if_far(text, point, instruments)
    return _Point(point, shares[0][0] if len(shares) == 1 else name, tuple(remarks))


def _weighted(part: str, text: str) -> tuple[str, float, bool]:
    """An instrument's name, its weight, and whether that was a share in percent."""
    if share := _SHARE.fullmatch(part.strip()):
        name = share["after"] or share["before"]
        return name.strip(), _number(share[1] or share[4], text) / 100, True
    name, colon, weight = part.partition(":")
    return name.strip(), _number(weight, text) if colon else 1.0, False


def _if_far(
    text: str, point: Sequence[float], instruments: Sequence[Instrument]
) -> tuple[str, ...]:
    """A word on a point that lies far outside the instruments."""
    embeddings = np.array([instrument.embedding for instrument in instruments])
    centre = embeddings.mean(axis=0)
    reach = np.linalg.norm(embeddings - centre, axis=1).max()
    if np.linalg.norm(np.array(point) - centre) <= FAR * reach:
        return ()
    return (f"timbre '{text}': lies far outside the model's instruments and may not sound well",)


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"timbre '{where}': '{text.strip()}' is not a number") from None
    if not math.isfinite(value):
        raise InputError(f"timbre '{where}': '{text.strip()}' is not finite")
    return value

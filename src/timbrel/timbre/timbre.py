"""Timbres: points of a model's embedding space that can be named, mixed, moved and saved.

The grammar of a timbre, as a user types it:

    church organ                      an instrument of the model
    violin, 40                        a General MIDI name or number: the one that sounds nearest
    church organ:0.7, trumpet:0.3     a mix; the weights are divided by their sum
    70% church organ + 30% trumpet    the same
    @0.3,-1.2                         coordinates in the model's embedding space
    0s harp; 8s trumpet:2, harp       a path: any of the above with times, linearly interpolated
    my.timbre                         a file that holds a timbre, or a path
    my.timbre:0.5, harp:0.5           a file of a timbre that stays the same, as an instrument

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
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from timbrel.bundles.bundle import Instrument, check_keys
from timbrel.errors import InputError
from timbrel.files import read_json, write_text
from timbrel.timbre.lookup import find_instrument

FILE_SUFFIX = ".timbre"
# Of files; in those of the second one there are FiLM vectors of the timbre's own, too.
FILE_FORMAT, FILM_FILE_FORMAT = 1, 2
_FILM_DIGITS = 6  # significant ones, of FiLM vectors in files
_FILM_KEY: dict[bool, dict[str, type]] = {False: {}, True: {"film": list}}
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
    # FiLM vectors of the timbre's own, as they are added to those of each point; see
    # `timbrel.mel.film`. Most timbres have none.
    film: tuple[tuple[float, ...], ...] = ()
    # With FiLM vectors: the weights of their model, by `timbrel.bundles.bundle.weights_id`.
    fitted_to: str = ""
    name: str = field(default="", compare=False)  # what to call it
    # What should be known of it, in words: what stands for what, what is far from all instruments.
    remarks: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def constant(
        cls,
        point: Sequence[float],
        *,
        film: Sequence[float] = (),
        fitted_to: str = "",
        name: str = "",
    ) -> Timbre:
        place, own = (tuple(float(value) for value in values) for values in (point, film))
        return cls((0.0,), (place,), (own,) if own else (), fitted_to, name=name)

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """The points at the given times (n,), in seconds; float32, shape (n, timbre_size)."""
        return self._between(self.points, times_s)

    def film_at(self, times_s: np.ndarray) -> np.ndarray:
        """Its own FiLM vectors at the given times (n,), in seconds; float32, (n, size or 0)."""
        return self._between(self.film or ((),) * len(self.points), times_s)

    def shifted(self, seconds: float) -> Timbre:
        """The same trajectory, `seconds` later, or earlier if negative."""
        return replace(self, times_s=tuple(time + seconds for time in self.times_s))

    def _between(self, values: Sequence[Sequence[float]], times_s: np.ndarray) -> np.ndarray:
        """What lies between the breakpoints' values."""
        table, times = np.asarray(values), np.asarray(self.times_s)
        if len(times) == 1:
            return np.repeat(table, len(times_s), axis=0).astype(np.float32)
        after = np.clip(np.searchsorted(times, times_s, side="right"), 1, len(times) - 1)
        begin, end = times[after - 1], times[after]
        share = (np.clip(times_s, times[0], times[-1]) - begin) / (end - begin)
        return (table[after - 1] + share[:, None] * (table[after] - table[after - 1])).astype(
            np.float32
        )


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
    if _names_file(text) and Path(text).is_file():
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
    """Write a timbre to a ``.timbre`` file (JSON), as coordinates.

    FiLM vectors of its own stand beside them, with the weights that they were fitted to.
    """
    rows: list[dict[str, Any]] = [
        {"time_s": time, "timbre": "@" + ",".join(repr(value) for value in point)}
        for time, point in zip(timbre.times_s, timbre.points, strict=True)
    ]
    head: dict[str, Any] = {"timbrel_timbre": FILE_FORMAT}
    if timbre.film:
        head = {"timbrel_timbre": FILM_FILE_FORMAT, "fitted_to": timbre.fitted_to}
        for row, own in zip(rows, timbre.film, strict=True):
            row["film"] = [float(f"{value:.{_FILM_DIGITS}g}") for value in own]
    write_text(path, json.dumps(head | {"path": rows}, indent=2) + "\n")


def _read_file(path: Path, instruments: Sequence[Instrument]) -> Timbre:
    content = read_json(path)
    version = content.get("timbrel_timbre") if isinstance(content, dict) else None
    if version not in (FILE_FORMAT, FILM_FILE_FORMAT):
        raise InputError(
            f"{path}: is not a timbre file of format {FILE_FORMAT} or {FILM_FILE_FORMAT} "
            f"('timbrel_timbre' is {version})"
        )
    has_film = version == FILM_FILE_FORMAT
    more = {"fitted_to": str} if has_film else {}
    check_keys(content, {"timbrel_timbre": int, "path": list, **more}, path)
    breakpoints = []
    for item in content["path"]:
        check_keys(item, {"time_s": float, "timbre": str, **_FILM_KEY[has_film]}, path)
        text = item["timbre"].strip()
        if FILE_SUFFIX in text.lower():
            raise InputError(f"{path}: holds '{text}'; a timbre's file cannot name another")
        try:
            point = _point(text, instruments)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        if has_film:
            point = point._replace(
                film=_film(item["film"], path), fitted_to=frozenset((content["fitted_to"],))
            )
        breakpoints.append((_number(str(item["time_s"]), str(path)), point))
    return replace(_path(breakpoints, str(path)), name=path.name)


def _film(values: list, path: Path) -> tuple[float, ...]:
    """FiLM vectors, as a file holds them."""
    numbers = all(type(value) in (int, float) and math.isfinite(value) for value in values)
    if not values or not numbers:
        raise InputError(f"{path}: 'film' must hold finite numbers")
    return tuple(map(float, values))


class _Point(NamedTuple):
    """A point of the space, and FiLM vectors of its own if it has them."""

    coordinates: tuple[float, ...]
    name: str
    remarks: tuple[str, ...] = ()
    film: tuple[float, ...] = ()
    fitted_to: frozenset[str] = frozenset()  # the weights of the models of its FiLM vectors


def _path(breakpoints: list[tuple[float, _Point]], where: str) -> Timbre:
    if not breakpoints:
        raise InputError(f"{where}: has no breakpoints")
    times = [time for time, _ in breakpoints]
    if any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise InputError(f"{where}: the times of a path must rise")
    points = [point for _, point in breakpoints]
    models = frozenset().union(*(point.fitted_to for point in points))
    if len(models) > 1 or len({len(point.film) for point in points if point.film}) > 1:
        raise InputError(f"{where}: has parts that were fitted to different models")
    n_own = max(len(point.film) for point in points)
    return Timbre(
        tuple(times),
        tuple(point.coordinates for point in points),
        tuple(point.film or (0.0,) * n_own for point in points) if n_own else (),
        "".join(models),
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
    weights: dict[_Point, float] = {}
    remarks: list[str] = []
    for name, weight, _ in parts:
        try:
            named = _named(name, instruments)
        except InputError as error:
            raise InputError(f"timbre '{text}': {error}") from None
        remarks += named.remarks
        part = named._replace(remarks=())
        weights[part] = weights.get(part, 0.0) + weight
        if weight < 0:
            remarks.append(f"timbre '{text}': a negative weight leads away from its instrument")
    total = sum(weights.values())
    if not 0 < total < math.inf:
        raise InputError(f"timbre '{text}': the weights of a mix must add up to more than 0")
    if len({len(part.film) for part in weights if part.film}) > 1:
        raise InputError(f"timbre '{text}': has parts that were fitted to different models")
    shares = [(part, weight / total) for part, weight in weights.items()]
    point = _sum_of([(part.coordinates, share) for part, share in shares])
    film = _sum_of([(part.film, share) for part, share in shares if part.film])
    name = ", ".join(f"{part.name}:{share:.3g}" for part, share in shares)
    remarks += _if_far(text, point, instruments)
    return _Point(
        point,
        shares[0][0].name if len(shares) == 1 else name,
        tuple(remarks),
        film,
        frozenset().union(*(part.fitted_to for part in weights)),
    )


def _sum_of(vectors: list[tuple[tuple[float, ...], float]]) -> tuple[float, ...]:
    """The weighted sum of some vectors; nothing of none."""
    if not vectors:
        return ()
    table = np.array([vector for vector, _ in vectors])
    return tuple((np.array([weight for _, weight in vectors]) @ table).tolist())


def _named(name: str, instruments: Sequence[Instrument]) -> _Point:
    """An instrument, or the timbre of a file, as a part of a mix."""
    if _names_file(name):
        timbre = _read_file(Path(name), instruments)
        if len(timbre.times_s) > 1:
            raise InputError(f"{name}: is a path over time; mixes and paths are made of points")
        models = frozenset((timbre.fitted_to,)) if timbre.film else frozenset()
        film = timbre.film[0] if timbre.film else ()
        return _Point(timbre.points[0], timbre.name, timbre.remarks, film, models)
    found = find_instrument(name, instruments)
    remark = (
        f"the model has no {found.stands_for}; "
        f"{found.instrument.name} sounds nearest to it and plays instead"
    )
    remarks = (remark,) if found.stands_for else ()
    return _Point(found.instrument.embedding, found.instrument.name, remarks)


def _names_file(text: str) -> bool:
    return text.lower().endswith(FILE_SUFFIX)


def _weighted(part: str, text: str) -> tuple[str, float, bool]:
    """An instrument's name, its weight, and whether that was a share in percent."""
    if share := _SHARE.fullmatch(part.strip()):
        name = share["after"] or share["before"]
        return name.strip(), _number(share[1] or share[4], text) / 100, True
    if _names_file(part.strip()):  # the name of a file may hold a colon
        return part.strip(), 1.0, False
    name, colon, weight = part.partition(":")
    if FILE_SUFFIX in part.lower():
        name, colon, weight = part.rpartition(":")
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

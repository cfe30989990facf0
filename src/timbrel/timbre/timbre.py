"""Timbres: points of a model's embedding space that can be named, mixed, moved and saved.

The grammar of a timbre, as a user types it:

    church organ                      an instrument
    church organ:0.7, trumpet:0.3     a mix; the weights are divided by their sum
    @0.3,-1.2                         coordinates in the model's embedding space
    0s harp; 8s trumpet:2, harp       a path: any of the above with times, linearly interpolated
    my.timbre                         a file that holds a path
"""

from __future__ import annotations

import difflib
import itertools
import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timbrel.bundles.bundle import Instrument, check_keys
from timbrel.errors import InputError
from timbrel.files import read_json, write_text

FILE_SUFFIX = ".timbre"
FILE_FORMAT = 1
_BREAKPOINT = re.compile(r"\s*([0-9.eE+-]+)\s*s\s+(.*)", re.DOTALL)


@dataclass(frozen=True)
class Timbre:
    """A trajectory through the timbre space; a constant timbre has one breakpoint.

    Before the first breakpoint and after the last one, the timbre is that of the nearest
    breakpoint; between breakpoints it is interpolated linearly.
    """

    times_s: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]  # one for each time

    @classmethod
    def constant(cls, point: Sequence[float]) -> Timbre:
        return cls((0.0,), (tuple(float(value) for value in point),))

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """The points at the given times (n,), in seconds; float32, shape (n, timbre_size)."""
        points = np.asarray(self.points)
        columns = [np.interp(times_s, self.times_s, column) for column in points.T]
        return np.stack(columns, axis=-1).astype(np.float32)

    def shifted(self, seconds: float) -> Timbre:
        """The same trajectory, `seconds` later, or earlier if negative."""
        return Timbre(tuple(time + seconds for time in self.times_s), self.points)


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
            return Timbre.constant(_point(text, instruments))
        breakpoints.append((_number(match[1], text), _point(match[2].strip(), instruments)))
    return _path(breakpoints, f"timbre '{text}'")


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


def nearest_instruments(name: str, instruments: Sequence[Instrument]) -> list[str]:
    """Names that the user may have meant, best match first."""
    names = [instrument.name.lower() for instrument in instruments]
    close = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.4)
    words = [other for other in names if set(name.lower().split()) & set(other.split())]
    return list(dict.fromkeys(close + words))[:3]


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
    return _path(breakpoints, str(path))


def _path(breakpoints: list[tuple[float, tuple[float, ...]]], where: str) -> Timbre:
    if not breakpoints:
        raise InputError(f"{where}: has no breakpoints")
    times = [time for time, _ in breakpoints]
    if any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise InputError(f"{where}: the times of a path must rise")
    return Timbre(tuple(times), tuple(point for _, point in breakpoints))


def _point(text: str, instruments: Sequence[Instrument]) -> tuple[float, ...]:
    if not text:
        raise InputError("the timbre is empty; give an instrument's name, a mix or coordinates")
    size = len(instruments[0].embedding)
    if text.startswith("@"):
        values = tuple(_number(part, text) for part in text[1:].split(","))
        if len(values) != size:
            raise InputError(
                f"timbre '{text}': has {len(values)} coordinates; the model has {size}"
            )
        return values
    by_name = {instrument.name.lower(): instrument for instrument in instruments}
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, colon, weight = part.partition(":")
        name = " ".join(name.lower().split())
        if name not in by_name:
            meant = nearest_instruments(name, instruments)
            hint = f"did you mean {' or '.join(meant)}?" if meant else "see 'timbrel timbres'"
            raise InputError(f"timbre '{text}': there is no instrument '{name}'; {hint}")
        weights[name] = weights.get(name, 0.0) + (_number(weight, text) if colon else 1.0)
    total = sum(weights.values())
    if not 0 < total < math.inf:
        raise InputError(f"timbre '{text}': the weights of a mix must add up to more than 0")
    embeddings = np.array([by_name[name].embedding for name in weights])
    mixed = np.array(list(weights.values())) / total @ embeddings
    return tuple(float(value) for value in mixed)


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"timbre '{where}': '{text.strip()}' is not a number") from None
    if not math.isfinite(value):
        raise InputError(f"timbre '{where}': '{text.strip()}' is not finite")
    return value

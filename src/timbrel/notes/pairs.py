"""Pairs of notes of one pitch, and whether what lies half way between them still has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timbrel.errors import InputError
from timbrel.notes.dataset import NoteSplit
from timbrel.notes.measures import is_at, spectral_centroid_hz


@dataclass(frozen=True)
class Morph:
    """Two notes of one pitch, what the codes make of each, and of their mean."""

    pitch: int
    originals: tuple[np.ndarray, np.ndarray]
    decoded: tuple[np.ndarray, np.ndarray]
    half_way: np.ndarray


def find_pairs(split: NoteSplit, n_pairs: int, seed: int) -> list[tuple[int, int]]:
    """Pairs of notes of one pitch and of instruments of two families, drawn by a seed."""
    random = np.random.default_rng((seed, 1))
    pairs: list[tuple[int, int]] = []
    order = random.permutation(len(split)).tolist()
    waiting: dict[int, int] = {}
    for i in order:
        note = split.notes[i]
        other = waiting.get(note.pitch)
        if other is None:
            waiting[note.pitch] = i
        elif split.notes[other].instrument_family != note.instrument_family:
            pairs.append((other, i))
            del waiting[note.pitch]
        if len(pairs) == n_pairs:
            return pairs
    if not pairs:
        raise InputError(f"{split.path}: has no two notes of one pitch and of two families")
    return pairs


def measure_morphs(morphs: Sequence[Morph]) -> list[dict[str, bool]]:
    """What holds of each morph, and of the plain average of its originals.

    "…between": its spectral centroid lies between those of its ends; "…pitch_kept": the pitch
    tracker hears the pitch, as it does in both originals where "ends_tracked".
    """
    found = []
    for morph in morphs:
        average = (morph.originals[0] + morph.originals[1]) / 2
        tracked = all(is_at(end, morph.pitch) for end in morph.originals)
        kept = is_at(morph.half_way, morph.pitch)
        found.append(
            {
                "ends_tracked": tracked,
                "morph/between": _is_between(morph.half_way, morph.decoded),
                "morph/pitch_kept": kept,
                "morph/pitch_kept_of_tracked": kept and tracked,
                "morph_of_originals/between": _is_between(morph.half_way, morph.originals),
                "average/between": _is_between(average, morph.originals),
                "average/pitch_kept": is_at(average, morph.pitch),
            }
        )
    return found


def summarise(found: Sequence[dict[str, bool]]) -> dict[str, Any]:
    """Number of pairs of which each thing holds, those of one sound together."""
    summary: dict[str, Any] = {"pairs": len(found)}
    for name in found[0]:
        count = sum(row[name] for row in found)
        sound, slash, what = name.partition("/")
        if slash:
            summary.setdefault(sound, {})[what] = count
        else:
            summary[sound] = count
    return summary


def _is_between(sound: np.ndarray, ends: tuple[np.ndarray, np.ndarray]) -> bool:
    centroids = [spectral_centroid_hz(end) for end in ends]
    return bool(min(centroids) <= spectral_centroid_hz(sound) <= max(centroids))

"""Notes of a recording, grouped into parts by what they sound like.

The features of notes (`note_sounds`) are brought to a space in which the notes of one instrument
have a variance of 1 in all directions, and instruments are far from each other; there they are
grouped by k-means. `tools/note_space.py` made the space.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

SPACE_FILE = Path(__file__).with_name("note_space.npz")
MOST_PARTS = 8
_MOST_FOUND = 3  # where their number is not given
# A further part must bring the distances of notes from their parts below this share. Chosen on the
# validation split.
_GAIN = 0.78
_STARTS, _ROUNDS = 12, 50
_SHORTEST_S, _LONGEST_S = 0.05, 1.0  # within which a longer note counts more


class _Space(NamedTuple):
    usual: np.ndarray  # (features,): what stands for those that are not known
    projection: np.ndarray  # (features, size)


@lru_cache(maxsize=1)
def _space() -> _Space:
    with np.load(SPACE_FILE, allow_pickle=False) as file:
        return _Space(file["usual"], file["projection"])


def in_space(features: np.ndarray) -> np.ndarray:
    """Places of notes (notes, size) by their features (notes, N_FEATURES)."""
    space = _space()
    known = np.where(np.isfinite(features), features, space.usual)
    return (known - space.usual) @ space.projection


def grouped(
    features: np.ndarray, durations_s: np.ndarray, confidences: np.ndarray, number: int | None
) -> np.ndarray:
    """Which part each note belongs to, (notes,): numbers from 0 on, in the order of appearance.

    Parameters
    ----------
    features : ndarray, shape (notes, N_FEATURES)
        See `note_features`.
    durations_s, confidences : ndarray, shape (notes,)
        Long and sure notes count more.
    number
        Of parts, at most as many as there are notes; if None, it is guessed.
    """
    if not len(features):
        return np.zeros(0, int)
    places = in_space(features)
    weights = np.sqrt(np.clip(durations_s, _SHORTEST_S, _LONGEST_S)) * np.maximum(confidences, 1e-3)
    if number is not None:
        _, labels = _k_means(places, weights, min(number, len(places)))
        return _by_appearance(labels)
    cost, labels = _k_means(places, weights, 1)
    for count in range(2, min(_MOST_FOUND, len(places)) + 1):
        next_cost, next_labels = _k_means(places, weights, count)
        if next_cost >= _GAIN * cost:
            break
        cost, labels = next_cost, next_labels
    return _by_appearance(labels)


def _k_means(places: np.ndarray, weights: np.ndarray, count: int) -> tuple[float, np.ndarray]:
    """The cost and the labels of the best of some runs, which begin as k-means++ does."""
    random = np.random.default_rng(0)
    runs = [_run(places, weights, count, random) for _ in range(_STARTS if count > 1 else 1)]
    return min(runs, key=lambda run: run[0])


def _run(
    places: np.ndarray, weights: np.ndarray, count: int, random: np.random.Generator
) -> tuple[float, np.ndarray]:
    centres = places[[random.choice(len(places), p=weights / weights.sum())]]
    while len(centres) < count:
        far = weights * _squares(places, centres).min(axis=1)
        chances = far / far.sum() if far.sum() > 0 else weights / weights.sum()
        centres = np.concatenate([centres, places[[random.choice(len(places), p=chances)]]])
    labels = _squares(places, centres).argmin(axis=1)
    for _ in range(_ROUNDS):
        for part in range(count):
            own = labels == part
            if own.any():
                centres[part] = np.average(places[own], axis=0, weights=weights[own])
        before, labels = labels, _squares(places, centres).argmin(axis=1)
        if (labels == before).all():
            break
    return float((weights * _squares(places, centres).min(axis=1)).sum()), labels


def _squares(places: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances, (notes, parts)."""
    return ((places[:, None] - centres) ** 2).sum(axis=-1)


def _by_appearance(labels: np.ndarray) -> np.ndarray:
    order = list(dict.fromkeys(labels.tolist()))
    return np.array([order.index(label) for label in labels.tolist()])

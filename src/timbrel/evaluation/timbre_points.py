"""Random points of a Mel2Mel's timbre space, played and found again by an encoder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from timbrel.bundles.bundle import Bundle
from timbrel.hearing.from_audio import TimbreEncoder, neighbour_distance
from timbrel.hearing.sizes import embeddings_of
from timbrel.measures.correlation import log_mel_measures
from timbrel.progress import Progress, silent
from timbrel.training.encoder_examples import Maker, Making, Renders, Truth, read_clips

REGION = 0.9
_AT_ONCE = 20


@dataclass(frozen=True)
class PointsFound:
    """How well points are found that nobody has heard."""

    number: int
    held: float  # the share of the true points that the 90 % regions hold
    radius: float  # the median radius of these regions, against the distance of neighbours
    error: float  # the median distance of the found points from the true ones, likewise
    there_and_back_db: float  # the median error between the mels at the true and the found point
    neighbours_db: float  # the median error between the mels of neighbouring instruments


def find_points(
    listener: TimbreEncoder,
    mel2mel: Bundle,
    data: str | os.PathLike,
    *,
    split: str,
    number: int,
    seconds: float,
    progress: Progress = silent,
) -> PointsFound:
    """Have a Mel2Mel play held-out scores at random mixes of three instruments; find them again.

    Parameters
    ----------
    listener
        The encoder.
    mel2mel
        The model of whose space it speaks.
    data
        Prepared data, whose scores of a split are played.
    number, seconds
        How many points, and how long each of them is heard.
    """
    folder = Path(data)
    clips = read_clips(folder, split, mel2mel, progress=progress)
    renders, truth = Renders(clips, mel2mel.instruments, folder), Truth(mel2mel.instruments)
    mixes = Making(sizes=(0.0, 0.0, 1.0), stray_share=0.0)
    maker = Maker(mel2mel, renders, truth, mixes)
    random = np.random.default_rng(1)
    n_frames = round(seconds * mel2mel.mel.frame_rate)
    points = embeddings_of(mel2mel.instruments)
    neighbours = neighbour_distance(mel2mel.instruments)
    limit = float(chi2.ppf(REGION, points.shape[1]))
    distances, deviations, errors, there, apart = [], [], [], [], []
    batches = range(0, number, _AT_ONCE)
    for first in progress(batches, len(batches), "points"):
        size = min(_AT_ONCE, number - first)
        rolls, made = maker.make_with_rolls(random, size, n_frames)
        true = made.known.points * truth.deviation + truth.centre
        regions = [listener.region(listener.hear_mel(mel)) for mel in made.mels]
        means = np.stack([region.mean for region in regions])
        distances += [r.distance(point) for r, point in zip(regions, true, strict=True)]
        deviations += [region.deviation for region in regions]
        errors += np.linalg.norm(means - true, axis=1).tolist()
        heard = ((means - truth.centre) / truth.deviation).astype(np.float32)
        back = maker.mels(rolls, heard, made.is_kit)
        there += _errors_db(made.mels, back)
        pairs = _neighbouring(points, truth.is_kit, made.is_kit, random)
        apart += _errors_db(*(maker.mels(rolls, truth.points[side], made.is_kit) for side in pairs))
    radii = np.sqrt(limit) * np.array(deviations)
    return PointsFound(
        number,
        float((np.array(distances) < limit).mean()),
        float(np.median(radii) / neighbours),
        float(np.median(errors) / neighbours),
        float(np.median(there)),
        float(np.median(apart)),
    )


def _errors_db(a: np.ndarray, b: np.ndarray) -> list[float]:
    return [log_mel_measures(one, other).error_db for one, other in zip(a, b, strict=True)]


def _neighbouring(
    points: np.ndarray, is_kit: np.ndarray, wanted: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """For each score an instrument that may play it, and the one that lies nearest to that."""
    first, second = [], []
    for of_kits in wanted:
        among = np.flatnonzero(is_kit == of_kits)
        one = int(random.choice(among))
        others = among[among != one]
        distances = np.linalg.norm(points[others] - points[one], axis=1)
        first.append(one)
        second.append(int(others[distances.argmin()]) if len(others) else one)
    return np.array(first), np.array(second)

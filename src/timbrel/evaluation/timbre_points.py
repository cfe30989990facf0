"""Random points of a Mel2Mel's timbre space, played and found again by listening."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.corpus.parallel import run_parallel, worker_pool
from timbrel.fitting.closer import CloserListener
from timbrel.hearing.combining import Gaussian
from timbrel.hearing.from_audio import TimbreEncoder
from timbrel.hearing.sizes import embeddings_of, neighbour_distance
from timbrel.measures.correlation import log_mel_measures
from timbrel.mel.generator import MelGenerator
from timbrel.progress import Progress, silent
from timbrel.score.performance_roll import roll_of
from timbrel.score.score import Note, Score, Track
from timbrel.synthesizer import Synthesizer
from timbrel.timbre.timbre import Timbre
from timbrel.training.encoder_examples import Renders, read_clips

REGION = 0.9
_MIXED = 3  # instruments of a mix
_LEAST_NOTES = 3  # of a passage


@dataclass(frozen=True)
class PointsFound:
    """How well points are found that nobody has heard."""

    number: int
    held: float  # the share of the true points that the 90 % regions hold
    radius: float  # the median radius of these regions, against the distance of neighbours
    error: float  # the median distance of the found points from the true ones, likewise
    there_and_back_db: float  # the median error between the mels at the true and the found point
    neighbours_db: float  # the median error between the mels of neighbouring instruments
    # The same two where the encoder alone listens.
    encoder_error: float
    encoder_there_and_back_db: float
    # Of each true point in its region, Mahalanobis's and squared, in no order: they tell how many
    # points regions of another width would hold.
    distances: tuple[float, ...]


class _Passage(NamedTuple):
    """What is played at a point."""

    notes: tuple[Note, ...]
    duration_s: float
    point: tuple[float, ...]
    pair: tuple[tuple[float, ...], tuple[float, ...]]  # neighbouring instruments


class _Found(NamedTuple):
    """What was found of a point."""

    distance: float  # of the true point in the region, Mahalanobis's, squared
    deviation: float  # of the region
    error: float  # distance of the found point from the true one
    there_db: float
    encoder_error: float
    encoder_there_db: float
    apart_db: float


def find_points(
    encoder: Bundle,
    mel2mel: Bundle,
    data: str | os.PathLike,
    *,
    split: str,
    number: int,
    seconds: float,
    seed: int = 1,
    jobs: int = -1,
    progress: Progress = silent,
) -> PointsFound:
    """Have a model play held-out scores at random mixes of three instruments; find them again.

    The sound is that of the model with its own vocoder, and nothing else is known of it.

    Parameters
    ----------
    encoder
        The encoder.
    mel2mel
        The model of whose space it speaks.
    data
        Prepared data, whose scores of a split are played.
    number, seconds
        How many points, and how long each of them is heard.
    seed
        Draws mixes and passages.
    jobs
        Processes; −1 is one for each core.
    """
    passages = _passages(mel2mel, Path(data), split, number, seconds, seed, progress)
    given = [(str(encoder.path), str(mel2mel.path), passage) for passage in passages]
    with worker_pool(None, jobs):
        found = run_parallel(_found, given, progress, "points")
    size = len(mel2mel.instruments[0].embedding)
    neighbours, limit = neighbour_distance(mel2mel.instruments), float(chi2.ppf(REGION, size))
    table = np.array(found)
    distances, deviations = table[:, 0], table[:, 1]
    medians = dict(zip(_Found._fields, np.median(table, axis=0).tolist(), strict=True))
    return PointsFound(
        number,
        float((distances < limit).mean()),
        float(np.sqrt(limit) * np.median(deviations) / neighbours),
        medians["error"] / neighbours,
        medians["there_db"],
        medians["apart_db"],
        medians["encoder_error"] / neighbours,
        medians["encoder_there_db"],
        tuple(distances.tolist()),
    )


def _passages(
    mel2mel: Bundle,
    folder: Path,
    split: str,
    number: int,
    seconds: float,
    seed: int,
    progress: Progress,
) -> list[_Passage]:
    """Passages of melodic clips, each with its point; the same for the same data and seed."""
    clips = read_clips(folder, split, mel2mel, progress=progress)
    renders = Renders(clips, mel2mel.instruments, folder)
    random, rate = np.random.default_rng(seed), mel2mel.mel.frame_rate
    shares = renders.shares * ~clips.is_kit
    shares = shares / shares.sum()
    points = embeddings_of([one for one in mel2mel.instruments if not one.is_kit])
    passages: list[_Passage] = []
    while len(passages) < number:
        index = int(random.choice(len(shares), p=shares))
        start_s = renders.start(random, index, round(seconds * rate)) / rate
        notes = _notes(clips.roll(index).notes, start_s, seconds)
        chosen = random.choice(len(points), min(_MIXED, len(points)), replace=False)
        point = random.dirichlet(np.ones(len(chosen))) @ points[chosen]
        if len(notes) >= _LEAST_NOTES:
            pair = _neighbouring(points, random)
            passages.append(_Passage(notes, seconds, tuple(point.tolist()), pair))
    return passages


def _notes(table: np.ndarray, start_s: float, duration_s: float) -> tuple[Note, ...]:
    """Those that begin in a span, as if it began at 0."""
    rows = table[(table[:, 0] >= start_s) & (table[:, 0] < start_s + duration_s)]
    return tuple(
        Note(round(pitch), round(velocity), begin - start_s, end - start_s)
        for begin, end, pitch, velocity in rows[:, :4].tolist()
    )


def _neighbouring(
    points: np.ndarray, random: np.random.Generator
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """An instrument, and the one that lies nearest to it."""
    one = int(random.integers(len(points)))
    distances = np.linalg.norm(points - points[one], axis=1)
    distances[one] = np.inf
    other = points[int(distances.argmin())] if len(points) > 1 else points[one]
    return tuple(points[one].tolist()), tuple(other.tolist())


class _Listening:
    """All that plays and listens, in a process."""

    def __init__(self, encoder: str, mel2mel: str) -> None:
        self.bundle = load_bundle(mel2mel, kind="mel2mel")
        self.encoder = TimbreEncoder.load(encoder)
        self.closer = CloserListener(self.bundle)
        self.synthesizer = Synthesizer.load(mel2mel, threads=1)
        self.generator = MelGenerator(self.bundle)

    def mels(
        self, track: Track, points: Sequence[Sequence[float]], duration_s: float
    ) -> list[np.ndarray]:
        """What is played at some points, (frames, n_mels) each."""
        rate = self.bundle.mel.frame_rate
        roll = roll_of(self.bundle.roll, track, track.notes, rate)
        timbres = [Timbre.constant(tuple(point)) for point in points]
        n_frames = round(duration_s * rate)
        blocks = self.generator.stream([roll] * len(points), timbres, n_frames)
        return list(np.concatenate(list(blocks), axis=1))


@cache
def _listening(encoder: str, mel2mel: str) -> _Listening:
    return _Listening(encoder, mel2mel)


def _found(encoder: str, mel2mel: str, passage: _Passage) -> _Found:
    """Play a point and find it."""
    all_ears = _listening(encoder, mel2mel)
    track = Track("", 0, 0, passage.notes)
    audio = all_ears.synthesizer.render(
        Score((track,)),
        timbre=Timbre.constant(passage.point),
        duration_s=passage.duration_s,
        channels=1,
        normalize=False,
        dry=True,
    )[:, 0].astype(np.float32)
    first = all_ears.encoder.found([all_ears.encoder.hear_audio(audio)])
    found = all_ears.closer.listen_to_audio(first, [audio])
    points = (passage.point, found.point, first.point, *passage.pair)
    true, there, roughly, one, other = all_ears.mels(track, points, passage.duration_s)
    at = np.array(passage.point)
    region = Gaussian(np.array(found.point), found.covariance)
    return _Found(
        region.distance(at),
        region.deviation,
        float(np.linalg.norm(at - found.point)),
        log_mel_measures(true, there).error_db,
        float(np.linalg.norm(at - first.point)),
        log_mel_measures(true, roughly).error_db,
        log_mel_measures(one, other).error_db,
    )

"""The search for the place in a space where a model sounds like a clip."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from timbrel.bundles.bundle import load_bundle
from timbrel.fitting.place import Heard, Place, find_place
from timbrel.hearing.sizes import embeddings_of, neighbour_distance
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.mel.generator import MelGenerator
from timbrel.score.performance_roll import roll_of
from timbrel.score.score import Note, Track
from timbrel.timbre.timbre import Timbre
from timbrel.vocoder.catalog import contrast_of

LENGTH = 400  # frames
GAIN = 0.7  # nepers by which the clip is softer than what is played
NOTES = tuple(
    Note(pitch, velocity, 0.3 * i, 0.3 * i + 0.5)
    for i, (pitch, velocity) in enumerate(
        [(60, 80), (64, 60), (67, 95), (72, 70), (55, 85), (62, 50), (69, 90), (48, 75)]
    )
)


class Studio(NamedTuple):
    generator: MelGenerator
    points: np.ndarray  # of the melodic instruments
    neighbours: float
    true: np.ndarray  # a mix that is looked for
    start: np.ndarray


@pytest.fixture(scope="module")
def studio() -> Studio:
    bundle = load_bundle("mel2mel-studio")
    melodic = [one for one in bundle.instruments if not one.is_kit]
    points = embeddings_of(melodic)
    true = 0.5 * points[0] + 0.3 * points[24] + 0.2 * points[73]
    start = points[73]
    return Studio(MelGenerator(bundle), points, neighbour_distance(bundle.instruments), true, start)


def heard(studio: Studio, told: tuple[Note, ...], noise_db: float | None = None) -> Heard:
    """What all `NOTES` sound like at the true place, of which some notes are told.

    In each band there may be noise, at a level against the loudest point.
    """
    bundle = studio.generator.bundle
    roll = roll_of(bundle.roll, Track("", 0, 0, NOTES), NOTES, bundle.mel.frame_rate)
    blocks = studio.generator.stream([roll], [Timbre.constant(tuple(studio.true))], LENGTH)
    contrast = contrast_of(bundle)
    assert contrast is not None
    mel = contrast.widened(np.concatenate(list(blocks), axis=1)[0], bundle.mel.log_floor)
    if noise_db is not None:
        noise = np.random.default_rng(0).normal(mel.max() + noise_db / DB_PER_NEPER, 0.1, mel.shape)
        mel = np.logaddexp(2 * mel, 2 * noise) / 2
    return Heard(Track("", 0, 0, told), (mel - GAIN).astype(np.float32))


def found(studio: Studio, told: tuple[Note, ...], *starts: np.ndarray) -> tuple[Place, float]:
    """The place, and how far it is from the true one in distances between neighbours."""
    place = find_place(studio.generator, [heard(studio, told)], starts)
    return place, float(np.linalg.norm(place.point - studio.true)) / studio.neighbours


def test_the_place_is_found_whatever_the_level(studio: Studio) -> None:
    place, error = found(studio, NOTES, studio.start)
    assert np.linalg.norm(studio.start - studio.true) > studio.neighbours
    assert error < 0.05
    assert place.error_db < 0.3
    assert place.first_error_db > 2
    assert np.linalg.eigvalsh(place.covariance).min() > 0


@pytest.mark.parametrize("noise_db", [-80.0, -50.0])
def test_noise_changes_little(studio: Studio, noise_db: float) -> None:
    place = find_place(studio.generator, [heard(studio, NOTES, noise_db)], [studio.start])
    assert np.linalg.norm(place.point - studio.true) < 0.1 * studio.neighbours


def test_wrong_velocities_and_a_missed_note_change_little(studio: Studio) -> None:
    softer = tuple(note._replace(velocity=round(0.7 * note.velocity)) for note in NOTES)
    starts = (studio.start, *studio.points[[0, 24, 11]])
    _, error = found(studio, softer[:4] + softer[5:], *starts)
    assert error < 0.25


def test_velocities_of_single_notes_are_found_with_the_place(studio: Studio) -> None:
    factors = np.random.default_rng(1).uniform(0.6, 1.5, len(NOTES))
    told = tuple(
        note._replace(velocity=min(round(factor * note.velocity), 127))
        for note, factor in zip(NOTES, factors, strict=True)
    )
    clip, starts = heard(studio, told), (studio.start, *studio.points[[0, 24, 11]])
    with_them, without = (
        find_place(studio.generator, [clip], starts, hear_velocities=hear) for hear in (True, False)
    )
    errors = [np.linalg.norm(one.point - studio.true) for one in (with_them, without)]
    assert errors[0] < 0.05 * studio.neighbours
    assert errors[0] < 0.25 * errors[1]
    assert with_them.error_db < 0.5 * without.error_db


def test_of_several_starts_the_best_are_followed(studio: Studio) -> None:
    far = studio.points.mean(axis=0) + 3 * studio.points.std(axis=0)
    place, error = found(studio, NOTES, far, studio.start, studio.points[0])
    assert error < 0.05
    alone, _ = found(studio, NOTES, far)
    assert place.first_error_db == alone.first_error_db  # that of the first start

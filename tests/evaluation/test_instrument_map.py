"""The map of all instruments: its layout, what is measured, and its picture."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from timbrel.bundles.bundle import Bundle, Instrument, load_bundle
from timbrel.errors import MissingToolError
from timbrel.evaluation.instrument_map import arranged, instrument_map
from timbrel.evaluation.map_picture import plot_timbre_map
from timbrel.evaluation.timbre_space import (
    PHRASE,
    STROKES,
    centroids_hz,
    energies_db,
    phrase_mels,
)


@pytest.fixture(scope="module")
def wide() -> Bundle:
    return load_bundle("mel2mel-10d")


@pytest.mark.parametrize("dimensions", [2, 3])
def test_what_is_alike_lies_together_and_the_same_each_time(dimensions: int) -> None:
    generator = np.random.default_rng(4)
    centres = np.repeat(10 * np.eye(10)[:4], 12, axis=0)
    points = centres + generator.normal(scale=0.5, size=centres.shape)
    places = arranged(points, dimensions=dimensions)
    assert places.shape == (48, dimensions)
    np.testing.assert_array_equal(places, arranged(points, dimensions=dimensions))
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-6)
    assert np.linalg.norm(places, axis=1).max() == pytest.approx(1)
    assert (np.diff(places.std(axis=0)) <= 0).all()  # principal axes, the longest first
    apart = np.linalg.norm(places[:, None] - places, axis=-1) + 9 * np.eye(48)
    assert (apart.argmin(axis=1) // 12 == np.arange(48) // 12).mean() > 0.9


def test_few_instruments_are_laid_out_too(wide: Bundle) -> None:
    found = instrument_map(wide, dimensions=3)
    assert found.places.shape == (10, 3)
    points = np.array([one.embedding for one in wide.instruments])
    mels = phrase_mels(wide, points)
    np.testing.assert_allclose(found.centroid_hz, centroids_hz(mels, wide.mel), rtol=1e-5)
    np.testing.assert_allclose(found.energy_db, energies_db(mels), atol=1e-4)


def test_kits_play_a_beat() -> None:
    bundle = load_bundle("mel2mel-studio")
    kit = next(one for one in bundle.instruments if one.is_kit)
    assert {note.pitch for note in STROKES} <= set(kit.keys)
    point = np.array([kit.embedding])
    beat = centroids_hz(phrase_mels(bundle, point, STROKES, is_kit=True), bundle.mel)
    notes = centroids_hz(phrase_mels(bundle, point, PHRASE), bundle.mel)
    assert beat[0] > 1.2 * notes[0]


def test_the_picture_names_all_instruments(wide: Bundle, tmp_path: Path) -> None:
    plot_timbre_map(wide, tmp_path / "map.svg")
    drawn = (tmp_path / "map.svg").read_text()
    for text in ("t-SNE", "Synth Lead", *(one.name for one in wide.instruments)):
        assert f"<!-- {text}" in drawn or text in drawn, text


def test_families_are_general_midis() -> None:
    assert Instrument("Violin", 40, (0.0,)).family == "Strings"
    assert Instrument("Gunshot", 127, (0.0,)).family == "Sound Effects"
    assert Instrument("Jazz Kit", 32, (0.0,), keys=(36,)).family == "Drum Kits"


@pytest.mark.parametrize("module", ["matplotlib.figure", "sklearn.manifold"])
def test_what_is_missing_is_named(
    module: str, wide: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingToolError, match=r"pip install 'timbrel\[train\]'"):
        plot_timbre_map(wide, tmp_path / "map.png")
    assert not list(tmp_path.iterdir())

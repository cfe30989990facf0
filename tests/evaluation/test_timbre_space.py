"""Maps and lines of timbre spaces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.evaluation.timbre_space import (
    centroids_hz,
    energies_db,
    phrase_mels,
    timbre_line,
    timbre_map,
)
from timbrel.geometry import MelConfig
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.instruments import TEN_INSTRUMENTS


@pytest.fixture(scope="module")
def wide_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A random model with five dimensions, whose instruments lie in a plane of them."""
    torch.manual_seed(2)
    model = Mel2Mel(Mel2MelConfig(n_instruments=10, timbre_size=5, hidden_size=8))
    with torch.no_grad():
        plane = torch.randn(2, 5)
        model.embedding.weight.copy_(torch.randn(10, 2) @ plane + 0.5)
    path: Path = tmp_path_factory.mktemp("models") / "wide"
    write_mel2mel_bundle(
        model,
        path,
        name="wide",
        mel=MelConfig(),
        gain=0.5,
        instruments=TEN_INSTRUMENTS,
        license="MIT",
        attribution="",
        training={},
    )
    return load_bundle(path)


def test_centroid_and_energy_are_those_of_the_sound() -> None:
    time = np.arange(16_000) / 16_000
    tones = [level * np.sin(2 * np.pi * f * time) for f, level in ((1000, 0.5), (3000, 0.05))]
    mels = np.stack([mel_spectrogram(tone.astype(np.float32))[10:-10] for tone in tones])
    np.testing.assert_allclose(centroids_hz(mels, MelConfig()), [1000, 3000], rtol=0.03)
    loud, soft = energies_db(mels)
    assert loud - soft == pytest.approx(20, abs=2)
    assert energies_db(mels + np.log(10.0)) == pytest.approx([loud + 20, soft + 20])


def test_map_of_two_dimensions_is_the_space_itself(tiny_bundle: Bundle) -> None:
    found = timbre_map(tiny_bundle, size=4)
    points = np.array([i.embedding for i in tiny_bundle.instruments])
    np.testing.assert_allclose(found.instruments, points)
    assert found.explained == 1
    assert found.centroid_hz.shape == found.energy_db.shape == (4, 4)
    for axis, column in zip(found.axes, points.T, strict=True):
        assert axis[0] < column.min() < column.max() < axis[-1]
    # Rows are the second coordinate.
    corner = phrase_mels(tiny_bundle, np.array([[found.axes[0][3], found.axes[1][0]]]))
    assert found.energy_db[0, 3] == pytest.approx(energies_db(corner)[0], abs=1e-4)
    assert found.centroid_hz[0, 3] == pytest.approx(
        centroids_hz(corner, tiny_bundle.mel)[0], rel=1e-5
    )


def test_map_of_more_dimensions_is_their_principal_plane(wide_bundle: Bundle) -> None:
    found = timbre_map(wide_bundle, size=3)
    assert found.explained == pytest.approx(1, abs=1e-6)
    points = np.array([i.embedding for i in wide_bundle.instruments])
    np.testing.assert_allclose(
        np.linalg.norm(found.instruments[:, None] - found.instruments, axis=-1),
        np.linalg.norm(points[:, None] - points, axis=-1),
        atol=1e-5,
    )


def test_line_joins_the_farthest_instruments(wide_bundle: Bundle) -> None:
    found = timbre_line(wide_bundle, size=5)
    by_name = {i.name: np.array(i.embedding) for i in wide_bundle.instruments}
    ends = [by_name[name] for name in found.names]
    distance = np.linalg.norm(ends[0] - ends[1])
    assert all(
        np.linalg.norm(a - b) <= distance + 1e-9 for a in by_name.values() for b in by_name.values()
    )
    np.testing.assert_allclose(found.share, [0, 0.25, 0.5, 0.75, 1])
    assert found.spectra_db.shape == (5, 80)
    middle = phrase_mels(wide_bundle, (ends[0] + ends[1])[None] / 2)
    assert found.energy_db[2] == pytest.approx(energies_db(middle)[0], abs=1e-4)

"""Tests of arrays that are computed once and kept."""

from __future__ import annotations

import numpy as np

from timbrel.progress import silent
from timbrel.training.cached import cached_arrays


def test_arrays_are_computed_once(tmp_path):
    paths = [tmp_path / "kept" / f"{n}.npy" for n in (3, 5)]

    def found() -> list[list[int]]:
        arrays = cached_arrays(paths, np.arange, [(3,), (5,)], progress=silent, label="ramps")
        return [array.tolist() for array in arrays]

    assert found() == [[0, 1, 2], [0, 1, 2, 3, 4]]
    np.save(paths[1], np.array([7]))  # what is there is taken as it is
    paths[0].unlink()
    assert found() == [[0, 1, 2], [7]]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["3.npy", "5.npy"]

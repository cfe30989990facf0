"""Arrays that are computed once and kept beside the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from timbrel.corpus.parallel import run_parallel, worker_pool
from timbrel.files import atomic_path
from timbrel.progress import Progress


def cached_arrays(
    paths: Sequence[Path],
    compute: Callable[..., np.ndarray],
    arguments: Sequence[tuple],
    *,
    progress: Progress,
    label: str,
) -> list[np.ndarray]:
    """Arrays of .npy files, mapped into memory; those that are missing are computed in parallel.

    Parameters
    ----------
    paths
        The files; their folders are made.
    compute
        Gives an array.
    arguments
        What it is given, for each file.
    progress, label
        Wraps the finished items, as ``progress(items, total, label)``.
    """
    missing = [
        (path, compute, given)
        for path, given in zip(paths, arguments, strict=True)
        if not path.exists()
    ]
    with worker_pool(None, -1):
        run_parallel(_keep, missing, progress, label)
    return [np.load(path, mmap_mode="r") for path in paths]


def _keep(path: Path, compute: Callable[..., np.ndarray], arguments: tuple) -> None:
    array = compute(*arguments)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)

"""Parallel work, in processes on this machine or on a Dask cluster."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import joblib

from timbrel.errors import InputError, MissingToolError
from timbrel.machine import n_processes
from timbrel.progress import Progress

_SCHEDULER_TIMEOUT_S = 10


def run_parallel(work: Callable, tasks: list[tuple], progress: Progress, label: str) -> list:
    """Results of ``work(*task)``, in the order in which they are done."""
    parallel = joblib.Parallel(return_as="generator_unordered")
    with warnings.catch_warnings():
        # A process that has come to hold much more memory, as the buffers of ONNX Runtime do, is
        # replaced by a new one. No task is lost, and nobody need do anything.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
        done = parallel(joblib.delayed(work)(*task) for task in tasks)
        return list(progress(done, len(tasks), label))


@contextmanager
def worker_pool(scheduler: str | None, jobs: int) -> Iterator[None]:
    """Have joblib work in processes of this machine, or on a Dask cluster, for a with block."""
    n_jobs = n_processes(jobs)
    if scheduler is None:
        with joblib.parallel_config(backend="loky", n_jobs=n_jobs):
            yield
        return
    try:
        from distributed import Client
    except ImportError:
        raise MissingToolError(
            "--scheduler needs Dask; install it with: pip install 'timbrel[cluster]'"
        ) from None
    try:
        client = Client(scheduler, timeout=_SCHEDULER_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise InputError(f"{scheduler}: no Dask scheduler answers there ({error})") from None
    with client, joblib.parallel_config(backend="dask"):
        yield

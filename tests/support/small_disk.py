"""A disk that ends early: no file may be larger than ten thousand bytes."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection

DISK_BYTES = 10_000


def error_on_a_small_disk(write: Callable[[], object]) -> Exception | None:
    """What `write` raises on such a disk.

    It runs in a process of its own: the limit is the process's, and what the tests print may go
    into a file that is larger already.
    """
    here, there = multiprocessing.Pipe(duplex=False)
    # A forked process has what the caller has made, and needs to import nothing.
    process = multiprocessing.get_context("fork").Process(target=_limited, args=(write, there))
    process.start()
    there.close()
    error: Exception | None = here.recv()
    process.join()
    assert process.exitcode == 0
    return error


def _limited(write: Callable[[], object], answer: Connection) -> None:
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (DISK_BYTES, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    )
    try:
        write()
    except Exception as error:
        answer.send(error)
    else:
        answer.send(None)

"""The machine that Timbrel runs on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from timbrel.errors import InputError

_CPUS = Path("/sys/devices/system/cpu")


def n_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # which containers and `taskset` set
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def n_physical_cores() -> int:
    """How many physical cores this process may use: two threads on one core hardly help."""
    if not hasattr(os, "sched_getaffinity"):
        return n_cores()
    cores = set()
    for cpu in os.sched_getaffinity(0):
        try:
            siblings = (_CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text(
                encoding="utf-8"
            )
        except OSError:  # not every system tells
            siblings = str(cpu)
        cores.add(siblings)
    return len(cores)


def within_cores(n: int) -> int:
    """So many threads or processes, but no more than there are cores: more do not help.

    Raises
    ------
    InputError
        If it is less than 1.
    """
    if n < 1:
        raise InputError(f"threads must be 1 or more, not {n}")
    return min(n, n_cores())


def n_processes(jobs: int) -> int:
    """The number of processes that `jobs` stands for: -1 is one for each core.

    Raises
    ------
    InputError
        If it stands for none.
    """
    if jobs == -1:
        return n_cores()
    if jobs < 1:
        raise InputError(f"jobs must be 1 or more, or -1 for one for each core, not {jobs}")
    return within_cores(jobs)


def description() -> dict[str, Any]:
    """What measurements of speed depend on, and whether something else ran: the processor's name,
    its cores, the bytes of a core's second-level cache (None where no one tells), the system, the
    load.
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "second_level_cache": _second_level_cache(),
        "system": platform.platform(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
    }


def _second_level_cache() -> int | None:
    for cache in sorted((_CPUS / "cpu0" / "cache").glob("index*")):
        try:
            level, size = (
                (cache / name).read_text(encoding="utf-8").strip() for name in ("level", "size")
            )
        except OSError:
            continue
        if level == "2" and size.endswith("K"):
            return 1024 * int(size[:-1])
    return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

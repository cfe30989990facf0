"""How several processes share the tests (`make test` starts one for each of two cores).

A file is run by one process, so that what its tests share is made once. So are the files of a group
below, which share something expensive or would be in each other's way.
"""

from __future__ import annotations

from xdist.scheduler.loadfile import LoadFileScheduling

# Beginnings of paths, below the project's folder. A group is a long piece of work and comes first.
GROUPS = {
    "browser": (
        "tests/web/",
        "tests/engine/test_wasm.py",
        "tests/evaluation/listening/test_server.py",
        # Both ask for the fixture `evaluation`, as does the first file, which opens a browser.
        "tests/evaluation/test_report.py",
        "tests/evaluation/test_results.py",
        "tests/evaluation/test_run.py",
    )
}


def group_of(file: str) -> str | None:
    """Name of the group that a file of tests belongs to, if it does to one."""
    for group, beginnings in GROUPS.items():
        if file.startswith(beginnings):
            return group
    return None


class Scheduling(LoadFileScheduling):
    """As `--dist loadfile`, with groups."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return group_of(file) or file

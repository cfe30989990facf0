"""The sounds of an evaluation report for the page: a table for visitors to listen through."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from timbrel.errors import need_packages

SAMPLES_FILE = "samples.json"


def sample_files(report: str | os.PathLike) -> dict[str, Callable[[], bytes]]:
    """A list of a report's clips, and their sounds, all equally loud.

    The list is JSON: for each clip its condition, instrument, track, start in seconds and path.

    Parameters
    ----------
    report
        A folder that `timbrel evaluate` wrote.

    Raises
    ------
    MissingToolError
        If the packages that measure loudness are not installed.
    InputError
        If it is no report.
    """
    need_packages("evaluate", "a table of samples", "pyloudnorm")
    from timbrel.evaluation.listening.clips import equally_loud, read_clips, sound_path

    files: dict[str, Callable[[], bytes]] = {}
    rows = []
    for number, clip in enumerate(read_clips(report)):
        path = f"samples/{number:04}.flac"
        files[path] = partial(equally_loud, sound_path(report, clip))
        rows.append(
            {
                "condition": clip.condition,
                "instrument": clip.instrument,
                "track": Path(clip.file).stem,
                "start_s": clip.start_s,
                "path": path,
            }
        )
    files[SAMPLES_FILE] = json.dumps(rows).encode
    return files

"""The report of an evaluation: a page with players and pictures, and the numbers as files."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

from timbrel.errors import OutputError
from timbrel.evaluation import figures, page, tables
from timbrel.evaluation.listening.clips import RatedClip, write_clips
from timbrel.evaluation.measuring import sound_path
from timbrel.evaluation.run import Evaluation
from timbrel.files import atomic_path, write_text
from timbrel.progress import Progress, silent

PAGE_FILE, JSON_FILE, CSV_FILE = "report.html", "results.json", "results.csv"
TABLES_FILE, PICTURES_FOLDER = "results.md", "pictures"


def write_report(
    evaluation: Evaluation, folder: str | os.PathLike, *, progress: Progress = silent
) -> None:
    """Write report.html, results.json, .csv and .md, clips.json and pictures into a folder.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    folder = Path(folder)
    results = evaluation.results
    try:
        (folder / PICTURES_FOLDER).mkdir(parents=True, exist_ok=True)
        write_text(folder / JSON_FILE, json.dumps(results.as_dict(), indent=2) + "\n")
        with (
            atomic_path(folder / CSV_FILE) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            rows = list(results.rows())
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        write_text(folder / TABLES_FILE, tables.markdown(results))
        write_clips(folder, _clips(evaluation, folder))
        pictures = figures.draw_all(evaluation, progress=progress)
        for picture in pictures:
            path = folder / PICTURES_FOLDER / f"{picture.name}.{picture.suffix}"
            with atomic_path(path) as temporary:
                temporary.write_bytes(picture.content)
        write_text(folder / PAGE_FILE, page.html(evaluation, pictures))
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from None


def _clips(evaluation: Evaluation, folder: Path) -> Iterator[RatedClip]:
    """Every sound of the report, for listeners."""
    for (excerpt, instrument), work in evaluation.works.items():
        for condition in work.conditions:
            path = sound_path(work, condition).resolve()
            inside = path.is_relative_to(folder.resolve())
            relative = path.relative_to(folder.resolve()) if inside else path
            yield RatedClip(
                condition.name, instrument, excerpt.file, excerpt.start_s, relative.as_posix()
            )

"""Work on many files: a file that cannot be used is reported, and the others are processed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import typer

from timbrel.commands.messages import OUT_OF_MEMORY, complain
from timbrel.errors import InputError

FAILED = 2  # the exit code where something given could not be used

Result = TypeVar("Result")


class Failures:
    """Inputs that could not be used; a `Skip` for functions of the library.

    Parameters
    ----------
    stop_at_first
        Let the first one end the work.
    """

    def __init__(self, *, stop_at_first: bool = False) -> None:
        self._stop = stop_at_first
        self._words: set[str] = set()  # one input may be met several times

    def __call__(self, error: InputError) -> None:
        if self._stop:
            raise error
        if str(error) not in self._words:
            self._words.add(str(error))
            complain(error)

    def end(self, n_in_all: int | None = None) -> None:
        """End the program with the exit code of a failure, if there was one."""
        n = len(self._words)
        if not n:
            return
        if n == n_in_all:
            complain(f"all {n} files failed")
        elif n_in_all is not None:
            complain(f"{n} of {n_in_all} files failed; the others are done")
        else:
            complain(f"{n} {'file' if n == 1 else 'files'} failed; the others are done")
        raise typer.Exit(FAILED)


class Batch:
    """Files that a command works on, one after another.

    Parameters
    ----------
    files
        Their paths; a path may be there twice.
    stop_at_first
        Let the first error end the work. That of a single file always does.
    """

    def __init__(self, files: Sequence[Path], *, stop_at_first: bool = False) -> None:
        self.files = list(files)
        self._failures = Failures(stop_at_first=stop_at_first or len(self.files) == 1)
        self._errors: dict[int, str] = {}

    def each(self, work: Callable[[int], Result]) -> dict[int, Result]:
        """Do something with each file that has not failed until now.

        Parameters
        ----------
        work
            Takes the file's place among all; its error, if any, should name the file.

        Returns
        -------
        dict
            Results by place.
        """
        results = {}
        for place, file in enumerate(self.files):
            if place not in self._errors:
                try:
                    results[place] = work(place)
                except InputError as error:
                    self._fail(place, error)
                except MemoryError:
                    self._fail(place, InputError(f"{file}: {OUT_OF_MEMORY}"))
        return results

    def print_json(self, rows: Mapping[int, dict[str, Any]]) -> None:
        """Print what became of each file, by place; of those that failed, their errors."""
        described = [
            rows.get(place) or {"file": str(file), "error": self._errors[place]}
            for place, file in enumerate(self.files)
        ]
        print(json.dumps(described, indent=2))

    def end(self) -> None:
        """End the program with the exit code of a failure, if a file failed."""
        self._failures.end(len(self.files))

    def _fail(self, place: int, error: InputError) -> None:
        self._failures(error)
        self._errors[place] = str(error)

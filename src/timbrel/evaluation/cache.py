"""A cache of an evaluation's results, keyed by what they were made from.

An interrupted run continues where it stopped, and whatever has not changed is not computed again.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache as remember
from pathlib import Path
from types import ModuleType
from typing import Any

from timbrel.errors import OutputError
from timbrel.files import atomic_path, read_json


def key_of(*parts: Any) -> str:
    """A name for what is made from some parts: strings, numbers, lists of them."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


@remember
def source_key(*modules: ModuleType) -> str:
    """A name for what some modules do: it changes with their text."""
    return key_of(*(inspect.getsource(module) for module in modules))


class Cache:
    """A folder of files, each under a kind and a key.

    Parameters
    ----------
    folder
        Made when the first file is written.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)

    def path(self, kind: str, key: str, suffix: str) -> Path:
        return self.folder / kind / key[:2] / f"{key}{suffix}"

    @contextmanager
    def writing(self, path: Path) -> Iterator[Path]:
        """A temporary path that becomes `path` when it is complete.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                yield temporary
        except (OSError, OutputError) as error:
            why = (
                str(error)
                if isinstance(error, OutputError)
                else (f"{self.folder}: cannot be written ({error.strerror or error})")
            )
            raise OutputError(
                f"{why}; what is finished is kept, and the same command goes on with it"
            ) from None

    def read_json(self, kind: str, key: str) -> Any:
        """What `write_json` wrote, or None."""
        path = self.path(kind, key, ".json")
        return read_json(path) if path.is_file() else None

    def write_json(self, kind: str, key: str, content: Any) -> None:
        with self.writing(self.path(kind, key, ".json")) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")

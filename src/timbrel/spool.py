"""Samples on the disk for as long as they are wanted, so that they can be heard more than once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from timbrel.errors import OutputError

_BLOCK_BYTES = 1 << 20


class Spool:
    """Blocks of samples in a temporary file, which goes when it is closed.

    Parameters
    ----------
    beside
        The file that is to become of it: folders for temporary files often lie in memory.
    columns
        Of the blocks.
    """

    def __init__(self, beside: Path, columns: int) -> None:
        self._beside, self._columns = beside, columns
        try:
            self._file = tempfile.TemporaryFile(prefix=".timbrel-", dir=beside.parent)  # noqa: SIM115
        except OSError as error:
            raise self._failed(error) from None

    def write(self, block: np.ndarray) -> None:
        """Append a block, float32, (samples, columns)."""
        try:
            self._file.write(np.ascontiguousarray(block, np.float32).data)
        except OSError as error:
            raise self._failed(error) from None

    def __iter__(self) -> Iterator[np.ndarray]:
        """All that was written, block by block."""
        row_bytes = 4 * self._columns
        n_bytes = max(_BLOCK_BYTES // row_bytes, 1) * row_bytes
        try:
            self._file.seek(0)
        except OSError as error:  # what was buffered does not fit
            raise self._failed(error) from None
        while data := self._file.read(n_bytes):
            yield np.frombuffer(data, np.float32).reshape(-1, self._columns)

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"{self._beside}: cannot be written ({error.strerror})")

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what is buffered is not wanted any more
            self._file.close()

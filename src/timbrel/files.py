"""Files that Timbrel writes: checked before the work, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timbrel.errors import OutputError


def check_output(path: str | os.PathLike, *, force: bool = False) -> Path:
    """Refuse, before any work is done, an output that could not or should not be written."""
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file")
    if path.exists() and not force:
        raise OutputError(f"{path}: exists; give --force to overwrite it, or another name")
    parent = path.parent
    if parent.exists() and not parent.is_dir():
        raise OutputError(f"{path}: {parent} is not a folder")
    if not parent.exists():
        raise OutputError(f"{path}: the folder {parent} does not exist; create it first")
    if not os.access(parent, os.W_OK):
        raise OutputError(f"{path}: the folder {parent} cannot be written to")
    return path


def check_output_folder(path: str | os.PathLike, *, may_hold: bool, remedy: str) -> Path:
    """Refuse, before any work is done, a folder that holds something, unless it may.

    Parameters
    ----------
    path
        The folder, which need not exist yet.
    may_hold
        Whether it may hold files already.
    remedy
        What the user can do if it must not, such as "give --resume to go on with it".
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: is not a folder")
    if path.exists() and any(path.iterdir()) and not may_hold:
        raise OutputError(f"{path}: is not empty; {remedy}, or another name")
    return path


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`, moved onto it when the block ends without an error.

    So an interrupted run leaves the old file, or none, but never half of one.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=".timbrel-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a finished output gets the permissions of any new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""Files: outputs are checked before work begins and written whole or not at all; text is UTF-8."""

from __future__ import annotations

import codecs
import csv
import errno
import io
import json
import os
import re
import shutil
import stat
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from timbrel.errors import InputError, OutputError, TimbrelError

STDOUT = Path("-")  # as an output: standard output
MAX_NAME_BYTES = 255  # of a file's name; what ext4, APFS and NTFS take, and what archives do
MAX_TEXT_BYTES = 1 << 26
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_output(path: str | os.PathLike, *, force: bool = False, may_create: bool = False) -> Path:
    """Refuse, before any work is done, an output that could not or should not be written.

    Parameters
    ----------
    path
        The file. Pipes and devices exist, and are written to all the same; so is what a symbolic
        link leads to.
    force
        Whether a file that exists may be overwritten.
    may_create
        Whether its folder will be created if need be.
    """
    path = Path(path)
    if path == STDOUT:
        raise OutputError("standard output: takes the sound of 'timbrel render' alone; name a file")
    mode = _mode(path)
    if mode is not None and stat.S_ISDIR(mode):
        raise OutputError(f"{path}: is a folder; name a file")
    if mode is not None and not stat.S_ISREG(mode):
        if not is_stream(path):
            raise OutputError(f"{path}: is neither a file nor a pipe")
        if not os.access(path, os.W_OK):
            raise OutputError(f"{path}: cannot be written to")
        return path
    if mode is not None and not force:
        raise OutputError(f"{path}: exists; give --force to overwrite it, or another name")
    # A link that leads to nothing yet becomes a file where it leads.
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if may_create:
        _check_new_folder(folder)
    elif folder.exists() and not folder.is_dir():
        raise OutputError(f"{path}: {folder} is not a folder")
    elif not folder.exists():
        raise OutputError(f"{path}: the folder {folder} does not exist; create it first")
    elif not os.access(folder, os.W_OK):
        raise OutputError(f"{path}: the folder {folder} cannot be written to")
    return path


def check_distinct(paths: Iterable[Path], remedy: str) -> None:
    """Refuse outputs that would be one file, here or on a system that ignores case.

    Parameters
    ----------
    paths
        Outputs of one run.
    remedy
        What the user can do, such as "rename a clip".
    """
    taken: dict[str, Path] = {}
    for path in paths:
        whole = os.path.realpath(path)
        other = taken.setdefault(unicodedata.normalize("NFC", whole).casefold(), path)
        if other is path:
            continue
        if os.path.realpath(other) == whole:
            raise OutputError(f"{path}: would be written twice; {remedy}")
        raise OutputError(
            f"{other} and {path}: differ in upper and lower case alone, which many file systems "
            f"do not tell apart; {remedy}"
        )


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
    mode = _mode(path)
    if mode is not None and not stat.S_ISDIR(mode):
        raise OutputError(f"{path}: is not a folder")
    if mode is not None and not may_hold and any(path.iterdir()):
        raise OutputError(f"{path}: is not empty; {remedy}, or another name")
    _check_new_folder(path)
    return path


def make_folder(folder: Path) -> None:
    """Create a folder for outputs, unless it is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be created ({error.strerror})") from None


def is_stream(path: str | os.PathLike) -> bool:
    """Whether a path is a pipe or a device such as /dev/stdout, which is written to as it is."""
    mode = _mode(Path(path))
    return mode is not None and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode))


def fitting_name(stem: str, ending: str) -> str:
    """A file's name that file systems take: the stem is cut until the name has 255 bytes.

    Parameters
    ----------
    stem
        What it is about; may hold anything.
    ending
        What must stay whole behind it, such as ".wav" or "-03.wav".
    """
    stem = re.sub(r"[/\\\0]+", "-", stem)
    room = MAX_NAME_BYTES - len(os.fsencode(ending))
    # A character is never cut in two, nor is its accent cut off.
    following = " "
    while stem and (len(os.fsencode(stem)) > room or unicodedata.combining(following)):
        stem, following = stem[:-1], stem[-1]
    return stem + ending


def read_text(path: str | os.PathLike) -> str:
    """The text of a file that a person may have edited: UTF-8, with or without a byte order mark.

    Raises
    ------
    InputError
        If it cannot be read, is no text, or is in another encoding.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_TEXT_BYTES:
        raise InputError(f"{path}: has more than {MAX_TEXT_BYTES >> 20} MiB; is it a text file?")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: is text in UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: is not text in UTF-8 (line {line}); save it as UTF-8") from None
    if "\0" in text:
        raise InputError(f"{path}: holds NUL characters; is it a text file in UTF-8?")
    return text


def read_json(path: str | os.PathLike) -> Any:
    """What a JSON file holds; see `read_text`.

    Raises
    ------
    InputError
        If it cannot be read, or is not JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error})") from None


def read_yaml(path: str | os.PathLike) -> Any:
    """What a YAML file holds; see `read_text`.

    Raises
    ------
    InputError
        If it cannot be read, or is not YAML.
    """
    import yaml

    text = read_text(path)
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        fault = " ".join(str(error).split())  # YAML's own words are many lines
        raise InputError(f"{path}: is not YAML ({fault})") from None


def read_table(path: str | os.PathLike, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file, as spreadsheets write them; see `read_text`.

    Parameters
    ----------
    path
        Its columns are separated by commas, semicolons or tabs, and the first line names them.
    columns
        Those that it must have.

    Returns
    -------
    list
        The values of these columns without blanks around them; empty lines are left out.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column, or a row lacks a value.
    """
    text = read_text(path)
    header = text.partition("\n")[0]
    reader = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), restval=""
    )
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num + 1} cannot be read ({error})") from None
    named = {str(name).strip(): name for name in reader.fieldnames or ()}
    for column in columns:
        if column not in named:
            found = ", ".join(named) or "none"
            raise InputError(f"{path}: has no column '{column}'; its columns are: {found}")
    found_rows = []
    for line, row in rows:
        values = {column: row[named[column]].strip() for column in columns}
        if not any(values.values()):
            continue
        for column, value in values.items():
            if not value:
                raise InputError(f"{path}: line {line} has no {column}")
        found_rows.append(values)
    return found_rows


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`, moved onto it when the block ends without an error.

    So an interrupted run leaves the old file, or none, but never half of one. A symbolic link
    stays, and what it leads to is replaced; into a pipe or a device the finished file is copied.
    """
    path = Path(path)
    into = is_stream(path)
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    folder = Path(tempfile.gettempdir()) if into else target.parent
    try:
        handle, name = tempfile.mkstemp(prefix=".timbrel-", suffix=path.suffix, dir=folder)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if into:
            with temporary.open("rb") as source, path.open("wb") as stream:
                shutil.copyfileobj(source, stream)
            return
        # mkstemp makes files private; a finished output gets the permissions of any new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    except TimbrelError as error:
        # What is said of the temporary file is meant of the one that it would have become.
        raise type(error)(str(error).replace(str(temporary), str(path))) from None
    except OSError as error:
        if error.errno in NO_SPACE:
            raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_table(
    path: str | os.PathLike, rows: Iterable[Mapping[str, object]], columns: Sequence[str]
) -> None:
    """Write rows as a CSV file, whole or not at all; the first line names the columns."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _mode(path: Path) -> int | None:
    """What kind of thing a path is; None where there is nothing, or a link that leads nowhere."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # too long a name, links in a circle, a NUL
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written ({why})") from None


def _check_new_folder(folder: Path) -> None:
    """Refuse a folder that cannot be created or written to."""
    existing = next((some for some in (folder, *folder.parents) if some.exists()), Path())
    if existing.is_dir() and os.access(existing, os.W_OK):
        return
    why = "cannot be written to" if existing.is_dir() else "is not a folder"
    if existing == folder:
        raise OutputError(f"{folder}: {why}")
    raise OutputError(f"{folder}: cannot be created, as {existing} {why}")

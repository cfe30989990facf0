"""Reports of evaluations: tables for people, and the same numbers as JSON."""

from __future__ import annotations

import sys
from pathlib import Path

from timbrel.files import make_folder, write_text


def write_report(folder: Path, name: str, tables: str, content: str) -> None:
    """Write tables (Markdown) and content (JSON) into a folder, which is made if need be."""
    make_folder(folder)
    write_text(folder / f"{name}.md", tables)
    write_text(folder / f"{name}.json", content)


def print_report(folder: Path, name: str, tables: str, content: str, *, as_json: bool) -> None:
    """Print what `write_report` has written, and say where it is."""
    print(content if as_json else tables, end="")
    print(f"{folder / f'{name}.md'}: written", file=sys.stderr)

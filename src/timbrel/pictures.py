"""Pictures that commands write: drawn with matplotlib, which an extra brings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timbrel.errors import InputError, MissingToolError
from timbrel.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".svg", ".pdf")


def new_figure(path: str | os.PathLike, **options: Any) -> Figure:
    """A figure, with matplotlib's `options`, that is to be saved to a path.

    Raises
    ------
    MissingToolError
        If matplotlib is not installed.
    InputError
        If the extension is not that of a picture.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingToolError(
            "drawing needs matplotlib; install it with: pip install 'timbrel[train]'"
        ) from None
    # Matplotlib would add an extension where there is none, and write another file than asked for.
    if Path(path).suffix.lower() not in EXTENSIONS:
        raise InputError(f"{path}: pictures end in {', '.join(EXTENSIONS)}")
    return Figure(layout="constrained", **options)


def save_figure(figure: Figure, path: str | os.PathLike, *, dpi: int) -> None:
    """Write a figure, whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format=Path(path).suffix.lower()[1:])

"""Errors that tell users what to do. The command line prints them on one line and exits with 2."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable

# Characters that control a terminal or break a line: control characters, line separators, and marks
# that change the direction of text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


def printable(text: str) -> str:
    """Text from outside, such as a file's name, in a form that can be printed on one line."""
    return _UNPRINTABLE.sub(" ", text)


class TimbrelError(Exception):
    """The base class of every error that Timbrel raises deliberately."""

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(TimbrelError):
    """An input cannot be used: a file, an option, an array."""


class OutputError(TimbrelError):
    """An output cannot be written to the given place."""


class MissingToolError(TimbrelError):
    """A program, a package or a data file that Timbrel depends on is not installed."""


class LoudnessWarning(UserWarning):
    """The loudness of a sound is not what was asked for."""


# Called for each of several inputs that cannot be used; if it returns, work continues without it.
Skip = Callable[[InputError], None]


def refuse(error: InputError) -> None:
    """Skip nothing: the `Skip` with which the first error ends the work."""
    raise error


def need_training() -> None:
    """Raise an error if the packages of the extra ``train`` are missing."""
    need_packages("train", "training", "joblib", "torch")


def need_packages(extra: str, what: str, *packages: str) -> None:
    """Raise an error that says how to install the packages of an extra, if one is missing."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingToolError(
                f"{what} needs {error.name}; install it with: pip install 'timbrel[{extra}]'"
            ) from None

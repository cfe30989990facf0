"""Errors that tell a user what to do. The command line prints them on one line, exit code 2."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable

# What steers a terminal or breaks a line: control characters, line separators, marks that turn the
# direction of text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


def printable(text: str) -> str:
    """Text that came from outside, such as a file's name, as it may be printed on one line."""
    return _UNPRINTABLE.sub(" ", text)


class TimbrelError(Exception):
    """The base of every error that Timbrel raises on purpose."""

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(TimbrelError):
    """Something that was given cannot be used: a file, an option, an array."""


class OutputError(TimbrelError):
    """Something cannot be written where it was asked for."""


class MissingToolError(TimbrelError):
    """A program, a package or a data file outside Timbrel is needed and not installed."""


class LoudnessWarning(UserWarning):
    """The loudness of a sound is not what was asked for."""


# Told of one input of many that cannot be used; returns where the work goes on without it.
Skip = Callable[[InputError], None]


def refuse(error: InputError) -> None:
    """Go on without nothing: the `Skip` that lets the first error end the work."""
    raise error


def need_training() -> None:
    """Refuse to go on without the packages of the extra ``train``."""
    need_packages("train", "training", "joblib", "torch")


def need_packages(extra: str, what: str, *packages: str) -> None:
    """Say how to install what a command needs beyond what rendering does."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingToolError(
                f"{what} needs {error.name}; install it with: pip install 'timbrel[{extra}]'"
            ) from None

"""Errors that tell a user what to do. The command line prints them on one line, exit code 2."""


class TimbrelError(Exception):
    """The base of every error that Timbrel raises on purpose."""


class InputError(TimbrelError):
    """Something that was given cannot be used: a file, an option, an array."""


class OutputError(TimbrelError):
    """Something cannot be written where it was asked for."""


class MissingToolError(TimbrelError):
    """A program, a package or a data file outside Timbrel is needed and not installed."""

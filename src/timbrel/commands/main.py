"""The program's entry point. Errors are one line on stderr, exit code 2."""

from __future__ import annotations

import os
import signal
import sys

import typer

from timbrel.commands.app import app
from timbrel.errors import TimbrelError, printable

_UsageError = typer.BadParameter.__base__  # Typer does not name it
_INTERRUPTED = 130  # what a shell gives, and Typer, for a program that an interrupt ended


def main() -> None:
    """Run the command line; the entry point of the program `timbrel`."""
    # Names of files may hold what the terminal's encoding does not.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # As an interrupt does, a termination lets temporary files be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        exit_code = app(standalone_mode=False)
        sys.stdout.flush()
    except _UsageError as error:  # type: ignore[misc]
        context = error.ctx
        message = error.format_message().rstrip(".")
        command = context.command_path if context else "timbrel"
        _fail(f"{message[:1].lower()}{message[1:]} (see '{command} --help')")
    except TimbrelError as error:
        _fail(str(error))
    except MemoryError:
        _fail("there is not enough memory; render a shorter --duration or fewer tracks")
    except BrokenPipeError:
        # Whoever read the output has read enough. Python would complain when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        exit_code = _INTERRUPTED
    if exit_code == _INTERRUPTED:
        print("timbrel: interrupted", file=sys.stderr)
    raise SystemExit(exit_code or 0)


def _fail(message: str) -> None:
    print(f"timbrel: {' '.join(printable(message).split())}", file=sys.stderr)
    raise SystemExit(2)

"""The program's entry point. An error is one line on stderr and exit code 2."""

from __future__ import annotations

# Slow imports come later, when an interrupt during them can no longer do harm.
import os
import signal
import sys

_FAILED, _CUT_OFF, _INTERRUPTED = 2, 1, 130  # exit codes; the last one as shells give it
# Signals that end the program. Closing the terminal sends SIGHUP, on systems that have it.
_ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def main() -> None:
    """Run the command line; the entry point of the program `timbrel`."""
    _open_streams()
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    for number in _ENDINGS:
        if signal.getsignal(number) == signal.SIG_DFL:  # `nohup` has SIGHUP ignored
            signal.signal(number, _end)
    exit_code = _run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        exit_code = exit_code or _CUT_OFF
    except OSError as error:
        exit_code = _complained(f"standard output: {error.strerror}")
    # Python would complain once more of what it cannot write when it ends.
    _forget_unwritten()
    raise SystemExit(exit_code)


def _run() -> int:
    """Run the command, and say what goes wrong; gives the exit code."""
    import typer

    from timbrel.commands.app import app
    from timbrel.commands.messages import OUT_OF_MEMORY
    from timbrel.errors import TimbrelError
    from timbrel.files import NO_SPACE

    usage_error = typer.BadParameter.__base__  # Typer does not name it
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        exit_code = app(standalone_mode=False) or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except usage_error as error:  # type: ignore[misc]
        message = error.format_message().rstrip(".")
        command = error.ctx.command_path if error.ctx else "timbrel"
        return _complained(f"{message[:1].lower()}{message[1:]} (see '{command} --help')")
    except TimbrelError as error:
        return _complained(error)
    except MemoryError:
        return _complained(OUT_OF_MEMORY)
    except BrokenPipeError:  # whoever read the output has read enough
        return _CUT_OFF
    except OSError as error:
        # Files that cannot be written are named where they are written.
        nameless = "standard output" if error.errno in NO_SPACE else "the system"
        return _complained(f"{error.filename or nameless}: {error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        exit_code = _INTERRUPTED
    return _complained("interrupted", exit_code) if exit_code == _INTERRUPTED else exit_code


def _complained(message: object, exit_code: int = _FAILED) -> int:
    from timbrel.commands.messages import complain

    complain(message)
    return exit_code


def _open_streams() -> None:
    """Have a standard input, output and error stream, also where a shell has closed them.

    A file that is opened later would take the place of a closed one, and what is printed would be
    written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    # Names of files may hold what the terminal's encoding does not.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _forget_unwritten() -> None:
    """Let what could not be written to standard output go nowhere."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(*_: object) -> None:
    """End at once: nothing is begun yet, and an exception amid an import can get lost."""
    os.write(2, b"timbrel: interrupted\n")
    os._exit(_INTERRUPTED)


def _interrupt(*_: object) -> None:
    _ignore_endings()
    raise KeyboardInterrupt


def _end(number: int, _frame: object) -> None:
    """As an interrupt does, let temporary files be removed."""
    _ignore_endings()
    raise SystemExit(128 + number)


def _ignore_endings() -> None:
    """What ends the program may come twice, as where a terminal is closed; once is enough."""
    for number in (signal.SIGINT, *_ENDINGS):
        # Not SIG_IGN: Python complains of a signal that came before and is heeded after that.
        signal.signal(number, _heed_not)


def _heed_not(*_: object) -> None:
    """Do nothing about a signal."""

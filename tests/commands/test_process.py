"""The program as a process: closed streams, full devices, signals, threads, addresses."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from support.command_line import TIMBREL, failure_of, files, note, run, write_midi
from timbrel.commands import options
from timbrel.errors import InputError
from timbrel.machine import n_cores, n_processes, within_cores
from timbrel.sockets import listening_socket, url_of

pytestmark = pytest.mark.usefixtures("songs")

LIMIT_S = 600  # for machines that are busy with other things
# To reach a loudness, a file is written when all of its sound is known.
AT_ONCE = ("--gain", "0")


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=LIMIT_S)


# Streams


@pytest.mark.parametrize(
    ("redirections", "arguments", "exit_code", "error"),
    [
        (">&-", "inspect song.mid", 0, ""),
        (">&- 2>&-", "inspect song.mid", 0, ""),
        ("<&- >&- 2>&-", "inspect song.mid", 0, ""),
        (">&-", "inspect missing.mid", 2, "timbrel: missing.mid: cannot be read (No such file"),
        ("2>&-", "inspect missing.mid", 2, ""),
        ("<&-", "inspect song.mid --plot roll.svg", 0, ""),
        (">&-", "--help", 0, ""),
        (">&-", "--version", 0, ""),
        (">/dev/full", "inspect song.mid", 2, "timbrel: standard output: No space left on device"),
        (">/dev/full", "--help", 2, "timbrel: standard output: No space left on device"),
        (">/dev/full", "inspect song.mid --json", 2, "timbrel: standard output: No space left on"),
        ("2>/dev/full", "inspect missing.mid", 2, ""),
        ("| true", "inspect song.mid song.mid", None, ""),
    ],
)
def test_streams_that_are_closed_or_full(
    redirections: str, arguments: str, exit_code: int | None, error: str
) -> None:
    done = shell(f"{TIMBREL} {arguments} {redirections}")
    if exit_code is not None:
        assert done.returncode == exit_code
    assert done.stderr.startswith(error)
    assert done.stderr.count("\n") == bool(error)


def test_what_is_printed_gets_into_no_file(model: tuple[str, str]) -> None:
    """A file that is opened takes the number of a stream that is closed."""
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        given = f"render odd.mid {' '.join(model)} -o out.wav --force"
        assert shell(f"{TIMBREL} {given} {closed}").returncode == 0
        with_stream = Path("out.wav").read_bytes()
        assert with_stream[:4] == b"RIFF"
        assert len(with_stream) == 44 + 4 * round(3.512 * 16_000)


# Signals


def heed_signals() -> None:
    """What runs the tests in the background, or by nohup, has its children ignore some."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def begin(*command: object, **given: object) -> subprocess.Popen[str]:
    """A process that signals end."""
    return subprocess.Popen(
        [*map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_signals,
        **given,  # type: ignore[call-overload]
    )


def wait_until_it_writes(process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + LIMIT_S
    while not any(path.stat().st_size > 1000 for path in Path().glob(".timbrel-*")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "exit_code", "error"),
    [
        (signal.SIGHUP, 129, ""),
        (signal.SIGINT, 130, "timbrel: interrupted\n"),
        (signal.SIGTERM, 143, ""),
    ],
)
def test_what_ends_a_render_leaves_nothing(
    model: tuple[str, str], number: signal.Signals, exit_code: int, error: str
) -> None:
    write_midi("long.mid", note(60, ms=3_000_000))
    process = begin(
        TIMBREL, "render", "long.mid", *model, *AT_ONCE, "-o", "out.wav", "--stems", "stems"
    )
    wait_until_it_writes(process)
    process.send_signal(number)
    _, said = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, said) == (exit_code, error)
    assert files() == set()


def test_several_signals_in_a_row_do_not_cut_the_cleaning_short(model: tuple[str, str]) -> None:
    write_midi("long.mid", note(60, ms=3_000_000))
    process = begin(
        TIMBREL, "render", "long.mid", *model, *AT_ONCE, "-o", "out.wav", "--stems", "stems"
    )
    wait_until_it_writes(process)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        process.send_signal(number)
        time.sleep(0.002)
    _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode in (129, -signal.SIGHUP, -signal.SIGTERM, -signal.SIGINT)
    assert "Traceback" not in said
    assert files() == set()


def test_a_terminal_that_is_closed_leaves_nothing(model: tuple[str, str]) -> None:
    write_midi("long.mid", note(60, ms=3_000_000))
    child, terminal = pty.fork()
    if child == 0:
        heed_signals()
        os.execv(TIMBREL, [str(TIMBREL), "render", "long.mid", *model, *AT_ONCE, "-o", "out.wav"])
    until = time.monotonic() + LIMIT_S
    while not any(path.stat().st_size > 1000 for path in Path().glob(".timbrel-*")):
        assert time.monotonic() < until
        time.sleep(0.02)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert status != 0  # what it cannot draw on the terminal may end it before the signal does
    assert files() == set()


def test_who_runs_it_with_nohup_means_it(model: tuple[str, str]) -> None:
    process = subprocess.Popen(
        [TIMBREL, "render", "song.mid", *model, "-o", "out.wav"],
        stderr=subprocess.PIPE,
        # As nohup does before it becomes the program; a signal might come before nohup has.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    while process.poll() is None:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    process.communicate()
    assert process.returncode == 0
    assert files() == {"out.wav"}


# Sends an interrupt to itself when a module begins to be imported.
INTERRUPTED_IMPORT = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

from timbrel.commands.main import main
sys.meta_path.insert(0, Interrupt())
sys.argv = ["timbrel", "render", "song.mid", "--model", {model!r}, "-o", "out.wav"]
main()
"""


@pytest.mark.parametrize(
    "module",
    [
        *("typer", "timbrel.commands.app", "timbrel.errors", "timbrel.commands.render", "json"),
        *("numpy", "timbrel.score.midi", "timbrel.synthesizer", "onnxruntime", "soundfile"),
    ],
)
def test_an_interrupt_while_it_starts_is_one_line(model: tuple[str, str], module: str) -> None:
    code = INTERRUPTED_IMPORT.format(module=module, model=model[1])
    process = begin(sys.executable, "-c", code)
    _, error = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, error) == (130, "timbrel: interrupted\n")
    assert files() == set()


def test_the_entry_point_imports_next_to_nothing_before_it_is_ready() -> None:
    """An interrupt at that time would end in a traceback."""
    code = "import timbrel.commands.main, sys; print(*sys.modules)"
    plain = subprocess.run(
        [sys.executable, "-c", "import signal, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    more = set(done.stdout.split()) - set(plain.stdout.split())
    own = {"timbrel", "timbrel.commands", "timbrel.commands.main"}
    assert own <= more
    # What finds the modules of an editable installation may need some of the library's.
    assert not {name for name in more - own if name.partition(".")[0] in ("typer", "numpy", "rich")}
    assert not {name for name in more - own if name.startswith("timbrel.")}


# Threads and processes


def test_no_more_threads_than_cores() -> None:
    cores = n_cores()
    assert 1 <= cores <= (os.cpu_count() or 1)
    assert [within_cores(n) for n in (1, cores, cores + 1, 100_000)] == [1, cores, cores, cores]
    assert [n_processes(n) for n in (-1, 1, 100_000)] == [cores, 1, cores]
    for wrong in (0, -5):
        with pytest.raises(InputError, match=f"threads must be 1 or more, not {wrong}"):
            within_cores(wrong)
    for wrong in (0, -2):
        with pytest.raises(InputError, match=f"jobs must be 1 or more, or -1 .* not {wrong}"):
            n_processes(wrong)


def test_more_threads_than_the_machine_has_are_bounded(model: tuple[str, str]) -> None:
    done = run("render", "song.mid", *model, "--threads", 100_000)
    cores = "1 core" if n_cores() == 1 else f"{n_cores()} cores"
    assert done.returncode == 0
    assert done.stderr == (
        f"timbrel: --threads 100000: this machine has {cores}; {n_cores()} will do\n"
    )
    assert files() == {"song.wav"}


@pytest.mark.parametrize(
    "command",
    [
        ("prepare", ".", "--soundfont", "x.sf2", "-o", "data"),
        ("evaluate", "--midi", ".", "--soundfont", "x.sf2", "-o", "report"),
        ("notes", "prepare", "--soundfont", "x.sf2", "-o", "data"),
    ],
)
def test_no_jobs_are_refused(command: tuple[str, ...]) -> None:
    assert failure_of(*command, "--jobs", 0) == "--jobs must not be 0"


def test_jobs_are_bounded_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(options, "n_cores", lambda: 4)

    class Option:
        opts = ("--jobs",)

    assert [options.within_machine(Option, n) for n in (-1, None, 3, 4, 5)] == [-1, None, 3, 4, 4]
    assert capsys.readouterr().err == "timbrel: --jobs 5: this machine has 4 cores; 4 will do\n"


# Addresses


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:"), ("localhost", "http://")],
)
def test_the_page_is_served_at_any_address(host: str, url: str) -> None:
    served = "from timbrel.web import page; page.page_files = lambda *a, **k: {'index.html': bytes}"
    code = f"{served}\nfrom timbrel.commands.main import main; main()"
    command = [sys.executable, "-c", code, "serve", "--host", host, "--port", "0"]
    process = begin(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith(url)
    with urllib.request.urlopen(line.split()[0], timeout=LIMIT_S) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.1", "192.0.2.1:8765: cannot be served (Cannot assign requested address)"),
        ("2001:db8::1", "[2001:db8::1]:8765: cannot be served ("),
        ("nowhere.invalid", "nowhere.invalid:8765: cannot be served ("),
        ("::1::", "[::1::]:8765: cannot be served ("),
        ("", None),
    ],
)
def test_addresses_of_others_are_refused(host: str, message: str | None) -> None:
    if message is None:  # all addresses
        with listening_socket(host, 0) as listener:
            assert url_of(listener).startswith("http://0.0.0.0:")
        return
    with pytest.raises(InputError) as error:
        listening_socket(host, 8765)
    assert str(error.value).startswith(message)
    assert str(error.value).endswith("; give another --host or --port")


def test_a_port_that_is_taken_is_named() -> None:
    for host, shown in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
        with listening_socket(host, 0) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(InputError) as error:
                listening_socket(host, port)
            assert str(error.value).startswith(f"{shown}:{port}: cannot be served (Address already")

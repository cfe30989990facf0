"""The program as a whole: its help, its errors, and what it loads."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import timbrel
from support.command_line import TIMBREL, failure_of, run
from timbrel.bundles.bundle import Bundle

COMMANDS = [
    *("render", "inspect", "timbres", "serve", "page"),
    *("prepare", "train", "export", "evaluate synthesis", "evaluate programs", "listen"),
]

pytestmark = pytest.mark.usefixtures("songs")


def test_the_version_is_that_of_the_package() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"timbrel {timbrel.__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_the_help_lists_the_commands(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    for command in {command.split()[0] for command in COMMANDS}:
        assert re.search(rf"^\W*{command}  ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_its_options(command: str) -> None:
    done = run(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall(r"^\W*--[a-z-]+.*[a-z]", done.stdout, re.MULTILINE)) >= 2
    if command == "render":
        words = re.sub(r"[^\w.-]+", " ", done.stdout)  # without the frame around them
        assert "By default the vocoder that was made for the model." in words


def test_bash_completes_commands_and_options() -> None:
    assert "--install-completion" in run("--help").stdout
    # Which shell it is for is told by the process that asks.
    asked = f"{TIMBREL} --show-completion; exit $?"
    script = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
    assert script.returncode == 0
    assert "_TIMBREL_COMPLETE=complete_bash" in script.stdout
    for words, completed in (
        ("timbrel re", {"recognise", "render"}),
        ("timbrel render --st", {"--start", "--stems", "--stems-kind", "--stop-at-first"}),
    ):
        done = run(
            _TIMBREL_COMPLETE="complete_bash",
            COMP_WORDS=words,
            COMP_CWORD=str(len(words.split()) - 1),
        )
        assert set(done.stdout.split()) == completed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["render"], "missing argument 'SONG.mid' (see 'timbrel render --help')"),
        (["render", "song.mid", "--timbr", "harp"], "no such option: --timbr"),
        (["render", "song.mid", "--seed", "-1"], "invalid value for '--seed'"),
        (["render", "song.mid", "--start", "soon"], "invalid value for '--start'"),
        (["render", "song.mid", "-o"], "requires an argument"),
        (["rendr", "song.mid"], "no such command 'rendr'"),
        (["--colour"], "no such option: --colour"),
    ],
)
def test_what_is_not_understood_is_one_line_with_a_way_out(
    arguments: list[str], message: str
) -> None:
    assert message in failure_of(*arguments)


def loaded_after(code: str) -> set[str]:
    """Heavy packages that are loaded after some code has run in a process of its own."""
    heavy = ("torch", "numpy", "typer", "onnxruntime", "librosa", "matplotlib", "onnx")
    code += f"\nimport sys; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.strip() else set()


def test_importing_timbrel_loads_next_to_nothing() -> None:
    assert loaded_after("import timbrel; timbrel.__version__; dir(timbrel)") == set()


def test_rendering_does_not_load_torch(tiny_bundle: Bundle) -> None:
    code = (
        "import timbrel\n"
        f"synthesizer = timbrel.Synthesizer.load({str(tiny_bundle.path)!r})\n"
        "assert synthesizer.render('other.mid').any()"
    )
    assert loaded_after(code) == {"numpy", "onnxruntime"}


def test_all_that_is_public_can_be_had() -> None:
    assert len(timbrel.__all__) <= 18
    for name in timbrel.__all__:
        assert getattr(timbrel, name).__doc__
        assert name in dir(timbrel)
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        _ = timbrel.missing

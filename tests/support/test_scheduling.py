"""How several processes share the tests."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]

CONFTEST = """
from support.scheduling import Scheduling

def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)
"""
PASSES = "def test_passes():\n    pass\n"
CRASHES = "import os\n\ndef test_crashes():\n    os.abort()\n"


def test_run_ends_when_a_process_crashes(tmp_path: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text().replace("\\\n", "")
    options = re.search(r"^TWO_PROCESSES := (.*)$", makefile, re.MULTILINE)
    assert options
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for name in "abcdefgh":
        text = CRASHES if name == "e" else PASSES
        (tmp_path / f"test_{name}.py").write_text(text)
    given = [*shlex.split(options[1]), "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *given, "-o", f"pythonpath={PROJECT / 'tests'}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "crashed while running 'test_e.py::test_crashes'" in done.stdout
    assert re.search(r"1 failed, \d passed", done.stdout)

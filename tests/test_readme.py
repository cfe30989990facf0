"""Every command of the README runs as printed, in its order, in an empty folder.

A block below a comment ``<!-- not run: why -->`` is left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import soundfile

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(<!-- not run: [^>]+-->\n)?```(\w*)\n(.*?)```", re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Languages ("" for the shell) and texts of what is to be run."""
    found = BLOCK.findall(README.read_text())
    return [(language, text) for why, language, text in found if not why and language != "bibtex"]


def test_every_command_runs_in_its_order(tmp_path: Path) -> None:
    programs = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    for language, text in blocks():
        command = ["bash", "-euc", text] if not language else [sys.executable, "-c", text]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stderr}"
    for path in tmp_path.glob("*.wav"):
        assert soundfile.info(path).duration > 1
    assert (tmp_path / "mine.flac").exists()
    assert len(list((tmp_path / "morphs").iterdir())) >= 3


def test_most_of_it_is_run() -> None:
    assert len(blocks()) >= 4
    assert {language for language, _ in blocks()} == {"", "python"}

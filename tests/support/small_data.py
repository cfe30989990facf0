"""Small training data that several tests share: three scores, two instruments.

The fixtures that make it are in `small_fixtures`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from timbrel.training.recipe import Recipe

TWO_INSTRUMENTS = {"grand piano": 0, "trumpet": 56}
LICENSE, ATTRIBUTION = "CC0", "Of no use."
SPLITS = {
    "prelude/a.mid": "train",
    "prelude/b.mid": "train",
    "duet/c.mid": "valid",
    "duet/d.mid": "test",
    "duet/e.mid": "unused",
}
SPANS = {  # seconds of the bundled examples
    "prelude/a.mid": ("prelude.mid", 0.0, 4.0),
    "prelude/b.mid": ("prelude.mid", 20.0, 2.5),
    "duet/c.mid": ("duet.mid", 10.0, 3.0),
    "duet/d.mid": ("duet.mid", 20.0, 2.0),
    "duet/e.mid": ("duet.mid", 30.0, 2.0),
}

# The command line, with a set of two instruments: `timbrel` itself knows ten.
_COMMAND = f"""
from timbrel.score.instruments import INSTRUMENT_SETS
INSTRUMENT_SETS["two"] = {TWO_INSTRUMENTS!r}
from timbrel.commands.main import main
main()
"""


def start_timbrel(*arguments: object) -> subprocess.Popen[str]:
    """Start the command line in a process of its own, on one thread."""
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        start_new_session=True,
    )


def kill_at_once(process: subprocess.Popen[str]) -> None:
    """Kill what `start_timbrel` started, as kill -9 or a power cut does: with all its workers.

    Workers that survived would hold the pipe of the output open for minutes.
    """
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


def run_timbrel(*arguments: object) -> tuple[int, str]:
    """Run the command line; gives its exit code, and all that it says."""
    process = start_timbrel(*arguments)
    output, _ = process.communicate(timeout=900)
    return process.returncode, output


def small_recipe(**changes: Any) -> Recipe:
    """Sixty steps of a Mel2Mel of sixteen units."""
    given: dict[str, Any] = {
        "task": "mel2mel",
        "steps": 60,
        "batch_size": 4,
        "learning_rate": 0.01,
        "model": {"hidden_size": 16},
        "options": {"crop_frames": 64, "crops_per_visit": 4},
        "warmup_steps": 5,
        "decay_steps": 20,
        "ema_decay": 0.9,
        "precision": "float32",
        "seed": 3,
        "validate_every": 30,
        "checkpoint_every": 10,
        **changes,
    }
    return Recipe(**given)

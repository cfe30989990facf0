"""How long Timbrel takes before it does anything, and what it loads for that. Writes JSON.

Each command is run several times in a process of its own; the median is taken.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

TIMBREL = Path(sys.executable).with_name("timbrel")
EXAMPLE = Path(__file__).parents[1] / "src" / "timbrel" / "examples" / "duet.mid"
HEAVY = ("torch", "numpy", "onnxruntime", "soundfile", "soxr", "mido", "typer", "rich")
COMMANDS = {
    "python": [sys.executable, "-c", ""],
    "import timbrel": [sys.executable, "-c", "import timbrel"],
    "timbrel --version": [TIMBREL, "--version"],
    "timbrel --help": [TIMBREL, "--help"],
    "timbrel render --help": [TIMBREL, "render", "--help"],
    "timbrel inspect": [TIMBREL, "inspect", EXAMPLE],
}
LIMITS_S = {"import timbrel": 0.5, "timbrel --help": 0.7}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out/startup.json"))
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()

    took_s = {name: _median_s(command, arguments.runs) for name, command in COMMANDS.items()}
    content = {
        "took_s": took_s,
        "within_limits": {name: took_s[name] < limit for name, limit in LIMITS_S.items()},
        "loaded_by_import": _loaded("import timbrel"),
        "loaded_by_synthesizer": _loaded("from timbrel import Synthesizer"),
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps(content, indent=2))


def _median_s(command: list, runs: int) -> float:
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return round(statistics.median(times), 3)


def _loaded(code: str) -> list[str]:
    """Which of the heavy packages some code imports."""
    code += f"; import sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


if __name__ == "__main__":
    main()

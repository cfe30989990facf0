"""What the benchmarks share: commands that are measured as others run them, and what ran them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mido

from timbrel.machine import description

TIMBREL = Path(sys.executable).with_name("timbrel")
TICKS_A_SECOND = 1000


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    wall_s: float
    cpu_s: float  # of all threads
    peak_mb: float


def cost_of(command: list) -> Cost:
    """Run a command in a process of its own."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    # Linux counts kilobytes, macOS bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def saved(path: Path, tracks: list[mido.MidiTrack]) -> Path:
    """Write tracks as a MIDI file, with `TICKS_A_SECOND`."""
    mido.MidiFile(ticks_per_beat=TICKS_A_SECOND // 2, tracks=tracks).save(path)
    return path


def report(output: Path, **content: Any) -> None:
    """Write a benchmark's results as JSON, and print them."""
    text = json.dumps({"machine": description(), **content}, indent=2)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text + "\n")
    print(text)

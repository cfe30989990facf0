"""Speed of the whole way from MIDI to sound on one core, beside FluidSynth on the same file.

Each command is run several times in a process of its own, and the median is taken. Writes JSON.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path

import soundfile
from measuring import TIMBREL, cost_of, report

from timbrel.constants import DEFAULT_MODEL, SMALL_MODEL

EXAMPLES = Path(__file__).parents[1] / "src" / "timbrel" / "examples"
SOUNDFONT = Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out/render.json"))
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()

    results = [
        _render(name, model, arguments.runs)
        for model in (DEFAULT_MODEL, SMALL_MODEL)
        for name in ("prelude.mid", "duet.mid")
    ]
    report(arguments.output, results=results)


def _render(name: str, model: str, runs: int) -> dict[str, float | str | None]:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "out.wav")
        command = [TIMBREL, "render", EXAMPLES / name, "--model", model, "-o", output]
        command += ["--force", "--threads", "1"]
        took_s = _median(command, runs)
        info = soundfile.info(output)
        duration_s = info.frames / info.samplerate
        fluidsynth_s = None
        if shutil.which("fluidsynth") and SOUNDFONT.exists():
            peer = ["fluidsynth", "-ni", "-q", "-r", str(info.samplerate)]
            peer += ["-o", "synth.dynamic-sample-loading=1", "-F", output, SOUNDFONT]
            fluidsynth_s = _median([*peer, EXAMPLES / name], runs)
    return {
        "file": name,
        "model": model,
        "duration_s": round(duration_s, 2),
        "took_s": round(took_s, 3),
        "real_time_factor": round(took_s / duration_s, 4),
        "fluidsynth_s": fluidsynth_s and round(fluidsynth_s, 3),
    }


def _median(command: list, runs: int) -> float:
    """Seconds of a command from start to end on one core, the median of several runs."""
    return round(statistics.median(cost_of(command).wall_s for _ in range(runs)), 4)


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    main()

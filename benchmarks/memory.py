"""Memory of `timbrel render` for a short and a long piece: it is not to grow. Writes JSON.

The pieces are one note a second. The hour takes as long as it takes to render an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mido

from timbrel.constants import SMALL_MODEL

TIMBREL = Path(sys.executable).with_name("timbrel")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out/memory.json"))
    parser.add_argument("--minutes", type=float, nargs=2, default=(2, 60))
    parser.add_argument("--model", default=SMALL_MODEL)
    arguments = parser.parse_args()

    pieces = [_measure(minutes, arguments.model) for minutes in arguments.minutes]
    content = {
        "model": arguments.model,
        "pieces": pieces,
        "ratio": round(pieces[1]["peak_mb"] / pieces[0]["peak_mb"], 3),
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps(content, indent=2))


def _measure(minutes: float, model: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder, "song.mid")
        _write_song(song, n_notes=round(60 * minutes))
        command = [TIMBREL, "render", song, "--model", model, "-o", Path(folder, "song.wav")]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command} failed")
    # Linux counts kilobytes, macOS bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return {
        "minutes": minutes,
        "peak_mb": round(usage.ru_maxrss / unit, 1),
        "took_s": round(time.perf_counter() - began, 1),
    }


def _write_song(path: Path, *, n_notes: int) -> None:
    midi = mido.MidiFile(ticks_per_beat=500)  # a tick is a millisecond
    track = mido.MidiTrack()
    for number in range(n_notes):
        pitch = 40 + number % 40
        track.append(mido.Message("note_on", note=pitch, velocity=90, time=0))
        track.append(mido.Message("note_off", note=pitch, time=1000))
    midi.tracks.append(track)
    midi.save(path)


if __name__ == "__main__":
    main()

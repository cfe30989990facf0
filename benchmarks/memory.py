"""Memory of `timbrel render` for a short and a long piece: it is not to grow. Writes JSON.

The pieces are one note a second. The hour takes as long as it takes to render an hour.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import mido
from measuring import TICKS_A_SECOND, TIMBREL, cost_of, report, saved

from timbrel.constants import DEFAULT_MODEL


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out/memory.json"))
    parser.add_argument("--minutes", type=float, nargs=2, default=(2, 60))
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()

    pieces = [_measure(minutes, arguments.model) for minutes in arguments.minutes]
    ratio = round(pieces[1]["peak_mb"] / pieces[0]["peak_mb"], 3)
    report(arguments.output, model=arguments.model, pieces=pieces, ratio=ratio)


def _measure(minutes: float, model: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        song = saved(Path(folder, "song.mid"), [_notes(round(60 * minutes))])
        command = [TIMBREL, "render", song, "--model", model, "-o", Path(folder, "song.wav")]
        cost = cost_of(command)
    return {
        "minutes": minutes,
        "peak_mb": round(cost.peak_mb, 1),
        "took_s": round(cost.wall_s, 1),
    }


def _notes(n: int) -> mido.MidiTrack:
    """One note a second."""
    track = mido.MidiTrack()
    for number in range(n):
        pitch = 40 + number % 40
        track.append(mido.Message("note_on", note=pitch, velocity=90))
        track.append(mido.Message("note_off", note=pitch, time=TICKS_A_SECOND))
    return track


if __name__ == "__main__":
    main()

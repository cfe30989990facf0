"""Whether cost follows what sounds: ratios of processor time within one run. Writes JSON.

- A tune of four seconds, and the same four seconds of a file in which 128 programs follow.
- A piece of several parts of one piano, its parts as voices and each part by itself (`--stems`);
  bach_846 of the piano-midi.de corpus where that is present (TIMBREL_CORPUS), else a made one.
- A track of a thousand notes a second, alone and among seven with one long note each.

Each command is run in a process of its own, and the least time of several runs is taken.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import mido
from measuring import TICKS_A_SECOND, TIMBREL, Cost, cost_of, report, saved

from timbrel.constants import SMALL_MODEL

CORPUS = Path(os.environ.get("TIMBREL_CORPUS", "piano-midi.de"))
MODEL = ("--model", SMALL_MODEL)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out/voices.json"))
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bach = CORPUS / "Bach" / "bach_846.mid"
        parts = bach if bach.is_file() else saved(folder / "parts.mid", _parts())
        stems = ["--stems", folder / "stems"]
        comparisons = [
            (
                "128 programs after a tune",
                [saved(folder / "tune.mid", _tune()), "--duration", "4"],
                [saved(folder / "programs.mid", _programs()), "--duration", "4"],
            ),
            (f"parts of one piano each by itself ({parts.name})", [parts], [parts, *stems]),
            (
                "seven long notes beside a dense track",
                [saved(folder / "dense.mid", [_dense()]), "--duration", "2"],
                [saved(folder / "beside.mid", [_dense(), *_long()]), "--duration", "2"],
            ),
        ]
        results = [_compared(*one, folder / "out.wav", arguments.runs) for one in comparisons]
    report(arguments.output, results=results)


def _compared(what: str, base: list, other: list, output: Path, runs: int) -> dict[str, Any]:
    """Processor time and memory of two renders, taken in turn."""
    measured = [[_render(one, output) for one in (base, other)] for _ in range(runs)]
    base_s, other_s = (min(run[i].cpu_s for run in measured) for i in range(2))
    base_mb, other_mb = (max(run[i].peak_mb for run in measured) for i in range(2))
    return {
        "what": what,
        "base_cpu_s": round(base_s, 2),
        "cpu_s": round(other_s, 2),
        "ratio": round(other_s / base_s, 3),
        "base_peak_mb": round(base_mb),
        "peak_mb": round(other_mb),
    }


def _render(arguments: list, output: Path) -> Cost:
    """What a render on one thread takes."""
    return cost_of(
        [TIMBREL, "render", *MODEL, *arguments, "-o", output, "--force", "--threads", "1"]
    )


def _note(pitch: int, seconds: float, *, channel: int = 0) -> list[mido.Message]:
    ticks = round(seconds * TICKS_A_SECOND)
    return [
        mido.Message("note_on", note=pitch, velocity=90, channel=channel),
        mido.Message("note_off", note=pitch, time=ticks, channel=channel),
    ]


def _tune() -> list[mido.MidiTrack]:
    return [mido.MidiTrack(m for step in (0, 2, 4, 5) * 2 for m in _note(60 + step, 0.5))]


def _programs() -> list[mido.MidiTrack]:
    (track,) = _tune()
    track.append(mido.Message("note_on", note=60, velocity=90, time=20 * TICKS_A_SECOND))
    track.append(mido.Message("note_off", note=60, time=TICKS_A_SECOND))
    for program in range(128):
        track.append(mido.Message("program_change", program=program))
        track += _note(60, 0.5) + _note(64, 0.5)
    return [track]


def _parts() -> list[mido.MidiTrack]:
    """Four parts of one piano, 20 seconds."""
    return [
        mido.MidiTrack(
            message
            for step in range(80)
            for message in _note(40 + 12 * part + step % 7, 0.25, channel=part)
        )
        for part in range(4)
    ]


def _dense() -> mido.MidiTrack:
    track = mido.MidiTrack()
    for i in range(4000):
        track += _note(30 + i * 7 % 60, 0.001)
    return track


def _long() -> list[mido.MidiTrack]:
    tracks = []
    for channel in range(1, 8):
        change = mido.Message("program_change", program=48, channel=channel)
        tracks.append(mido.MidiTrack([change, *_note(60 + channel, 4.0, channel=channel)]))
    return tracks


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    main()

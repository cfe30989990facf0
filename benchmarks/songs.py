"""A three-minute song of ten tracks with drums, in the default model, on one core and on two; and
one voice of it beside one of the small model. Writes JSON.

Each command is run in a process of its own; the least time of several runs is taken, of commands
that are compared in turn.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import mido
from measuring import TICKS_A_SECOND, TIMBREL, cost_of, report, saved

from timbrel.constants import DEFAULT_MODEL, SMALL_MODEL
from timbrel.machine import n_cores
from timbrel.score.channels import DRUM_CHANNEL

SECONDS = 180
BEAT_S = 0.5
PROGRAMS = (0, 25, 33, 48, 50, 56, 65, 73, 89)
CHORDS = ((0, 4, 7), (-3, 0, 4), (-7, -3, 0), (-5, -1, 2))
VOICE_S = 30


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out/songs.json"))
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tracks = [_part(channel, program) for channel, program in enumerate(PROGRAMS)]
        song = saved(folder / "song.mid", [*tracks, _drums()])
        voice = saved(folder / "voice.mid", tracks[:1])
        report(
            arguments.output,
            song=[_song(song, folder, n, arguments.runs) for n in (1, 2) if n <= n_cores()],
            voice=_voices(voice, folder, arguments.runs),
        )


def _song(song: Path, folder: Path, threads: int, runs: int) -> dict[str, Any]:
    command = [TIMBREL, "render", song, "-o", folder / "song.wav", "--force"]
    costs = [cost_of([*command, "--threads", str(threads)]) for _ in range(runs)]
    took_s = min(cost.wall_s for cost in costs)
    return {
        "threads": threads,
        "duration_s": SECONDS,
        "took_s": round(took_s, 1),
        "times_real_time": round(SECONDS / took_s, 2),
        "peak_mb": round(max(cost.peak_mb for cost in costs)),
    }


def _voices(voice: Path, folder: Path, runs: int) -> dict[str, Any]:
    """Processor time of one voice in both models."""
    cpu_s: dict[str, list[float]] = {DEFAULT_MODEL: [], SMALL_MODEL: []}
    for _ in range(runs):
        for model, times in cpu_s.items():
            command = [TIMBREL, "render", voice, "-o", folder / "voice.wav", "--force"]
            command += ["--model", model, "--threads", "1", "--duration", str(VOICE_S)]
            times.append(cost_of(command).cpu_s)
    best = {model: round(min(times), 2) for model, times in cpu_s.items()}
    ratio = best[DEFAULT_MODEL] / best[SMALL_MODEL]
    return {"duration_s": VOICE_S, "cpu_s": best, "ratio": round(ratio, 2)}


def _note(pitch: int, start_s: float, length_s: float) -> list[tuple[float, int, int]]:
    return [(start_s, pitch, 90), (start_s + length_s, pitch, 0)]


def _part(channel: int, program: int) -> mido.MidiTrack:
    """Chords for half of the parts, lines for the others, with a rest now and then."""
    events = []
    for beat in range(round(SECONDS / BEAT_S)):
        chord = CHORDS[beat // 4 % len(CHORDS)]
        if beat // 16 % 5 == channel % 5:
            continue
        if channel % 2:
            for i in range(2):
                pitch = 60 + chord[(beat + i) % 3] + 12 * (channel % 3 - 1)
                events += _note(pitch, (beat + i / 2) * BEAT_S, 0.45 * BEAT_S)
        elif beat % 2 == 0:
            for step in chord:
                events += _note(60 + step, beat * BEAT_S, 1.9 * BEAT_S)
    return _track(events, channel, program)


def _drums() -> mido.MidiTrack:
    """Bass drum, snare drum and hi-hat, in quavers."""
    events = []
    for quaver in range(round(2 * SECONDS / BEAT_S)):
        keys = (42, 36) if quaver % 4 == 0 else (42, 38) if quaver % 4 == 2 else (42,)
        for key in keys:
            events += _note(key, quaver * BEAT_S / 2, 0.1)
    return _track(events, DRUM_CHANNEL, 0)


def _track(events: list[tuple[float, int, int]], channel: int, program: int) -> mido.MidiTrack:
    track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=program)])
    now = 0
    for time_s, pitch, velocity in sorted(events, key=lambda event: (event[0], event[2])):
        tick = round(time_s * TICKS_A_SECOND)
        message = mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)
        track.append(message.copy(time=tick - now))
        now = tick
    return track


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()

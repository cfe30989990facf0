"""The command that lists what MIDI files contain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrel.commands.batch import Batch
from timbrel.commands.messages import report_faults
from timbrel.commands.options import Force, Json, MaxDuration, Model, StopAtFirst
from timbrel.errors import InputError, printable

if TYPE_CHECKING:
    from timbrel.score.score import Score, Track


def add_inspect_command(app: typer.Typer) -> None:
    """Add `timbrel inspect` to the program."""
    app.command()(inspect)


def inspect(
    files: Annotated[list[Path], typer.Argument(help="MIDI files.", metavar="SONG.mid")],
    plot: Annotated[
        Path | None, typer.Option(help="Draw the piano roll of one file, as .png or .svg.")
    ] = None,
    model: Model = "",
    max_duration: MaxDuration = 6.0,
    stop_at_first: StopAtFirst = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Say what MIDI files hold, and what of it cannot be played."""
    from timbrel.abilities import Abilities
    from timbrel.bundles.bundle import load_bundle
    from timbrel.constants import DEFAULT_MODEL
    from timbrel.files import check_output
    from timbrel.score.midi import read_midi

    if plot is not None:
        if len(files) != 1:
            raise InputError("--plot draws one file; give one")
        check_output(plot, force=force)
    batch = Batch(files, stop_at_first=stop_at_first)
    abilities = Abilities.of(load_bundle(model or DEFAULT_MODEL, kind="mel2mel"))

    def look_into(place: int) -> dict[str, Any]:
        file = files[place]
        score = abilities.playable(read_midi(file, max_duration_s=3600 * max_duration))
        if plot is not None:
            from timbrel.score.plot import plot_piano_roll

            plot_piano_roll(score, plot, title=file.name)
        if not as_json:
            _print_score(file, score)
        return _described(file, score)

    rows = batch.each(look_into)
    if as_json:
        batch.print_json(rows)
    batch.end()


def _described(file: Path, score: Score) -> dict[str, Any]:
    return {
        "file": str(file),
        "duration_s": round(score.duration_s, 3),
        "notes": score.n_notes + score.unplayable_notes,
        "pedal_events": score.pedal_events,
        "tracks": [
            {
                "name": track.name,
                "program": track.program,
                "drums": track.is_kit,
                "port": track.port + 1,
                "channel": track.channel + 1,
                "notes": len(track.notes),
            }
            for track in _tracks(score)
        ],
        "unplayable": score.unplayable,
        "warnings": list(score.warnings),
    }


def _tracks(score: Score) -> tuple[Track, ...]:
    """What is played, as numbered for a render, then drums that the model does not play."""
    return (*score.tracks, *score.drum_tracks)


def _print_score(file: Path, score: Score) -> None:
    from timbrel.score.instruments import PROGRAM_NAMES

    print(
        f"{printable(str(file))}: {score.duration_s:.1f} s, "
        f"{score.n_notes + score.unplayable_notes} notes, {score.pedal_events} pedal events"
    )
    several_ports = any(track.port for track in _tracks(score))
    for number, track in enumerate(_tracks(score), 1):
        port = f"port {track.port + 1} " if several_ports else ""
        instrument = "Drum kit" if track.is_kit else PROGRAM_NAMES[track.program]
        print(
            f"  {number:3} {track.name:24} {port}channel {track.channel + 1:2}  "
            f"{instrument} ({track.program})  {len(track.notes)} notes"
            + (", not played by this model" if number > len(score.tracks) else "")
        )
    report_faults(file, score, sys.stdout)

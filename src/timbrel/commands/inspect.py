"""The command that lists what MIDI files contain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrel.commands.batch import Batch
from timbrel.commands.cast import track_rows
from timbrel.commands.messages import report_faults
from timbrel.commands.options import Force, Json, MaxDuration, Model, StopAtFirst
from timbrel.commands.panels import OUTPUT
from timbrel.commands.songs import Song, Songs, find_songs, read_song
from timbrel.errors import InputError, printable

if TYPE_CHECKING:
    from timbrel.score.score import Score, Track
    from timbrel.timbre.timbre import Timbre


def add_inspect_command(app: typer.Typer) -> None:
    """Add `timbrel inspect` to the program."""
    app.command()(inspect)


def inspect(
    files: Songs,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="A picture of the piano roll of one file: a .png or .svg file to write.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    model: Model = "",
    max_duration: MaxDuration = 6.0,
    stop_at_first: StopAtFirst = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Show what MIDI files contain: which instrument plays which track, what cannot be played."""
    from timbrel.abilities import Abilities
    from timbrel.bundles.bundle import load_bundle
    from timbrel.constants import DEFAULT_MODEL
    from timbrel.files import check_output
    from timbrel.timbre.assignment import timbres_of

    songs = find_songs(files)
    if plot is not None:
        if len(songs) != 1:
            raise InputError("--plot draws one file; give one")
        check_output(plot, force=force)
    bundle = load_bundle(model or DEFAULT_MODEL, kind="mel2mel")
    abilities = Abilities.of(bundle)
    batch = Batch([song.path for song in songs], stop_at_first=stop_at_first)

    def look_into(place: int) -> dict[str, Any]:
        song = songs[place]
        score = abilities.playable(read_song(song, max_hours=max_duration))
        timbres = timbres_of(score.tracks, None, bundle.instruments)
        if plot is not None:
            from timbrel.score.plot import plot_piano_roll

            plot_piano_roll(score, plot, title=song.name.name)
        if not as_json:
            _print_score(song.title, score, timbres)
        return _described(song, score, timbres)

    rows = batch.each(look_into)
    if as_json:
        batch.print_json(rows)
    batch.end()


def _described(song: Song, score: Score, timbres: list[Timbre]) -> dict[str, Any]:
    return {
        "file": str(song.path),
        "duration_s": round(score.duration_s, 3),
        "notes": score.n_notes + score.unplayable_notes,
        "pedal_events": score.pedal_events,
        "tracks": track_rows(_tracks(score), timbres),
        "unplayable": score.unplayable,
        "warnings": list(score.warnings),
    }


def _tracks(score: Score) -> tuple[Track, ...]:
    """What is played, as numbered for a render, then drums that the model does not play."""
    return (*score.tracks, *score.drum_tracks)


def _print_score(title: str, score: Score, timbres: list[Timbre]) -> None:
    from timbrel.score.instruments import PROGRAM_NAMES

    print(
        f"{printable(title)}: {score.duration_s:.1f} s, "
        f"{score.n_notes + score.unplayable_notes} notes, {score.pedal_events} pedal events"
    )
    several_ports = any(track.port for track in _tracks(score))
    for number, track in enumerate(_tracks(score), 1):
        port = f"port {track.port + 1} " if several_ports else ""
        instrument = "Drum kit" if track.is_kit else PROGRAM_NAMES[track.program]
        print(
            f"  {number:3} {track.name:24} {port}channel {track.channel + 1:2}  "
            f"{instrument} ({track.program})  {len(track.notes)} notes, "
            + (f"played by {timbres[number - 1].name}" if number <= len(timbres) else "not played")
        )
    report_faults(title, score, sys.stdout)

"""The command that writes down the notes of recordings."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrel.commands.batch import Batch
from timbrel.commands.options import Encoder, Force, Json, Quiet, StopAtFirst, within_machine
from timbrel.commands.panels import EXPERT, OUTPUT, SOUND
from timbrel.commands.recordings import Named, Recordings, find_recordings
from timbrel.constants import DEFAULT_ENCODER, DEFAULT_TEMPO, DEFAULT_TRANSCRIBER
from timbrel.errors import InputError, OutputError, printable
from timbrel.progress import shown

if TYPE_CHECKING:
    from timbrel.transcription.transcriber import Transcription

_PART = "part"
_COLUMNS = ("pitch", "start_s", "end_s", "velocity", "confidence", "cents")


def add_transcribe_command(app: typer.Typer) -> None:
    """Add `timbrel transcribe` to the program."""
    app.command()(transcribe)


def transcribe(
    files: Recordings,
    output: Annotated[
        str | None,  # a Path would lose the '/' at the end of a folder's name
        typer.Option(
            "-o",
            "--output",
            help="The MIDI file to write, or a folder for any number of them. By default "
            "SONG.mid in the current folder.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    csv_table: Annotated[
        bool,
        typer.Option(
            "--csv",
            help="A table of the notes is written beside each MIDI file: SONG.csv.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="A picture of the notes of one recording: a .png or .svg file to write.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    tempo: Annotated[
        float,
        typer.Option(
            help="The tempo of the MIDI file's grid, in beats a minute. It moves no note.",
            min=20,
            max=400,
            rich_help_panel=OUTPUT,
        ),
    ] = DEFAULT_TEMPO,
    tracks: Annotated[
        str | None,
        typer.Option(
            help="The notes are grouped into parts that sound alike, a track each, with the "
            "nearest program: the number of parts, or 'auto' to guess it.",
            metavar="N|auto",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="The transcriber: a shipped model's name, or a bundle's folder.",
            rich_help_panel=SOUND,
        ),
    ] = DEFAULT_TRANSCRIBER,
    encoder: Encoder = "",
    threads: Annotated[
        int,
        typer.Option(
            help="The number of threads of the network.",
            min=1,
            callback=within_machine,
            rich_help_panel=EXPERT,
        ),
    ] = 1,
    stop_at_first: StopAtFirst = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write down the notes of recordings as MIDI files, with velocities and bends."""
    from timbrel.files import check_distinct, check_output, make_folder, write_table
    from timbrel.transcription.midi import write_transcription
    from timbrel.transcription.recording import look_into
    from timbrel.transcription.transcriber import Transcriber

    # All that can be wrong is found before the first file is written.
    n_parts = _number_of_parts(tracks)
    if encoder and tracks is None:
        raise InputError("--encoder belongs to --tracks")
    recordings = find_recordings(files)
    targets, is_folder = _targets(recordings, output)
    written = [path for target in targets for path in _written(target, with_table=csv_table)]
    if plot is not None:
        if len(recordings) != 1:
            raise InputError("--plot draws one recording; give one")
        check_output(plot, force=force)
    for path in written:
        check_output(path, force=force, may_create=is_folder)
    check_distinct(written, "transcribe into folders of their own")
    transcriber = Transcriber.load(model, threads=threads)
    listener = None
    if tracks is not None:
        from timbrel.hearing.from_audio import TimbreEncoder
        from timbrel.recorded_parts import with_parts

        listener = TimbreEncoder.load(encoder or DEFAULT_ENCODER, threads=threads)
    batch = Batch([recording.path for recording in recordings], stop_at_first=stop_at_first)
    looked = batch.each(lambda place: look_into(recordings[place].path))

    def write(place: int) -> dict[str, Any]:
        path, target = recordings[place].path, targets[place]
        progress = shown(quiet=quiet)
        found = transcriber.transcribe(looked[place], progress=progress)
        if listener is not None:
            found = with_parts(found, looked[place], listener, number=n_parts, progress=progress)
        make_folder(target.parent)
        write_transcription(target, found, tempo=tempo)
        if csv_table:
            columns = (*_COLUMNS, _PART) if found.parts else _COLUMNS
            write_table(target.with_suffix(".csv"), _rows(found), columns)
        if plot is not None and found.notes:
            from timbrel.score.plot import plot_piano_roll

            plot_piano_roll(found.score(), plot, title=path.name)
        for remark in found.remarks:
            print(printable(f"{path}: {remark}"), file=sys.stderr)
        if not as_json:
            print(printable(f"{target}: {_in_words(found)}"))
        return _described(path, target, found)

    rows = batch.each(write)
    if as_json:
        batch.print_json(rows)
    batch.end()


def _number_of_parts(tracks: str | None) -> int | None:
    """How many parts are wanted; None where their number is to be guessed."""
    if tracks in (None, "auto"):
        return None
    from timbrel.transcription.parts import MOST_PARTS

    if not (tracks.isdecimal() and 1 <= int(tracks) <= MOST_PARTS):
        raise InputError(f"--tracks '{tracks}': give a number from 1 to {MOST_PARTS}, or 'auto'")
    return int(tracks)


def _targets(recordings: Sequence[Named], output: str | None) -> tuple[list[Path], bool]:
    """Where the MIDI files go, and whether that is a folder."""
    from timbrel.files import fitting_name

    name = output or "."
    path = Path(name)
    is_folder = path.is_dir() or name.endswith(("/", os.sep)) or (not path.suffix and name != "-")
    if is_folder:
        return [
            path / recording.name.parent / fitting_name(recording.name.stem, ".mid")
            for recording in recordings
        ], True
    if len(recordings) > 1:
        raise OutputError(f"{name}: is one file for {len(recordings)} recordings; name a folder")
    if name != "-" and path.suffix.lower() not in (".mid", ".midi"):
        raise OutputError(f"{name}: a transcription is a MIDI file; name a .mid file or a folder")
    return [path], False


def _written(target: Path, *, with_table: bool) -> list[Path]:
    return [target, target.with_suffix(".csv")] if with_table else [target]


def _rows(found: Transcription) -> list[dict[str, Any]]:
    part_of = {id(note): part.name for part in found.parts for note in part.notes}
    return [
        {
            "pitch": note.pitch,
            "start_s": round(note.start_s, 4),
            "end_s": round(note.end_s, 4),
            "velocity": note.velocity,
            "confidence": round(note.confidence, 3),
            "cents": round(note.cents - found.tuning_cents, 1),
            **({_PART: part_of[id(note)]} if part_of else {}),
        }
        for note in found.notes
    ]


def _in_words(found: Transcription) -> str:
    n_bent = sum(bool(note.bend_cents) for note in found.notes)
    words = f"{found.duration_s:.1f} s, {len(found.notes)} notes"
    if n_bent:
        words += f", {n_bent} of them bent"
    if found.notes:
        if found.parts:
            words += f" ({', '.join(f'{part.name} {len(part.notes)}' for part in found.parts)})"
        words += f", tuned {found.tuning_cents:+.0f} cents from A = 440 Hz"
    return words


def _described(path: Path, target: Path, found: Transcription) -> dict[str, Any]:
    return {
        "file": str(path),
        "output": str(target),
        "duration_s": round(found.duration_s, 3),
        "tuning_cents": round(found.tuning_cents, 1),
        "notes": [
            {**row, **({"bend_cents": list(note.bend_cents)} if note.bend_cents else {})}
            for row, note in zip(_rows(found), found.notes, strict=True)
        ],
        **({"parts": _parts(found)} if found.parts else {}),
        "bends_per_s": found.frame_rate,
        "remarks": list(found.remarks),
    }


def _parts(found: Transcription) -> list[dict[str, Any]]:
    return [
        {"name": part.name, "program": part.program, "notes": len(part.notes)}
        for part in found.parts
    ]

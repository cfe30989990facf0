"""The command that measures how well an encoder knows instruments by their sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.options import Encoder, EncoderThreads, Json, Quiet, ReportFolder
from timbrel.commands.panels import DATA, SOUND
from timbrel.commands.reports import print_report, write_report
from timbrel.errors import InputError, need_packages
from timbrel.progress import shown

_PLOT_FILE = "confusion.png"
_LENGTHS_S = (2.0, 10.0)


def timbre(
    output: ReportFolder,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Prepared data, of which the clips of a split are heard.", rich_help_panel=DATA
        ),
    ] = None,
    soundfont: Annotated[
        Path | None,
        typer.Option(
            help="Another SoundFont, which plays these scores instead.", rich_help_panel=DATA
        ),
    ] = None,
    notes: Annotated[
        Path | None,
        typer.Option(
            help="A folder of notes in NSynth's layout, whose families are known.",
            rich_help_panel=DATA,
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(help="The split of the data or of the notes.", rich_help_panel=DATA),
    ] = "valid",
    seconds: Annotated[
        list[float] | None,
        typer.Option(
            help="The seconds of a sound that are heard. The option may be repeated. By default "
            f"{' and '.join(f'{length:g}' for length in _LENGTHS_S)}.",
            min=0.05,
            rich_help_panel=SOUND,
        ),
    ] = None,
    excerpts: Annotated[
        int,
        typer.Option(help="The number of excerpts of each clip.", min=1, rich_help_panel=SOUND),
    ] = 2,
    points: Annotated[
        int,
        typer.Option(
            help="With --data, the number of random mixes of three instruments that the model "
            "plays and the encoder finds.",
            min=0,
            rich_help_panel=SOUND,
        ),
    ] = 0,
    seed: Annotated[
        int,
        typer.Option(
            help="The seed by which --points draws mixes and passages.",
            min=0,
            rich_help_panel=SOUND,
        ),
    ] = 1,
    encoder: Encoder = "",
    threads: EncoderThreads = 1,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure how well instruments are recognised, and write tables and a picture."""
    need_packages("train", "an evaluation of timbres", "scipy", "matplotlib")
    from timbrel.bundles.bundle import load_bundle
    from timbrel.constants import DEFAULT_ENCODER
    from timbrel.evaluation.timbre import data_sounds, font_sounds, judged, note_sounds
    from timbrel.evaluation.timbre_points import find_points
    from timbrel.evaluation.timbre_tables import (
        as_json as in_json,
    )
    from timbrel.evaluation.timbre_tables import by_instrument, markdown, plot_confusion, summary
    from timbrel.hearing.from_audio import TimbreEncoder

    if (data is None) == (notes is None):
        raise InputError("give --data, or --notes")
    if data is None and (soundfont is not None or points):
        raise InputError("--soundfont and --points belong to --data")
    listener = TimbreEncoder.load(encoder or DEFAULT_ENCODER, threads=threads)
    instruments = listener.bundle.instruments
    lengths_s = sorted(seconds or _LENGTHS_S)
    progress = shown(quiet=quiet)
    if notes is not None:
        sounds = note_sounds(notes, split)
    elif soundfont is not None:
        assert data is not None
        sounds = font_sounds(
            data,
            soundfont,
            instruments,
            split=split,
            seconds=lengths_s[-1],
            excerpts=excerpts,
            progress=progress,
        )
    else:
        assert data is not None
        sounds = data_sounds(
            data, instruments, split=split, seconds=lengths_s[-1], excerpts=excerpts
        )
    rows = judged(listener, sounds, lengths_s, progress=progress)
    found = summary(rows, instruments)
    named = by_instrument(rows, instruments)
    there = None
    if points and data is not None:
        mel2mel = load_bundle(listener.bundle.config["mel2mel"], kind="mel2mel")
        there = find_points(
            listener.bundle,
            mel2mel,
            data,
            split=split,
            number=points,
            seconds=lengths_s[-1],
            seed=seed,
            progress=progress,
        )
    tables = markdown(found, named, there)
    content = json.dumps(in_json(found, named, there), indent=2) + "\n"
    write_report(output, "timbre", tables, content)
    if named:
        plot_confusion(rows, instruments, output / _PLOT_FILE)
    print_report(output, "timbre", tables, content, as_json=as_json)

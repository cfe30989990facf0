"""The command that makes training data."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.batch import Failures
from timbrel.commands.options import (
    RESUME_REMEDY,
    Attribution,
    Force,
    Jobs,
    Json,
    License,
    Quiet,
    StopAtFirst,
)
from timbrel.commands.panels import DATA, EXPERT, OUTPUT, SOUND
from timbrel.errors import InputError, need_training
from timbrel.files import check_output_folder
from timbrel.progress import shown


def add_data_commands(app: typer.Typer) -> None:
    """Add `timbrel prepare` to the program."""
    app.command()(prepare)


def prepare(
    midi_dir: Annotated[
        Path | None,
        typer.Argument(
            help="A folder of MIDI files. Without one, only etudes are rendered.",
            metavar="MIDI_DIR",
        ),
    ] = None,
    soundfont: Annotated[
        Path | None,
        typer.Option(
            help="The SoundFont that plays the scores, an .sf2 or .sf3 file.", rich_help_panel=SOUND
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The folder for the training data.", rich_help_panel=OUTPUT
        ),
    ] = None,
    instruments: Annotated[
        str,
        typer.Option(
            help="The set of instruments: 'ten'; 'gm', the 128 programs of General MIDI and "
            "the SoundFont's drum kits; or 'variations', the SoundFont's other banks.",
            rich_help_panel=SOUND,
        ),
    ] = "ten",
    splits: Annotated[
        Path | None,
        typer.Option(
            help="A CSV file with the columns file and split, which says which scores are "
            "for training.",
            rich_help_panel=DATA,
        ),
    ] = None,
    minutes_per_instrument: Annotated[
        float | None,
        typer.Option(
            help="The most minutes of training scores for each instrument.",
            min=0,
            rich_help_panel=DATA,
        ),
    ] = None,
    validation_minutes_per_instrument: Annotated[
        float | None,
        typer.Option(
            help="The most minutes of validation scores for each instrument.",
            min=0,
            rich_help_panel=DATA,
        ),
    ] = None,
    excerpt_seconds: Annotated[
        float | None,
        typer.Option(
            help="The length, in seconds, of the excerpts that scores are cut into. By "
            "default they stay whole.",
            min=1,
            rich_help_panel=DATA,
        ),
    ] = None,
    etudes: Annotated[
        int,
        typer.Option(
            help="The number of generated training scores for each instrument; drum kits get "
            "twice as many. One more in ten, at least one, is for validation.",
            min=0,
            rich_help_panel=DATA,
        ),
    ] = 0,
    seed: Annotated[
        int,
        typer.Option(
            help="The seed of the etudes and of the choice of excerpts: another seed gives others.",
            min=0,
            rich_help_panel=EXPERT,
        ),
    ] = 0,
    sample_rate: Annotated[
        int,
        typer.Option(
            help="The sample rate of the audio, in Hz.", min=8000, max=96000, rich_help_panel=SOUND
        ),
    ] = 16_000,
    license: License = None,
    attribution: Attribution = None,
    jobs: Jobs = -1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="The address of a Dask scheduler that shares the work among machines.",
            rich_help_panel=EXPERT,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="An unfinished data folder is resumed.", rich_help_panel=OUTPUT
        ),
    ] = False,
    stop_at_first: StopAtFirst = False,
    described: Annotated[
        Path | None,
        typer.Option(
            "--describe",
            help="A data folder to describe, instead of rendering one.",
            metavar="DATA",
            rich_help_panel=DATA,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="With --describe, a picture of the contents: a PNG file to write.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Render scores in every instrument as training data, or describe such data."""
    need_training()
    from timbrel.commands.description import print_description
    from timbrel.corpus.preparation import prepare as prepare_data
    from timbrel.corpus.presets import find_instruments
    from timbrel.corpus.selection import Amount

    if described is not None:
        print_description(described, plot, as_json=as_json, force=force, quiet=quiet)
        return
    if soundfont is None or output is None:
        raise InputError("give --soundfont and --output, or --describe and a data folder")
    check_output_folder(output, may_hold=resume, remedy=RESUME_REMEDY)
    failures = Failures(stop_at_first=stop_at_first)
    settings = prepare_data(
        midi_dir,
        output,
        soundfont=soundfont,
        instruments=find_instruments(instruments, soundfont),
        splits=splits,
        amount=Amount(
            minutes_per_instrument=minutes_per_instrument,
            validation_minutes_per_instrument=validation_minutes_per_instrument,
            excerpt_s=excerpt_seconds,
            etudes=etudes,
            seed=seed,
        ),
        sample_rate=sample_rate,
        license=license,
        attribution=attribution,
        jobs=jobs,
        scheduler=scheduler,
        skip=failures,
        progress=shown(quiet=quiet),
    )
    if as_json:
        print(json.dumps(asdict(settings), indent=2))
    else:
        print(f"{output}: ready, with a gain of {settings.gain:g}")
    failures.end()

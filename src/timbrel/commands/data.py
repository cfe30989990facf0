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
from timbrel.errors import InputError, need_training
from timbrel.files import check_output_folder
from timbrel.progress import shown


def add_data_commands(app: typer.Typer) -> None:
    """Add `timbrel prepare` to the program."""
    app.command()(prepare)


def prepare(
    midi_dir: Annotated[
        Path | None,
        typer.Argument(help="A folder of MIDI files; etudes only without it.", metavar="MIDI_DIR"),
    ] = None,
    soundfont: Annotated[Path | None, typer.Option(help="A SoundFont, .sf2 or .sf3.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The data folder.")] = None,
    instruments: Annotated[
        str,
        typer.Option(
            help="A set of instruments: ten; gm, the 128 programs of General MIDI and the "
            "SoundFont's drum kits; or variations, its other banks."
        ),
    ] = "ten",
    splits: Annotated[Path | None, typer.Option(help="CSV with columns file and split.")] = None,
    minutes_per_instrument: Annotated[
        float | None,
        typer.Option(help="At most so much of the training scores for each.", min=0),
    ] = None,
    validation_minutes_per_instrument: Annotated[
        float | None, typer.Option(help="The same for the validation scores.", min=0)
    ] = None,
    excerpt_seconds: Annotated[
        float | None,
        typer.Option(help="Cut the scores into excerpts of so many seconds.", min=1),
    ] = None,
    etudes: Annotated[
        int,
        typer.Option(
            help="Generated training scores for each instrument (kits: twice as many), and one in "
            "ten, at least one, for validation.",
            min=0,
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(help="Another seed, other etudes.", min=0)] = 0,
    sample_rate: Annotated[int, typer.Option(help="In Hz.", min=8000, max=96000)] = 16_000,
    license: License = None,
    attribution: Attribution = None,
    jobs: Jobs = -1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is there.")] = False,
    stop_at_first: StopAtFirst = False,
    described: Annotated[
        Path | None,
        typer.Option("--describe", help="Say what this data folder holds.", metavar="DATA"),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="With --describe: draw it to this PNG file.")
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

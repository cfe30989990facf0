"""The command that makes training data."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.batch import Failures
from timbrel.commands.options import RESUME_REMEDY, Jobs, Json, StopAtFirst
from timbrel.errors import InputError, need_training
from timbrel.files import check_output_folder
from timbrel.progress import bar


def add_data_commands(app: typer.Typer) -> None:
    """Add `timbrel prepare` to the program."""
    app.command()(prepare)


def prepare(
    midi_dir: Annotated[Path, typer.Argument(help="A folder of MIDI files.", metavar="MIDI_DIR")],
    soundfont: Annotated[Path, typer.Option(help="A SoundFont, .sf2 or .sf3.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The data folder.")],
    instruments: Annotated[str, typer.Option(help="A set of instruments: ten.")] = "ten",
    splits: Annotated[Path | None, typer.Option(help="CSV with columns file and split.")] = None,
    minutes_per_instrument: Annotated[
        float | None, typer.Option(help="At most so much training audio for each.", min=0)
    ] = None,
    sample_rate: Annotated[int, typer.Option(help="In Hz.", min=8000, max=96000)] = 16_000,
    jobs: Jobs = -1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is there.")] = False,
    stop_at_first: StopAtFirst = False,
    as_json: Json = False,
) -> None:
    """Render scores in every instrument as training data."""
    from timbrel.score.instruments import INSTRUMENT_SETS

    need_training()
    from timbrel.corpus.preparation import prepare as prepare_data

    if instruments not in INSTRUMENT_SETS:
        known = ", ".join(INSTRUMENT_SETS)
        raise InputError(f"there is no set of instruments '{instruments}'; known: {known}")
    check_output_folder(output, may_hold=resume, remedy=RESUME_REMEDY)
    failures = Failures(stop_at_first=stop_at_first)
    settings = prepare_data(
        midi_dir,
        output,
        soundfont=soundfont,
        instruments=INSTRUMENT_SETS[instruments],
        splits=splits,
        minutes_per_instrument=minutes_per_instrument,
        sample_rate=sample_rate,
        jobs=jobs,
        scheduler=scheduler,
        skip=failures,
        progress=bar,
    )
    if as_json:
        print(json.dumps(asdict(settings), indent=2))
    else:
        print(f"{output}: ready, with a gain of {settings.gain:g}")
    failures.end()

"""The command that compares all instruments of a model with a SoundFont's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.batch import Failures
from timbrel.commands.options import Jobs, Json, MidiFolder, Quiet, SoundFont
from timbrel.commands.panels import DATA, OUTPUT, SOUND
from timbrel.commands.reports import print_report, write_report
from timbrel.constants import DEFAULT_MODEL
from timbrel.errors import need_packages
from timbrel.files import check_output_folder
from timbrel.progress import shown


def programs(
    midi: MidiFolder,
    soundfont: SoundFont,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="The folder for programs.md and programs.json.",
            rich_help_panel=OUTPUT,
        ),
    ],
    model: Annotated[
        str, typer.Option(help="The model to measure.", rich_help_panel=SOUND)
    ] = DEFAULT_MODEL,
    vocoder: Annotated[
        str | None,
        typer.Option(help="The vocoder. By default the model's own.", rich_help_panel=SOUND),
    ] = None,
    instrument: Annotated[
        list[str] | None,
        typer.Option(
            help="A program or drum kit to measure. The option may be repeated. By default all "
            "of the model's.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    excerpts: Annotated[
        int,
        typer.Option(
            min=1,
            help="The number of excerpts of 15 seconds that each program plays.",
            rich_help_panel=DATA,
        ),
    ] = 3,
    every: Annotated[
        int,
        typer.Option(
            min=1,
            help="Only every Nth program and kit is measured; 8 takes about an eighth of the time.",
            metavar="N",
            rich_help_panel=DATA,
        ),
    ] = 1,
    jobs: Jobs = -1,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare each program and drum kit of a model with the SoundFont's.

    Correlation, level, velocities and the octave beyond 16 kHz of the programs; onsets and keys of
    the kits; bends.
    """
    need_packages("evaluate", "an evaluation", "joblib", "librosa", "mir_eval")
    from timbrel.evaluation.originals import choose_excerpts
    from timbrel.evaluation.programs.run import evaluate_programs
    from timbrel.evaluation.programs.tables import as_dict, markdown

    check_output_folder(output, may_hold=True, remedy="")
    failures = Failures(stop_at_first=True)
    results = evaluate_programs(
        midi,
        soundfont,
        choose_excerpts(midi, skip=failures),
        model=model,
        vocoder=vocoder,
        per_program=excerpts,
        every=every,
        instruments=instrument or (),
        jobs=jobs,
        progress=shown(quiet=quiet),
    )
    text, content = markdown(results), json.dumps(as_dict(results), indent=1) + "\n"
    write_report(output, "programs", text, content)
    print_report(output, "programs", text, content, as_json=as_json)

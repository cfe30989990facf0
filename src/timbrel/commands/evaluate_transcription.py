"""The command that measures how well transcribers hear notes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timbrel.commands.batch import Failures
from timbrel.commands.options import (
    EvaluationCache,
    Excerpts,
    Jobs,
    Json,
    Quiet,
    Split,
    Splits,
    StopAtFirst,
)
from timbrel.commands.panels import DATA, EXPERT, OUTPUT, SOUND
from timbrel.errors import InputError, need_packages
from timbrel.progress import shown

if TYPE_CHECKING:
    from timbrel.evaluation.transcription import Take

_TABLES_FILE, _JSON_FILE, _CSV_FILE = (f"transcription.{kind}" for kind in ("md", "json", "csv"))


def transcription(
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The folder for the report.", rich_help_panel=OUTPUT),
    ],
    midi: Annotated[
        Path | None,
        typer.Option(help="The folder of the MIDI files to be played.", rich_help_panel=DATA),
    ] = None,
    soundfont: Annotated[
        Path | None,
        typer.Option(help="The SoundFont that plays them.", rich_help_panel=DATA),
    ] = None,
    recordings: Annotated[
        Path | None,
        typer.Option(
            help="A folder of recordings with MIDI files of the same name beside them, instead.",
            rich_help_panel=DATA,
        ),
    ] = None,
    excerpts: Excerpts = None,
    splits: Splits = None,
    split: Split = "test",
    instrument: Annotated[
        list[str] | None,
        typer.Option(
            help="One of the ten instruments. The option may be repeated. By default all of them.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A transcriber to measure. The option may be repeated. By default all that are "
            "shipped.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="A transcriber that others have made. The option may be repeated. By default all "
            "that are installed.",
            rich_help_panel=EXPERT,
        ),
    ] = None,
    cache: EvaluationCache = None,
    jobs: Jobs = -1,
    stop_at_first: StopAtFirst = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure how well transcribers hear the notes of real music, and write the tables."""
    need_packages("evaluate", "an evaluation", "joblib", "mir_eval")
    from timbrel.bundles.bundle import load_bundle, shipped_bundles
    from timbrel.constants import SMALL_MODEL
    from timbrel.evaluation.judges import JUDGES
    from timbrel.evaluation.originals import choose_excerpts
    from timbrel.evaluation.transcription import (
        evaluate_transcription,
        recorded_takes,
        rendered_takes,
        verdict_rows,
    )
    from timbrel.evaluation.transcription_tables import markdown
    from timbrel.files import make_folder, write_table, write_text
    from timbrel.score.instruments import TEN_INSTRUMENTS
    from timbrel.transcription.sizes import KIND

    failures = Failures(stop_at_first=stop_at_first)
    takes: list[Take]
    if recordings is not None:
        if midi is not None or soundfont is not None:
            raise InputError("--recordings and --midi exclude each other; give one")
        takes = recorded_takes(recordings, skip=failures)
    elif midi is None or soundfont is None:
        raise InputError("give --midi and --soundfont, or --recordings")
    else:
        for name in instrument or ():
            if name not in TEN_INSTRUMENTS:
                known = ", ".join(TEN_INSTRUMENTS)
                raise InputError(f"there is no instrument '{name}'; known: {known}")
        chosen = {name: TEN_INSTRUMENTS[name] for name in instrument or TEN_INSTRUMENTS}
        found = choose_excerpts(midi, excerpts=excerpts, splits=splits, split=split, skip=failures)
        gain = load_bundle(SMALL_MODEL).gain
        takes = rendered_takes(midi, soundfont, found, chosen, gain=gain)
    verdicts, skipped = evaluate_transcription(
        takes,
        models=shipped_bundles(KIND) if model is None else model,
        others=tuple(JUDGES) if judge is None else judge,
        cache=cache or output / "cache",
        jobs=jobs,
        progress=shown(quiet=quiet),
    )
    if not verdicts:
        raise InputError("all of it is silent; is it the right SoundFont?")
    rows, tables = verdict_rows(verdicts), markdown(verdicts, skipped)
    make_folder(output)
    write_text(output / _TABLES_FILE, tables)
    write_text(output / _JSON_FILE, json.dumps(rows, indent=2) + "\n")
    write_table(output / _CSV_FILE, rows, list(rows[0]))
    print(json.dumps(rows, indent=2) if as_json else tables, end="" if not as_json else "\n")
    print(f"{output / _TABLES_FILE}: written", file=sys.stderr)
    failures.end()

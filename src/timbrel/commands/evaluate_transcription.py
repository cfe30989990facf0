"""The command that measures how well transcribers hear notes."""

from __future__ import annotations

import json
from dataclasses import asdict
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
    ReportFolder,
    Split,
    Splits,
    StopAtFirst,
    TenInstruments,
    ten_instruments,
)
from timbrel.commands.panels import DATA, EXPERT, SOUND
from timbrel.commands.reports import print_report, write_report
from timbrel.errors import InputError, need_packages
from timbrel.progress import shown

if TYPE_CHECKING:
    from timbrel.evaluation.transcription import Take


def transcription(
    output: ReportFolder,
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
    notes: Annotated[
        Path | None,
        typer.Option(
            help="A folder of recordings of single notes in NSynth's layout, instead.",
            rich_help_panel=DATA,
        ),
    ] = None,
    excerpts: Excerpts = None,
    splits: Splits = None,
    split: Split = "test",
    instrument: TenInstruments = None,
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
    from timbrel.evaluation.judges import INDEPENDENT
    from timbrel.evaluation.originals import choose_excerpts
    from timbrel.evaluation.transcription import (
        evaluate_transcription,
        recorded_takes,
        rendered_takes,
        verdict_rows,
    )
    from timbrel.evaluation.transcription_tables import markdown
    from timbrel.files import write_table
    from timbrel.transcription.sizes import KIND

    if sum(one is not None for one in (midi, recordings, notes)) > 1:
        raise InputError("--midi, --recordings and --notes exclude each other; give one")
    models = shipped_bundles(KIND) if model is None else model
    if notes is not None:
        _single_notes(output, notes, split, models, quiet=quiet, as_json=as_json)
        return
    failures = Failures(stop_at_first=stop_at_first)
    takes: list[Take]
    if recordings is not None:
        if soundfont is not None:
            raise InputError("--soundfont plays the files of --midi; leave it out")
        takes = recorded_takes(recordings, skip=failures)
    elif midi is None or soundfont is None:
        raise InputError("give --midi and --soundfont, or --recordings, or --notes")
    else:
        chosen = ten_instruments(instrument)
        found = choose_excerpts(midi, excerpts=excerpts, splits=splits, split=split, skip=failures)
        gain = load_bundle(SMALL_MODEL).gain
        takes = rendered_takes(midi, soundfont, found, chosen, gain=gain)
    verdicts, skipped = evaluate_transcription(
        takes,
        models=models,
        others=INDEPENDENT if judge is None else judge,
        cache=cache or output / "cache",
        jobs=jobs,
        progress=shown(quiet=quiet),
    )
    if not verdicts:
        raise InputError("all of it is silent; is it the right SoundFont?")
    rows, tables = verdict_rows(verdicts), markdown(verdicts, skipped)
    content = json.dumps(rows, indent=2) + "\n"
    write_report(output, "transcription", tables, content)
    write_table(output / "transcription.csv", rows, list(rows[0]))
    print_report(output, "transcription", tables, content, as_json=as_json)
    failures.end()


def _single_notes(
    output: Path, notes: Path, split: str, models: list[str], *, quiet: bool, as_json: bool
) -> None:
    from timbrel.evaluation.single_notes import evaluate_single_notes, single_notes_markdown
    from timbrel.notes.dataset import read_notes

    found = evaluate_single_notes(read_notes(notes, split), models, progress=shown(quiet=quiet))
    tables = single_notes_markdown(found)
    content = json.dumps([asdict(one) for one in found], indent=2) + "\n"
    write_report(output, "transcription", tables, content)
    print_report(output, "transcription", tables, content, as_json=as_json)

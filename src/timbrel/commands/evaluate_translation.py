"""The command that measures the way from sound to score and timbre, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from timbrel.commands.batch import Failures
from timbrel.commands.options import (
    EvaluationCache,
    Excerpts,
    Json,
    MidiFolder,
    Quiet,
    ReportFolder,
    SoundFont,
    Split,
    Splits,
    StopAtFirst,
    TenInstruments,
    ten_instruments,
)
from timbrel.commands.panels import DATA, SOUND
from timbrel.commands.reports import print_report, write_report
from timbrel.constants import DEFAULT_MODEL
from timbrel.errors import need_packages
from timbrel.progress import shown

if TYPE_CHECKING:
    from timbrel.evaluation.translation import ThereAndBack


def translation(
    midi: MidiFolder,
    soundfont: SoundFont,
    output: ReportFolder,
    excerpts: Excerpts = None,
    splits: Splits = None,
    split: Split = "test",
    number: Annotated[
        int | None,
        typer.Option(
            help="The number of excerpts, evenly chosen. By default all of them.",
            min=1,
            rich_help_panel=DATA,
        ),
    ] = None,
    instrument: TenInstruments = None,
    fit: Annotated[
        bool,
        typer.Option("--fit", help="Timbres are fitted, too.", rich_help_panel=SOUND),
    ] = False,
    model: Annotated[
        str, typer.Option(help="The model that plays.", rich_help_panel=SOUND)
    ] = DEFAULT_MODEL,
    cache: EvaluationCache = None,
    stop_at_first: StopAtFirst = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure how near recordings come to themselves through a score and a timbre.

    Originals are transcribed to MIDI files, their timbres found, and both are played again.
    """
    need_packages("evaluate", "an evaluation", "librosa")
    from timbrel.evaluation.originals import choose_excerpts
    from timbrel.evaluation.translation import as_dict, evaluate_translation, markdown

    failures = Failures(stop_at_first=stop_at_first)
    chosen = ten_instruments(instrument)
    found = choose_excerpts(midi, excerpts=excerpts, splits=splits, split=split, skip=failures)
    if number is not None:
        found = [found[i * len(found) // number] for i in range(min(number, len(found)))]
    results: list[ThereAndBack] = []
    tables = content = ""
    for one in evaluate_translation(
        midi,
        soundfont,
        found,
        chosen,
        model=model,
        fit=fit,
        cache=cache or output / "cache",
        progress=shown(quiet=quiet),
    ):
        results.append(one)
        tables, content = markdown(results), json.dumps(as_dict(results), indent=2) + "\n"
        write_report(output, "translation", tables, content)
    print_report(output, "translation", tables, content, as_json=as_json)
    failures.end()

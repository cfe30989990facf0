"""The command that measures how well instruments that play together are told apart."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.batch import Failures
from timbrel.commands.options import (
    Excerpts,
    Json,
    MidiFolder,
    Quiet,
    SoundFont,
    Split,
    Splits,
    StopAtFirst,
    TenInstruments,
    ten_instruments,
)
from timbrel.commands.panels import OUTPUT
from timbrel.errors import need_packages
from timbrel.progress import shown

_TABLES_FILE, _JSON_FILE = "parts.md", "parts.json"


def parts(
    midi: MidiFolder,
    soundfont: SoundFont,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The folder for the report.", rich_help_panel=OUTPUT),
    ],
    excerpts: Excerpts = None,
    splits: Splits = None,
    split: Split = "test",
    instrument: TenInstruments = None,
    stop_at_first: StopAtFirst = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure how well two instruments that play together are told apart, note by note."""
    need_packages("evaluate", "an evaluation", "mir_eval")
    from timbrel.bundles.bundle import load_bundle
    from timbrel.constants import DEFAULT_MODEL
    from timbrel.evaluation.originals import choose_excerpts
    from timbrel.evaluation.parts import as_dict, evaluate_parts, markdown
    from timbrel.files import make_folder, write_text

    failures = Failures(stop_at_first=stop_at_first)
    chosen = ten_instruments(instrument)
    found = choose_excerpts(midi, excerpts=excerpts, splits=splits, split=split, skip=failures)
    results = evaluate_parts(
        midi,
        soundfont,
        found,
        chosen,
        gain=load_bundle(DEFAULT_MODEL).gain,
        progress=shown(quiet=quiet),
    )
    tables, content = markdown(results), json.dumps(as_dict(results), indent=2) + "\n"
    make_folder(output)
    write_text(output / _TABLES_FILE, tables)
    write_text(output / _JSON_FILE, content)
    print(content if as_json else tables, end="")
    print(f"{output / _TABLES_FILE}: written", file=sys.stderr)
    failures.end()

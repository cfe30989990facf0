"""The command that measures how well instruments that play together are told apart."""

from __future__ import annotations

import json

from timbrel.commands.batch import Failures
from timbrel.commands.options import (
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
from timbrel.commands.reports import print_report, write_report
from timbrel.errors import need_packages
from timbrel.progress import shown


def parts(
    midi: MidiFolder,
    soundfont: SoundFont,
    output: ReportFolder,
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
    write_report(output, "parts", tables, content)
    print_report(output, "parts", tables, content, as_json=as_json)
    failures.end()

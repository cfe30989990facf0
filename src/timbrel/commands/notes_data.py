"""``timbrel notes``: data sets of notes, and evaluating models on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.batch import Failures
from timbrel.commands.options import (
    RESUME_REMEDY,
    Attribution,
    Jobs,
    Json,
    License,
    Quiet,
    ReportFolder,
    Seed,
    StopAtFirst,
    Temperature,
)
from timbrel.commands.panels import DATA, EXPERT, OUTPUT, SOUND
from timbrel.errors import InputError, need_training
from timbrel.files import check_output_folder
from timbrel.progress import shown

DEFAULT_AUTOENCODER = "notes"
DEFAULT_BASELINE, DEFAULT_CLASSIFIER = "notes-baseline", "notes-classifier"
NO_MODEL = "none"


def add_notes_data_commands(notes: typer.Typer) -> None:
    """Add `timbrel notes prepare`, `check` and `evaluate` to the commands of notes."""
    for command in (prepare, check, evaluate):
        notes.command()(command)


def prepare(
    soundfont: Annotated[
        list[Path],
        typer.Option(
            help="A SoundFont for training. The option may be repeated.", rich_help_panel=SOUND
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The folder for the data.", rich_help_panel=OUTPUT),
    ],
    hold_out: Annotated[
        list[Path] | None,
        typer.Option(
            help="A SoundFont of another family, for the test split.", rich_help_panel=SOUND
        ),
    ] = None,
    pitches: Annotated[
        str, typer.Option(help="The keys: FIRST-LAST, or FIRST-LAST:STEP.", rich_help_panel=DATA)
    ] = "21-108",
    velocities: Annotated[
        str, typer.Option(help="The velocities, separated by commas.", rich_help_panel=DATA)
    ] = "25,50,75,100,127",
    license: License = None,
    attribution: Attribution = None,
    jobs: Jobs = -1,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="An unfinished data folder is resumed.", rich_help_panel=OUTPUT
        ),
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Render a data set of notes in NSynth's layout from SoundFonts."""
    need_training()
    from timbrel.corpus.notes import prepare_notes
    from timbrel.notes.dataset import family_source_counts
    from timbrel.notes.note import SOURCES

    check_output_folder(output, may_hold=resume, remedy=RESUME_REMEDY)
    notes = prepare_notes(
        output,
        soundfonts=soundfont,
        held_out=hold_out or [],
        pitches=_pitches(pitches),
        velocities=_velocities(velocities),
        license=license,
        attribution=attribution,
        jobs=jobs,
        progress=shown(quiet=quiet),
    )
    counts = {split: family_source_counts(listed) for split, listed in notes.items()}
    if as_json:
        print(json.dumps(counts, indent=2))
        return
    for split, table in counts.items():
        print(f"{split}: {len(notes[split])} notes")
        print(f"  {'family':10}" + "".join(f"{source:>12}" for source in SOURCES))
        for family, row in table.items():
            print(f"  {family:10}" + "".join(f"{row[source]:12}" for source in SOURCES))


def check(
    folder: Annotated[Path, typer.Argument(help="A data set of notes.", metavar="DATA")],
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """List all faults of a data set of notes; the exit code is 1 if there are any."""
    from collections import Counter

    from timbrel.notes.faults import KINDS, check_folder

    faults = check_folder(folder, progress=shown(quiet=quiet))
    if as_json:
        rows = [{"kind": f.kind, "where": f.where, "words": f.words} for f in faults]
        print(json.dumps(rows, indent=2))
    else:
        for fault in faults:
            print(f"{fault.kind:18} {fault}")
        for kind, count in Counter(fault.kind for fault in faults).most_common():
            print(f"{count:6} × {kind}: {KINDS[kind]}")
        if not faults:
            print(f"{folder}: no faults")
    if faults:
        raise typer.Exit(1)


def evaluate(
    data: Annotated[Path, typer.Argument(help="A data set of notes.", metavar="DATA")],
    output: ReportFolder,
    classifier: Annotated[
        str,
        typer.Option(
            help="The classifier that judges: a shipped model's name, or a bundle's folder.",
            rich_help_panel=EXPERT,
        ),
    ] = DEFAULT_CLASSIFIER,
    autoencoder: Annotated[
        str, typer.Option(help="An autoencoder to measure, or 'none'.", rich_help_panel=SOUND)
    ] = DEFAULT_AUTOENCODER,
    baseline: Annotated[
        str, typer.Option(help="A spectral baseline to measure, or 'none'.", rich_help_panel=SOUND)
    ] = DEFAULT_BASELINE,
    notes: Annotated[
        int,
        typer.Option(
            help="The number of notes of the test split, drawn by the seed.",
            min=2,
            rich_help_panel=DATA,
        ),
    ] = 1000,
    pairs: Annotated[
        int,
        typer.Option(help="The number of pairs of notes to morph.", min=0, rich_help_panel=DATA),
    ] = 200,
    probe: Annotated[
        int,
        typer.Option(
            help="The number of notes of the training split for a linear probe of the codes; "
            "0 leaves it out.",
            min=0,
            rich_help_panel=DATA,
        ),
    ] = 1024,
    iterations: Annotated[
        int,
        typer.Option(
            help="The number of iterations of Griffin and Lim's algorithm.",
            min=1,
            rich_help_panel=EXPERT,
        ),
    ] = 16,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    jobs: Jobs = -1,
    stop_at_first: StopAtFirst = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure reconstructions and morphs of the test split, and write the tables.

    Sounds and codes are kept in the report's folder; what is there is not made again.
    """
    need_training()
    from timbrel.notes.evaluation import EvaluationPlan, evaluate_notes, markdown, write_report

    plan = EvaluationPlan(
        n_notes=notes,
        n_pairs=pairs,
        n_probe=probe,
        iterations=iterations,
        seed=seed,
        temperature=temperature,
    )
    failures = Failures(stop_at_first=stop_at_first)
    report = evaluate_notes(
        data,
        output,
        classifier=classifier,
        autoencoder=None if autoencoder == NO_MODEL else autoencoder,
        baseline=None if baseline == NO_MODEL else baseline,
        plan=plan,
        jobs=jobs,
        skip=failures,
        progress=shown(quiet=quiet),
    )
    write_report(report, output)
    print(json.dumps(report, indent=2) if as_json else markdown(report))
    failures.end()


def _pitches(text: str) -> range:
    ends, _, step = text.partition(":")
    first, dash, last = ends.partition("-")
    parts = (first, last if dash else first, step or "1")
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"pitches '{text}' are not FIRST-LAST or FIRST-LAST:STEP")
    low, high, stride = map(int, parts)
    if not 0 <= low <= high <= 127 or stride == 0:
        raise InputError(f"pitches '{text}' do not lie within 0–127")
    return range(low, high + 1, stride)


def _velocities(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 127 for part in parts):
        raise InputError(f"velocities '{text}' are not numbers from 1 to 127")
    return sorted({int(part) for part in parts})

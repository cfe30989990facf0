"""The commands that evaluate models, by measures and by listening tests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from timbrel.commands.batch import Failures
from timbrel.commands.evaluate_fit import fit
from timbrel.commands.evaluate_parts import parts
from timbrel.commands.evaluate_programs import programs
from timbrel.commands.evaluate_timbre import timbre
from timbrel.commands.evaluate_transcription import transcription
from timbrel.commands.evaluate_translation import translation
from timbrel.commands.options import (
    EvaluationCache,
    Excerpts,
    Jobs,
    Json,
    MidiFolder,
    Quiet,
    ReportFolder,
    SoundFont,
    Split,
    Splits,
    StopAtFirst,
)
from timbrel.commands.panels import DATA, EXPERT, NETWORK, OUTPUT, SOUND
from timbrel.errors import InputError, need_packages
from timbrel.progress import shown


def add_evaluate_commands(app: typer.Typer) -> None:
    """Add `timbrel evaluate` with its commands, and `timbrel listen`, to the program."""
    group = typer.Typer(cls=_Evaluations, help="Measure models.")
    for command in (synthesis, programs, transcription, parts, translation, timbre, fit):
        group.command()(command)
    app.add_typer(group, name="evaluate")
    app.command()(listen)


class _Evaluations(TyperGroup):
    """Commands of which `synthesis` is meant where none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = [synthesis.__name__, *args]
        return super().parse_args(ctx, args)


def synthesis(
    midi: MidiFolder,
    soundfont: SoundFont,
    output: ReportFolder,
    excerpts: Excerpts = None,
    splits: Splits = None,
    split: Split = "test",
    whole: Annotated[
        bool,
        typer.Option(
            "--whole",
            help="Whole tracks are measured instead of excerpts of them.",
            rich_help_panel=DATA,
        ),
    ] = False,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A model to measure. The option may be repeated. By default all shipped ones of "
            "16 kHz, the rate of the measures.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    vocoder: Annotated[
        list[str] | None,
        typer.Option(
            help="A vocoder to measure. The option may be repeated. By default all that were "
            "made for the first model.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    instrument: Annotated[
        list[str] | None,
        typer.Option(
            help="An instrument to measure. The option may be repeated. By default all of "
            "the models'.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="A transcriber that judges the sound. The option may be repeated. By "
            "default all that are installed.",
            rich_help_panel=EXPERT,
        ),
    ] = None,
    cache: EvaluationCache = None,
    jobs: Jobs = -1,
    stop_at_first: StopAtFirst = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure models and vocoders on real music, and write a report.

    This is what `timbrel evaluate` does where no command is named.
    """
    from timbrel.bundles.bundle import load_bundle, shipped_bundles
    from timbrel.geometry import MelConfig

    need_packages("evaluate", "an evaluation", "joblib", "librosa", "matplotlib")
    from timbrel.evaluation.judges import JUDGES
    from timbrel.evaluation.originals import choose_excerpts
    from timbrel.evaluation.report import PAGE_FILE, write_report
    from timbrel.evaluation.run import evaluate as run_evaluation
    from timbrel.evaluation.tables import markdown
    from timbrel.vocoder.catalog import vocoder_names

    failures = Failures(stop_at_first=stop_at_first)
    # The measures are defined at 16 kHz, the rate of the default geometry.
    models = model or [
        name for name in shipped_bundles("mel2mel") if load_bundle(name).mel == MelConfig()
    ]
    chosen = choose_excerpts(
        midi, excerpts=excerpts, splits=splits, split=split, whole=whole, skip=failures
    )
    evaluation = run_evaluation(
        midi,
        soundfont,
        chosen,
        models=models,
        vocoders=vocoder or vocoder_names(load_bundle(models[0], kind="mel2mel").mel),
        instruments=instrument or (),
        judges=judge or tuple(JUDGES),
        cache=cache or output / "cache",
        jobs=jobs,
        progress=shown(quiet=quiet),
    )
    write_report(evaluation, output, progress=shown(quiet=quiet))
    results = evaluation.results
    print(json.dumps(results.as_dict(), indent=2) if as_json else markdown(results))
    print(f"{output / PAGE_FILE}: written", file=sys.stderr)
    failures.end()


def listen(
    report: Annotated[
        Path, typer.Option(help="A folder that 'timbrel evaluate' wrote.", rich_help_panel=DATA)
    ],
    condition: Annotated[
        list[str] | None,
        typer.Option(
            help="A condition to compare. The option may be repeated. By default all of the "
            "report's.",
            rich_help_panel=DATA,
        ),
    ] = None,
    items: Annotated[
        int,
        typer.Option(
            help="The number of clips that each listener hears in every condition.",
            min=1,
            rich_help_panel=DATA,
        ),
    ] = 4,
    host: Annotated[
        str,
        typer.Option(
            help="The address to serve the test at; 0.0.0.0 lets other machines in.",
            rich_help_panel=NETWORK,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=1, max=65535, rich_help_panel=NETWORK, help="The port to serve the test at."
        ),
    ] = 8760,
    analyse: Annotated[
        bool,
        typer.Option(
            "--analyse",
            help="The answers that listeners have given so far are analysed.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a blind listening test in the browser, or analyse its answers."""
    need_packages(
        "evaluate", "the listening test", "krippendorff", "pyloudnorm", "starlette", "uvicorn"
    )
    from timbrel.evaluation.listening.store import DATABASE_FILE, Store

    if analyse:
        from timbrel.evaluation.listening.analysis import analyse as analyse_ratings
        from timbrel.evaluation.listening.analysis import markdown

        if not (report / DATABASE_FILE).is_file():
            raise InputError(f"{report}: nobody has listened yet (there is no {DATABASE_FILE})")
        found = analyse_ratings(Store(report / DATABASE_FILE).ratings())
        print(json.dumps(found.as_dict(), indent=2) if as_json else markdown(found), end="")
        return
    from timbrel.evaluation.listening.server import make_app, serve
    from timbrel.sockets import listening_socket, url_of

    test = make_app(report, conditions=condition or (), n_items=items)
    listener = listening_socket(host, port)
    print(f"{url_of(listener)} is the listening test; stop it with Ctrl-C", flush=True)
    serve(test, listener)

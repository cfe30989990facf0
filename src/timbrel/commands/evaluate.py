"""The commands that evaluate models, by measures and by listening tests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.batch import Failures
from timbrel.commands.options import Jobs, Json, Quiet, StopAtFirst
from timbrel.errors import InputError, need_packages
from timbrel.progress import shown


def add_evaluate_commands(app: typer.Typer) -> None:
    """Add `timbrel evaluate` and `timbrel listen` to the program."""
    app.command()(evaluate)
    app.command()(listen)


def evaluate(
    midi: Annotated[Path, typer.Option(help="The folder of the MIDI files.")],
    soundfont: Annotated[Path, typer.Option(help="What the models were trained on.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the report.")],
    excerpts: Annotated[
        Path | None,
        typer.Option(
            help="CSV with columns file, start_s and duration_s. By default the 14 published test "
            "tracks if they are there, else 15 seconds of each file."
        ),
    ] = None,
    splits: Annotated[
        Path | None, typer.Option(help="CSV with columns file and split, instead of excerpts.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which of the splits' files.")] = "test",
    whole: Annotated[
        bool, typer.Option("--whole", help="Whole tracks instead of excerpts of them.")
    ] = False,
    model: Annotated[list[str] | None, typer.Option(help="Models; all that are shipped.")] = None,
    vocoder: Annotated[list[str] | None, typer.Option(help="Vocoders; all of them.")] = None,
    instrument: Annotated[
        list[str] | None, typer.Option(help="Instruments; all of the models'.")
    ] = None,
    judge: Annotated[
        list[str] | None, typer.Option(help="Transcribers; all that are installed.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps what is made; by default REPORT/cache.")
    ] = None,
    jobs: Jobs = -1,
    stop_at_first: StopAtFirst = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure models and vocoders on real music, and write the report."""
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
    report: Annotated[Path, typer.Option(help="A folder that 'timbrel evaluate' wrote.")],
    condition: Annotated[
        list[str] | None, typer.Option(help="Conditions to compare; all of the report's.")
    ] = None,
    items: Annotated[
        int, typer.Option(help="How many clips each listener hears in every condition.", min=1)
    ] = 4,
    host: Annotated[
        str, typer.Option(help="Address to serve; 0.0.0.0 for other machines, too.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8760,
    analyse: Annotated[
        bool, typer.Option("--analyse", help="Say what listeners have said until now.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask people how good it sounds: a blind listening test in the browser."""
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

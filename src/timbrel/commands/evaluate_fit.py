"""The command that measures fitted timbres on instruments of another SoundFont."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timbrel.commands.options import Json, Quiet
from timbrel.commands.panels import DATA, OUTPUT, SOUND
from timbrel.commands.reports import print_report, write_report
from timbrel.constants import DEFAULT_MODEL
from timbrel.errors import need_packages
from timbrel.files import check_output_folder, make_folder
from timbrel.progress import shown

if TYPE_CHECKING:
    from timbrel.evaluation.fitting import FitMeasures


def fit(
    soundfont: Annotated[
        Path,
        typer.Option(help="A SoundFont that the model was not trained on.", rich_help_panel=DATA),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="The folder for fit.md, fit.json and a picture of each fit.",
            rich_help_panel=OUTPUT,
        ),
    ],
    program: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            max=127,
            help="A General MIDI program to measure. The option may be repeated. By default "
            "twelve, of twelve families.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="The model to measure.", rich_help_panel=SOUND)
    ] = DEFAULT_MODEL,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit timbres to phrases of 10 seconds, and measure them on other notes.

    Each is compared with the nearest of the model's own instruments, which an exhaustive search
    finds for the same phrase at its level.
    """
    need_packages("train", "an evaluation", "matplotlib", "torch")
    from timbrel.bundles.bundle import load_bundle
    from timbrel.evaluation.fitting import PROGRAMS, as_dict, evaluate_fit, markdown
    from timbrel.fitting.plot import plot_fit

    check_output_folder(output, may_hold=True, remedy="")
    mel = load_bundle(model, kind="mel2mel").mel
    make_folder(output)

    results: list[FitMeasures] = []
    text = content = ""
    chosen = program or PROGRAMS
    for one, found in evaluate_fit(
        soundfont, model=model, programs=chosen, progress=shown(quiet=quiet)
    ):
        plot_fit(found, mel, output / f"{one.program:03}.png", title=one.name)
        results.append(one)
        text, content = markdown(results), json.dumps(as_dict(results), indent=1) + "\n"
        write_report(output, "fit", text, content)
    print_report(output, "fit", text, content, as_json=as_json)

"""The command that fits a timbre to recordings of an instrument."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.options import Force, Json, Model, Quiet
from timbrel.commands.panels import DATA, OUTPUT
from timbrel.errors import OutputError, need_packages, printable
from timbrel.progress import shown


def add_fit_command(app: typer.Typer) -> None:
    """Add `timbrel fit` to the program."""
    app.command()(fit)


def fit(
    clips: Annotated[
        list[Path],
        typer.Argument(
            help="Recordings of one instrument, up to two minutes together.", metavar="CLIP.wav"
        ),
    ],
    score: Annotated[
        list[Path] | None,
        typer.Option(
            help="The MIDI file of a clip's notes; one for each clip, in their order. Without it, "
            "the notes are heard in the clips.",
            rich_help_panel=DATA,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The .timbre file to write. By default CLIP.timbre in the current folder.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="A picture of the clip, the fitted timbre and the error along the fit: a .png or "
            ".svg file to write.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    model: Model = "",
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit a timbre to recordings of an instrument, beyond those that the model knows."""
    need_packages("train", "fitting", "torch")
    from timbrel.bundles.bundle import load_bundle
    from timbrel.constants import DEFAULT_MODEL
    from timbrel.files import check_distinct, check_output
    from timbrel.fitting.fit import fit_timbre
    from timbrel.fitting.plot import check_plot, plot_fit
    from timbrel.timbre.timbre import FILE_SUFFIX, save_timbre

    target = output or Path(clips[0].stem + FILE_SUFFIX)
    if target.suffix != FILE_SUFFIX:
        raise OutputError(f"{target}: a timbre's file ends with '{FILE_SUFFIX}'")
    check_output(target, force=force)
    if plot is not None:
        check_plot(plot)
        check_output(plot, force=force)
        check_distinct([target, plot], "name two files")
    bundle = load_bundle(model or DEFAULT_MODEL, kind="mel2mel")
    found = fit_timbre(clips, bundle, scores=score or (), progress=shown(quiet=quiet))
    save_timbre(target, found.timbre)
    if plot is not None:
        plot_fit(found, bundle.mel, plot, title=clips[0].name)
    for remark in found.remarks:
        print(printable(remark), file=sys.stderr)
    if as_json:
        row = {
            "output": str(target),
            "model": bundle.name,
            "nearest": found.nearest,
            "nearest_error_db": round(found.nearest_error_db, 2),
            "error_db": round(found.error_db, 2),
            "held_out_error_db": round(found.held_out_db, 2),
            "gain_db": round(found.gain_db, 2),
            "coordinates": list(found.timbre.points[0]),
        }
        print(json.dumps(row, indent=2))
        return
    print(
        printable(
            f"{target}: {found.error_db:.1f} dB off ({found.held_out_db:.1f} dB where it was not "
            f"fitted); {found.nearest}, where the fit began, is {found.nearest_error_db:.1f} dB off"
        )
    )

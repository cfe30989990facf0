"""The command that writes the bundled MIDI files, for trying out Timbrel."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.options import Force, Json
from timbrel.commands.panels import OUTPUT


def add_tunes_command(app: typer.Typer) -> None:
    """Add `timbrel tunes` to the program."""
    app.command()(tunes)


def tunes(
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="The folder that the MIDI files are written to.",
            rich_help_panel=OUTPUT,
        ),
    ] = Path(),
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write the bundled MIDI files, to try Timbrel with."""
    from timbrel.examples import TUNES, tune_path
    from timbrel.files import atomic_path, check_output, make_folder

    targets = [output / file for file in TUNES.values()]
    for target in targets:
        check_output(target, force=force, may_create=True)
    make_folder(output)
    for target in targets:
        with atomic_path(target) as temporary:
            shutil.copyfile(tune_path(target.name), temporary)
    if as_json:
        print(json.dumps([str(target) for target in targets], indent=2))
        return
    for name, target in zip(TUNES, targets, strict=True):
        print(f"{target}: {name}")

"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from timbrel.commands.messages import complain
from timbrel.constants import DEFAULT_MODEL
from timbrel.errors import InputError
from timbrel.machine import n_cores


def within_machine(option: typer.CallbackParam, value: int | None) -> int | None:
    """Bound a number of threads or processes by that of the cores, and say so."""
    if value == 0:
        raise InputError(f"{option.opts[0]} must not be 0")
    most = n_cores()
    if value is not None and value > most:
        cores = "1 core" if most == 1 else f"{most} cores"
        complain(f"{option.opts[0]} {value}: this machine has {cores}; {most} will do")
        return most
    return value


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress on standard error.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
Model = Annotated[
    str,
    typer.Option(help=f"A shipped model's name, or a bundle's folder. By default {DEFAULT_MODEL}."),
]
MaxDuration = Annotated[
    float, typer.Option(help="Refuse MIDI files that last longer, in hours.", min=0)
]
StopAtFirst = Annotated[
    bool,
    typer.Option(
        "--stop-at-first",
        help="Stop at the first file that cannot be used, instead of naming it and going on with "
        "the others.",
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        help="Parallel processes; -1: one for each core.", min=-1, callback=within_machine
    ),
]
License = Annotated[
    str | None,
    typer.Option(help="Of models trained on the data, for their cards, as in 'CC BY 4.0'."),
]
Attribution = Annotated[
    str | None, typer.Option(help="What these cards say of where the data come from.")
]
Seed = Annotated[int, typer.Option(help="The same number gives the same sound again.", min=0)]
Temperature = Annotated[
    float, typer.Option(help="Below 1 calmer, above 1 noisier; 0 draws nothing.", min=0)
]

RESUME_REMEDY = "give --resume to go on with it"

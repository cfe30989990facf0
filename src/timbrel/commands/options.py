"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.messages import complain
from timbrel.commands.panels import DATA, EXPERT, OUTPUT, SOUND
from timbrel.constants import DEFAULT_ENCODER, DEFAULT_MODEL, SMALL_MODEL
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


Json = Annotated[
    bool,
    typer.Option("--json", help="The command prints its result as JSON.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", help="The command shows no progress on standard error.", rich_help_panel=OUTPUT
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Files that exist are overwritten.", rich_help_panel=OUTPUT)
]
Model = Annotated[
    str,
    typer.Option(
        help="The model: a shipped model's name, or a bundle's folder. By default "
        f"{DEFAULT_MODEL}.",
        rich_help_panel=EXPERT,
    ),
]
PlayedModel = Annotated[
    str,
    typer.Option(
        "--model",
        help="The model: a shipped model's name, or a bundle's folder. By default "
        f"{DEFAULT_MODEL}, or {SMALL_MODEL} for a vocoder that was made for it.",
        rich_help_panel=EXPERT,
    ),
]
Encoder = Annotated[
    str,
    typer.Option(
        help="The timbre encoder: a shipped model's name, or a bundle's folder. By default "
        f"'{DEFAULT_ENCODER}', which was made for {DEFAULT_MODEL}.",
        rich_help_panel=EXPERT,
    ),
]
EncoderThreads = Annotated[
    int,
    typer.Option(
        "--threads",
        help="The number of threads of the encoder.",
        min=1,
        callback=within_machine,
        rich_help_panel=EXPERT,
    ),
]
Vocoder = Annotated[
    str,
    typer.Option(
        help="The vocoder, which turns spectrograms into sound: a shipped one's name, or "
        "a bundle's folder. By default the vocoder that was made for the model.",
        rich_help_panel=EXPERT,
    ),
]
MaxDuration = Annotated[
    float,
    typer.Option(
        help="The greatest length of a MIDI file, in hours; longer ones are refused.",
        min=0,
        rich_help_panel=EXPERT,
    ),
]
MidiFolder = Annotated[
    Path, typer.Option("--midi", help="The folder of the MIDI files.", rich_help_panel=DATA)
]
SoundFont = Annotated[
    Path,
    typer.Option(
        "--soundfont", help="The SoundFont that the models were trained on.", rich_help_panel=DATA
    ),
]
ReportFolder = Annotated[
    Path,
    typer.Option("-o", "--output", help="The folder for the report.", rich_help_panel=OUTPUT),
]
StopAtFirst = Annotated[
    bool,
    typer.Option(
        "--stop-at-first",
        help="The command stops at the first file that cannot be used, instead of naming "
        "it and going on with the others.",
        rich_help_panel=EXPERT,
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        help="The number of parallel processes; -1 starts one for each core.",
        min=-1,
        callback=within_machine,
        rich_help_panel=EXPERT,
    ),
]
License = Annotated[
    str | None,
    typer.Option(
        help="The licence of models trained on the data, for their model cards, as in 'CC BY 4.0'.",
        rich_help_panel=DATA,
    ),
]
Attribution = Annotated[
    str | None,
    typer.Option(
        help="Where the data come from, for the cards of models trained on them.",
        rich_help_panel=DATA,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        help="The seed of the random numbers: the same seed gives the same sound again.",
        min=0,
        rich_help_panel=EXPERT,
    ),
]
Temperature = Annotated[
    float,
    typer.Option(
        help="The sampling temperature: values below 1 are more conservative, values above 1 "
        "noisier, and 0 takes the likeliest sample.",
        min=0,
        rich_help_panel=EXPERT,
    ),
]

Excerpts = Annotated[
    Path | None,
    typer.Option(
        help="A CSV file with the columns file, start_s and duration_s. By default the "
        "14 published test tracks if they are there, else 15 seconds of each file.",
        rich_help_panel=DATA,
    ),
]
Splits = Annotated[
    Path | None,
    typer.Option(
        help="A CSV file with the columns file and split, instead of excerpts.",
        rich_help_panel=DATA,
    ),
]
Split = Annotated[
    str, typer.Option(help="The split whose files are measured.", rich_help_panel=DATA)
]
TenInstruments = Annotated[
    list[str] | None,
    typer.Option(
        "--instrument",
        help="One of the ten instruments. The option may be repeated. By default all of them.",
        rich_help_panel=SOUND,
    ),
]
EvaluationCache = Annotated[
    Path | None,
    typer.Option(
        help="The folder that keeps what was computed. By default REPORT/cache.",
        rich_help_panel=EXPERT,
    ),
]

RESUME_REMEDY = "give --resume to go on with it"


def ten_instruments(names: list[str] | None) -> dict[str, int]:
    """The programs of those of the ten instruments that are named, or of all of them.

    Raises
    ------
    InputError
        If one is none of the ten.
    """
    from timbrel.score.instruments import TEN_INSTRUMENTS

    for name in names or ():
        if name not in TEN_INSTRUMENTS:
            known = ", ".join(TEN_INSTRUMENTS)
            raise InputError(f"there is no instrument '{name}'; known: {known}")
    return {name: TEN_INSTRUMENTS[name] for name in names or TEN_INSTRUMENTS}

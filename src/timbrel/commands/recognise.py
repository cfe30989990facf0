"""The command that says which instruments are heard in recordings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrel.commands.batch import Batch
from timbrel.commands.options import Encoder, EncoderThreads, Json, Quiet, StopAtFirst
from timbrel.commands.panels import OUTPUT, SOUND
from timbrel.errors import printable
from timbrel.progress import shown

if TYPE_CHECKING:
    from timbrel.hearing.from_audio import Likely, Recognition

LEAST = 0.05  # instruments that are less likely than this are not printed, but for the first one


def add_recognise_command(app: typer.Typer) -> None:
    """Add `timbrel recognise` to the program."""
    app.command()(recognise)


def recognise(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Recordings, or folders with recordings (also in subfolders): WAV, FLAC, OGG, "
            "MP3 or AIFF.",
            metavar="CLIP.wav",
        ),
    ],
    number: Annotated[
        int,
        typer.Option(
            help="The greatest number of instruments named for a sound.",
            min=1,
            rich_help_panel=OUTPUT,
        ),
    ] = 5,
    among: Annotated[
        list[str] | None,
        typer.Option(
            help="An instrument that it may be. The option may be repeated; all others are then "
            "taken for the one that sounds nearest, or for none of them.",
            metavar="INSTRUMENT",
            rich_help_panel=SOUND,
        ),
    ] = None,
    encoder: Encoder = "",
    threads: EncoderThreads = 1,
    stop_at_first: StopAtFirst = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Say which instruments are heard in recordings, and how likely each of them is."""
    from timbrel.constants import DEFAULT_ENCODER
    from timbrel.hearing.from_audio import TimbreEncoder
    from timbrel.timbre.lookup import named_instruments
    from timbrel.transcription.recording import audio_files, look_into

    paths = [p for given in files for p in (given.is_dir() and audio_files(given)) or [given]]
    listener = TimbreEncoder.load(encoder or DEFAULT_ENCODER, threads=threads)
    possible = named_instruments(among, listener.bundle.instruments) if among else []
    batch = Batch(paths, stop_at_first=stop_at_first)

    def listen(place: int) -> dict[str, Any]:
        path = paths[place]
        recording = look_into(path)
        heard = listener.hear(recording, progress=shown(quiet=quiet))
        whole, *sections = listener.recognised(heard, possible)
        for remark in recording.remarks:
            print(printable(f"{path}: {remark}"), file=sys.stderr)
        if not as_json:
            print(printable(f"{path}: {_in_words(whole, number)}"))
            for section in sections:
                times = f"{section.start_s:7.1f} s to {section.end_s:.1f} s"
                print(f"{times}: {_in_words(section, number)}")
        return {
            "file": str(path),
            "duration_s": round(whole.end_s, 3),
            **_described(whole, number),
            "sections": [
                {
                    "start_s": round(section.start_s, 3),
                    "end_s": round(section.end_s, 3),
                    **_described(section, number),
                }
                for section in sections
            ],
            "remarks": list(recording.remarks),
        }

    rows = batch.each(listen)
    if as_json:
        batch.print_json(rows)
    batch.end()


def described_instruments(instruments: Sequence[Likely]) -> list[dict[str, Any]]:
    """Instruments and how likely they are, as JSON."""
    return [
        {
            "name": one.instrument.name,
            "program": one.instrument.program,
            "drums": one.instrument.is_kit,
            "family": one.family,
            "probability": round(one.probability, 4),
        }
        for one in instruments
    ]


def instruments_in_words(instruments: Sequence[Likely], nothing: float, number: int) -> str:
    """Instruments and how likely they are, for people."""
    said = [
        f"{one.instrument.name} {one.probability:.0%}"
        for place, one in enumerate(instruments[:number])
        if place == 0 or one.probability >= LEAST
    ]
    if nothing >= LEAST:
        said.insert(0 if nothing > instruments[0].probability else len(said), _none(nothing))
    return ", ".join(said)


def _none(nothing: float) -> str:
    return f"no instrument {nothing:.0%}"


def _in_words(found: Recognition, number: int) -> str:
    said = instruments_in_words(found.instruments, found.nothing, number)
    return said if found.others < LEAST else f"{said}, none of these {found.others:.0%}"


def _described(found: Recognition, number: int) -> dict[str, Any]:
    return {
        "instruments": described_instruments(found.instruments[:number]),
        "no_instrument": round(found.nothing, 4),
        "others": round(found.others, 4),
    }

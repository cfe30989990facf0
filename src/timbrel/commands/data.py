"""The command that makes training data."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timbrel.commands.batch import Failures
from timbrel.commands.options import (
    RESUME_REMEDY,
    Attribution,
    Force,
    Jobs,
    Json,
    License,
    Quiet,
    StopAtFirst,
)
from timbrel.commands.panels import DATA, EXPERT, OUTPUT, SOUND
from timbrel.errors import InputError, need_training
from timbrel.files import check_output_folder
from timbrel.progress import shown

if TYPE_CHECKING:
    from timbrel.corpus.presets import Preset

TEN = "ten"  # the set of instruments where none is given


def add_data_commands(app: typer.Typer) -> None:
    """Add `timbrel prepare` to the program."""
    app.command()(prepare)


def prepare(
    midi_dir: Annotated[
        Path | None,
        typer.Argument(
            help="A folder of MIDI files. Without one, only etudes and single notes are rendered.",
            metavar="MIDI_DIR",
        ),
    ] = None,
    soundfont: Annotated[
        Path | None,
        typer.Option(
            help="The SoundFont that plays the scores, an .sf2 or .sf3 file.", rich_help_panel=SOUND
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The folder for the training data.", rich_help_panel=OUTPUT
        ),
    ] = None,
    instruments: Annotated[
        str,
        typer.Option(
            help="The set of instruments: 'ten'; 'gm', the 128 programs of General MIDI and "
            "the SoundFont's drum kits; or 'variations', the SoundFont's other banks. Or a YAML "
            "file, a list of names, programs and banks.",
            metavar="SET|FILE.yaml",
            rich_help_panel=SOUND,
        ),
    ] = TEN,
    recordings: Annotated[
        Path | None,
        typer.Option(
            help="A folder of recordings with MIDI files of the same names beside them, instead "
            "of scores for a SoundFont. Subfolders name the instruments.",
            metavar="DIR",
            rich_help_panel=DATA,
        ),
    ] = None,
    instrument: Annotated[
        str | None,
        typer.Option(
            help="With --recordings, the instrument of all of them.",
            metavar="NAME",
            rich_help_panel=DATA,
        ),
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option(
            help="A CSV file with the columns file and split, which says which scores are "
            "for training.",
            rich_help_panel=DATA,
        ),
    ] = None,
    minutes_per_instrument: Annotated[
        float | None,
        typer.Option(
            help="The most minutes of training scores for each instrument.",
            min=0,
            rich_help_panel=DATA,
        ),
    ] = None,
    validation_minutes_per_instrument: Annotated[
        float | None,
        typer.Option(
            help="The most minutes of validation scores for each instrument.",
            min=0,
            rich_help_panel=DATA,
        ),
    ] = None,
    excerpt_seconds: Annotated[
        float | None,
        typer.Option(
            help="The length, in seconds, of the excerpts that scores are cut into. By "
            "default they stay whole.",
            min=1,
            rich_help_panel=DATA,
        ),
    ] = None,
    etudes: Annotated[
        int,
        typer.Option(
            help="The number of generated training scores for each instrument; drum kits get "
            "twice as many. One more in ten, at least one, is for validation.",
            min=0,
            rich_help_panel=DATA,
        ),
    ] = 0,
    single_notes: Annotated[
        int,
        typer.Option(
            help="The number of training scores in which every key of an instrument sounds alone; "
            "kits and validation get more, as of --etudes.",
            min=0,
            rich_help_panel=DATA,
        ),
    ] = 0,
    seed: Annotated[
        int,
        typer.Option(
            help="The seed of etudes, single notes and the choice of excerpts: another seed "
            "gives others.",
            min=0,
            rich_help_panel=EXPERT,
        ),
    ] = 0,
    sample_rate: Annotated[
        int,
        typer.Option(
            help="The sample rate of the audio, in Hz.", min=8000, max=96000, rich_help_panel=SOUND
        ),
    ] = 16_000,
    gain: Annotated[
        float | None,
        typer.Option(
            help="The gain of FluidSynth. By default the loudest peak of the validation scores "
            "comes to −3 dB. To train a model on, give the gain in its config.json.",
            min=0.001,
            max=10,
            rich_help_panel=SOUND,
        ),
    ] = None,
    bit_depth: Annotated[
        str | None,
        typer.Option(
            help="The bit depth of the audio files: 16 or 24. What 16 bits round off is as loud as "
            "the highest partials of soft notes. By default 16.",
            metavar="16|24",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    license: License = None,
    attribution: Attribution = None,
    jobs: Jobs = -1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="The address of a Dask scheduler that shares the work among machines.",
            rich_help_panel=EXPERT,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="An unfinished data folder is resumed.", rich_help_panel=OUTPUT
        ),
    ] = False,
    stop_at_first: StopAtFirst = False,
    described: Annotated[
        Path | None,
        typer.Option(
            "--describe",
            help="A data folder to describe, instead of rendering one.",
            metavar="DATA",
            rich_help_panel=DATA,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="With --describe, a picture of the contents: a PNG file to write.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Make training data of scores in every instrument, or of recordings; or describe it."""
    need_training()
    from timbrel.commands.description import print_description
    from timbrel.corpus.preparation import check_bit_depth
    from timbrel.corpus.preparation import prepare as prepare_data
    from timbrel.corpus.recordings import prepare_recordings
    from timbrel.corpus.selection import Amount

    if described is not None:
        print_description(described, plot, as_json=as_json, force=force, quiet=quiet)
        return
    amount = Amount(
        minutes_per_instrument=minutes_per_instrument,
        validation_minutes_per_instrument=validation_minutes_per_instrument,
        excerpt_s=excerpt_seconds,
        etudes=etudes,
        single_notes=single_notes,
        seed=seed,
    )
    if instrument is not None and recordings is None:
        raise InputError("--instrument names who plays in --recordings; give these, too")
    if output is None or (soundfont is None and recordings is None):
        raise InputError(
            "give --output and --soundfont or --recordings; or --describe and a data folder"
        )
    check_bit_depth(bit_depth, "--bit-depth")
    check_output_folder(output, may_hold=resume, remedy=RESUME_REMEDY)
    failures = Failures(stop_at_first=stop_at_first)
    progress = shown(quiet=quiet)
    if recordings is not None:
        given = {
            "MIDI_DIR": midi_dir is not None,
            "--soundfont": soundfont is not None,
            "--instruments": instruments != TEN,
            "--scheduler": scheduler is not None,
            "--gain": gain is not None,
            "--bit-depth": bit_depth is not None,
            "limits or etudes": amount != Amount(),
        }
        _refuse_with_recordings([name for name, is_given in given.items() if is_given])
        settings = prepare_recordings(
            recordings,
            output,
            instrument=instrument,
            splits=splits,
            sample_rate=sample_rate,
            license=license,
            attribution=attribution,
            jobs=jobs,
            skip=failures,
            progress=progress,
        )
    else:
        assert soundfont is not None
        settings = prepare_data(
            midi_dir,
            output,
            soundfont=soundfont,
            instruments=_presets(instruments, soundfont),
            splits=splits,
            amount=amount,
            sample_rate=sample_rate,
            gain=gain,
            bit_depth=bit_depth,
            license=license,
            attribution=attribution,
            jobs=jobs,
            scheduler=scheduler,
            skip=failures,
            progress=progress,
        )
    if as_json:
        print(json.dumps(asdict(settings), indent=2))
    else:
        said = f", with a gain of {settings.gain:g}" if settings.soundfont else ""
        print(f"{output}: ready{said}")
    failures.end()


def _presets(instruments: str, soundfont: Path) -> list[Preset]:
    """The instruments of a set, or of a list in YAML."""
    from timbrel.corpus.instrument_list import YAML_SUFFIXES, read_instrument_list
    from timbrel.corpus.presets import find_instruments

    if Path(instruments).suffix.lower() in YAML_SUFFIXES:
        return read_instrument_list(instruments, soundfont)
    return find_instruments(instruments, soundfont)


def _refuse_with_recordings(given: list[str]) -> None:
    if given:
        raise InputError(f"--recordings are used as they are: leave out {', '.join(given)}")

"""The command that plays recordings in another timbre."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrel.commands.batch import Batch
from timbrel.commands.cast import remarks_on
from timbrel.commands.options import (
    Force,
    Json,
    PlayedModel,
    Quiet,
    Seed,
    StopAtFirst,
    Vocoder,
    within_machine,
)
from timbrel.commands.panels import EXPERT, OUTPUT, SOUND
from timbrel.commands.recordings import Recordings, find_recordings
from timbrel.constants import DEFAULT_TRANSCRIBER
from timbrel.errors import InputError, printable
from timbrel.progress import shown
from timbrel.render_options import RenderOptions

if TYPE_CHECKING:
    from timbrel.commands.outputs import Target
    from timbrel.mastering import Mastering
    from timbrel.translation import Translation


def add_translate_command(app: typer.Typer) -> None:
    """Add `timbrel translate` to the program."""
    app.command()(translate)


def translate(
    files: Recordings,
    timbre: Annotated[
        str,
        typer.Option(
            help="The timbre: an instrument, a General MIDI name or number, a mix, coordinates, "
            "a path over time, or a .timbre file.",
            rich_help_panel=SOUND,
        ),
    ],
    output: Annotated[
        str | None,  # a Path would lose the '/' at the end of a folder's name
        typer.Option(
            "-o",
            "--output",
            help="The audio file to write (.wav, .flac or .ogg), or a folder for any number of "
            "them. By default SONG.wav in the current folder.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    loudness: Annotated[
        float | None,
        typer.Option(
            help="The integrated loudness of the sound, in LUFS (ITU-R BS.1770-4). By default "
            "that of the recording.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    dry: Annotated[
        bool, typer.Option("--dry", help="The sound has no reverb.", rich_help_panel=SOUND)
    ] = False,
    model: PlayedModel = "",
    vocoder: Vocoder = "",
    transcriber: Annotated[
        str,
        typer.Option(
            help="The transcriber: a shipped model's name, or a bundle's folder.",
            rich_help_panel=EXPERT,
        ),
    ] = DEFAULT_TRANSCRIBER,
    seed: Seed = 0,
    threads: Annotated[
        int | None,
        typer.Option(
            help="The number of threads. By default one for each physical core.",
            min=1,
            callback=within_machine,
            rich_help_panel=EXPERT,
        ),
    ] = None,
    stop_at_first: StopAtFirst = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Play recordings in another timbre: their notes are heard and played again."""
    from timbrel.commands.outputs import Outputs
    from timbrel.commands.writing import render_file
    from timbrel.files import STDOUT
    from timbrel.synthesizer import Synthesizer
    from timbrel.timbre.timbre import parse_timbre
    from timbrel.transcription.recording import look_into
    from timbrel.transcription.transcriber import Transcriber
    from timbrel.translation import Translator

    # All that can be wrong is found before the first file is written.
    options = RenderOptions(timbre=timbre, loudness_lufs=loudness, dry=dry, seed=seed)
    recordings = find_recordings(files)
    paths = [recording.path for recording in recordings]
    outputs = Outputs(
        [recording.name for recording in recordings],
        output,
        subfolders=[recording.name.parent for recording in recordings],
        force=force,
    )
    if output == str(STDOUT) and as_json:
        raise InputError("--json prints to standard output, where '-o -' writes the sound")
    batch = Batch(paths, stop_at_first=stop_at_first)
    looked = batch.each(lambda place: look_into(paths[place]))
    if not looked:
        batch.end()
    synthesizer = Synthesizer.load(model or None, vocoder=vocoder or None, threads=threads)
    parse_timbre(timbre, synthesizer.instruments)
    translator = Translator(synthesizer, Transcriber.load(transcriber, threads=threads or 1))
    targets = outputs.plan(dict.fromkeys(looked))
    _check_not_input(targets, paths)
    progress = shown(quiet=quiet)

    def write(place: int) -> dict[str, Any]:
        path, target = paths[place], targets[place]
        began = time.perf_counter()
        found = translator.translate(looked[place], options, progress=progress)
        mastering = render_file(found.stream, target, progress=progress)
        took_s = time.perf_counter() - began
        remarks = [*found.transcription.remarks, *remarks_on(found.stream.timbres)]
        remarks += [mastering.remark] if mastering.remark else []
        for remark in remarks:
            print(printable(f"{path}: {remark}"), file=sys.stderr)
        if not as_json:
            said = sys.stderr if target.is_live else sys.stdout
            print(
                f"{printable(target.name)}: {len(found.transcription.notes)} notes, "
                f"{found.stream.duration_s:.1f} s of sound in {took_s:.1f} s, "
                f"{found.stream.duration_s / took_s:.1f}× real time",
                file=said,
            )
        return _described(path, target, found, mastering) | {
            "timbre": timbre,
            "model": synthesizer.model.name,
            "took_s": round(took_s, 3),
            "remarks": remarks,
        }

    rows = batch.each(write)
    if as_json:
        batch.print_json(rows)
    batch.end()


def _check_not_input(targets: dict[int, Target], paths: list[Path]) -> None:
    """Refuse to write over what is to be heard, also with --force."""
    inputs = {path.resolve(): path for path in paths}
    for target in targets.values():
        path = inputs.get(target.mix.resolve())
        if path is not None:
            raise InputError(f"{path}: would be overwritten by its translation; name another file")


def _described(
    path: Path, target: Target, found: Translation, mastering: Mastering
) -> dict[str, Any]:
    return {
        "file": str(path),
        "output": str(target.mix),
        "duration_s": round(found.stream.duration_s, 3),
        "sample_rate": found.stream.sample_rate,
        "notes": len(found.transcription.notes),
        "tuning_cents": round(found.transcription.tuning_cents, 1),
        **mastering.levels(),
    }

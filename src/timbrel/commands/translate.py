"""The command that plays recordings in another timbre."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrel.commands.batch import Batch
from timbrel.commands.options import (
    Encoder,
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
    from timbrel.commands.translate_ways import Way
    from timbrel.kept_timbre import KeptTimbre


def add_translate_command(app: typer.Typer) -> None:
    """Add `timbrel translate` to the program."""
    app.command()(translate)


def translate(
    files: Recordings,
    timbre: Annotated[
        str | None,
        typer.Option(
            help="The timbre: an instrument, a General MIDI name or number, a mix, coordinates, "
            "a path over time, or a .timbre file.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    keep_timbre: Annotated[
        bool,
        typer.Option(
            "--keep-timbre",
            help="Each recording's own timbre, as the timbre encoder hears it, instead.",
            rich_help_panel=SOUND,
        ),
    ] = False,
    fit: Annotated[
        bool,
        typer.Option(
            "--fit",
            help="The timbre that --keep-timbre finds is fitted to the recording, of up to two "
            "minutes; needs PyTorch.",
            rich_help_panel=SOUND,
        ),
    ] = False,
    save_timbre: Annotated[
        bool,
        typer.Option(
            "--save-timbre",
            help="The timbre that --keep-timbre finds is written beside each sound: SONG.timbre.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
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
    network: Annotated[
        str,
        typer.Option(
            help="A translation network, which goes without notes, instead: a bundle's folder. "
            "It needs --domain.",
            rich_help_panel=SOUND,
        ),
    ] = "",
    domain: Annotated[
        str,
        typer.Option(
            help="The domain of the --network whose sound the recording gets, such as an "
            "instrument.",
            rich_help_panel=SOUND,
        ),
    ] = "",
    temperature: Annotated[
        float | None,
        typer.Option(
            help="The sampling temperature of the --network: values below 1 are more "
            "conservative, and 0 takes the likeliest sample. By default 1.",
            min=0,
            rich_help_panel=EXPERT,
        ),
    ] = None,
    model: PlayedModel = "",
    vocoder: Vocoder = "",
    transcriber: Annotated[
        str,
        typer.Option(
            help="The transcriber: a shipped model's name, or a bundle's folder.",
            rich_help_panel=EXPERT,
        ),
    ] = DEFAULT_TRANSCRIBER,
    encoder: Encoder = "",
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
    """Play recordings in another timbre, or their own: their notes are heard and played again."""
    by_notes = {
        "--timbre": timbre is not None,
        "--keep-timbre": keep_timbre,
        "--fit": fit,
        "--save-timbre": save_timbre,
        "--dry": dry,
        "--model": bool(model),
        "--vocoder": bool(vocoder),
        "--transcriber": transcriber != DEFAULT_TRANSCRIBER,
        "--encoder": bool(encoder),
    }
    if network:
        _check_network(network, domain, by_notes)
    elif domain or temperature is not None:
        raise InputError("--domain and --temperature belong to --network")
    else:
        _check_timbre(timbre, keep_timbre=keep_timbre, given=(fit, save_timbre, bool(encoder)))
    from timbrel.commands.outputs import Outputs
    from timbrel.commands.writing import render_file
    from timbrel.files import STDOUT, check_distinct, check_output
    from timbrel.timbre.timbre import save_timbre as write_timbre
    from timbrel.transcription.recording import look_into

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
    if output == str(STDOUT) and save_timbre:
        raise InputError("--save-timbre writes beside a file; '-o -' writes the sound to none")
    if output == str(STDOUT) and as_json:
        raise InputError("--json prints to standard output, where '-o -' writes the sound")
    batch = Batch(paths, stop_at_first=stop_at_first)
    looked = batch.each(lambda place: look_into(paths[place]))
    if not looked:
        batch.end()
    if network:
        way = _by_network(network, domain, options, temperature, threads or 1)
    else:
        names = (model, vocoder, transcriber, encoder)
        way = _by_notes(names, options, fit=fit, threads=threads)
    targets = outputs.plan(dict.fromkeys(looked))
    _check_not_input(targets, paths)
    files_of = {place: _timbre_file(target) for place, target in targets.items() if save_timbre}
    for path in files_of.values():
        check_output(path, force=force, may_create=True)
    check_distinct(files_of.values(), "name folders of their own")
    progress = shown(quiet=quiet)

    def write(place: int) -> dict[str, Any]:
        path, target = paths[place], targets[place]
        began = time.perf_counter()
        found = way.translated(looked[place], progress)
        mastering = render_file(found.stream, target, progress=progress)
        if place in files_of and found.kept is not None:
            write_timbre(files_of[place], found.kept.timbre)
        took_s = time.perf_counter() - began
        remarks = [*found.remarks, *([mastering.remark] if mastering.remark else [])]
        for remark in remarks:
            print(printable(f"{path}: {remark}"), file=sys.stderr)
        if not as_json:
            said = sys.stderr if target.is_live else sys.stdout
            print(
                f"{printable(target.name)}: {printable(found.words)}, "
                f"{found.stream.duration_s:.1f} s of sound in {took_s:.1f} s, "
                f"{found.stream.duration_s / took_s:.1f}× real time",
                file=said,
            )
            if found.kept is not None:
                print(printable(_kept_in_words(found.kept, files_of.get(place))), file=said)
        return {
            "file": str(path),
            "output": str(target.mix),
            "duration_s": round(found.stream.duration_s, 3),
            "sample_rate": found.stream.sample_rate,
            **mastering.levels(),
            **found.described,
            **({} if network else {"kept_timbre": _kept(found.kept, files_of.get(place))}),
            "took_s": round(took_s, 3),
            "remarks": remarks,
        }

    rows = batch.each(write)
    if as_json:
        batch.print_json(rows)
    batch.end()


def _by_notes(
    names: tuple[str, str, str, str], options: RenderOptions, *, fit: bool, threads: int | None
) -> Way:
    """The way by notes, with the named model, vocoder, transcriber and encoder."""
    from timbrel.commands.timbre_from import chosen_encoder
    from timbrel.commands.translate_ways import ByNotes
    from timbrel.hearing.from_audio import TimbreEncoder
    from timbrel.kept_timbre import TimbreKeeper
    from timbrel.synthesizer import Synthesizer
    from timbrel.timbre.timbre import parse_timbre
    from timbrel.transcription.transcriber import Transcriber
    from timbrel.translation import Translator

    model, vocoder, transcriber, encoder = names
    synthesizer = Synthesizer.load(model or None, vocoder=vocoder or None, threads=threads)
    keeper = None
    if isinstance(options.timbre, str):
        parse_timbre(options.timbre, synthesizer.instruments)
    else:
        listener = TimbreEncoder(chosen_encoder(synthesizer.model, encoder), threads=threads or 1)
        keeper = TimbreKeeper(listener, synthesizer.model, fit=fit)
    hears = Transcriber.load(transcriber, threads=threads or 1)
    return ByNotes(Translator(synthesizer, hears, keeper), options, synthesizer.model.name)


def _by_network(
    network: str, domain: str, options: RenderOptions, temperature: float | None, threads: int
) -> Way:
    """The way through a network's codes to one of its domains."""
    from timbrel.commands.translate_ways import ByNetwork
    from timbrel.translation_network.translator import NetworkTranslator

    translator = NetworkTranslator.load(network, domain, threads=threads)
    temperature = 1.0 if temperature is None else temperature
    return ByNetwork(translator, options.loudness_lufs, temperature, options.seed)


def _check_network(network: str, domain: str, by_notes: Mapping[str, bool]) -> None:
    """Refuse what has no meaning where there are no notes, and a network without a domain."""
    given = [option for option, is_given in by_notes.items() if is_given]
    if given:
        raise InputError(f"{given[0]} is of the way by notes, and --network goes without; give one")
    if not domain:
        from timbrel.translation_network.translator import domain_names, load_network

        known = ", ".join(domain_names(load_network(network)))
        raise InputError(f"--network needs --domain, one of: {known}")


def _check_timbre(timbre: str | None, *, keep_timbre: bool, given: Sequence[bool]) -> None:
    """Refuse what does not say, or contradicts itself, about the timbre."""
    if keep_timbre and timbre is not None:
        raise InputError("--timbre and --keep-timbre exclude each other; give one")
    if not keep_timbre and timbre is None:
        raise InputError("give --timbre, or --keep-timbre for the recording's own")
    if not keep_timbre and any(given):
        raise InputError("--fit, --save-timbre and --encoder belong to --keep-timbre")


def _timbre_file(target: Target) -> Path:
    from timbrel.timbre.timbre import FILE_SUFFIX

    return target.mix.with_suffix(FILE_SUFFIX)


def _kept_in_words(kept: KeptTimbre, saved: Path | None) -> str:
    words = f"its timbre: {kept.nearest} is nearest, sureness {kept.found.sureness:.0%}"
    if kept.error_db is not None:
        words += f"; fitted, {kept.error_db:.1f} dB off"
    return words + (f"; {saved}: saved" if saved else "")


def _check_not_input(targets: dict[int, Target], paths: list[Path]) -> None:
    """Refuse to write over what is to be heard, also with --force."""
    inputs = {path.resolve(): path for path in paths}
    for target in targets.values():
        path = inputs.get(target.mix.resolve())
        if path is not None:
            raise InputError(f"{path}: would be overwritten by its translation; name another file")


def _kept(kept: KeptTimbre | None, saved: Path | None) -> dict[str, Any] | None:
    if kept is None:
        return None
    return {
        "nearest": kept.nearest,
        "sureness": round(kept.found.sureness, 4),
        "coordinates": list(kept.timbre.points[0]),
        "error_db": None if kept.error_db is None else round(kept.error_db, 2),
        "file": None if saved is None else str(saved),
    }

"""The command that turns scores into sound."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrel.commands.batch import Batch
from timbrel.commands.messages import report_faults
from timbrel.commands.options import Force, Json, MaxDuration, Model, StopAtFirst, within_machine
from timbrel.errors import InputError, printable
from timbrel.progress import bar
from timbrel.render_options import POST_FADER, RenderOptions

if TYPE_CHECKING:
    from timbrel.audio_stream import AudioStream
    from timbrel.commands.outputs import Target
    from timbrel.commands.writing import FileOptions
    from timbrel.mastering import Mastering
    from timbrel.score.score import Score
    from timbrel.synthesizer import Synthesizer


def add_render_command(app: typer.Typer) -> None:
    """Add `timbrel render` to the program."""
    app.command()(render)


def render(
    files: Annotated[list[Path], typer.Argument(help="MIDI files.", metavar="SONG.mid")],
    output: Annotated[
        str | None,  # a Path would lose the '/' at the end of a folder's name
        typer.Option(
            "-o",
            "--output",
            help="A .wav, .flac or .ogg file, or a folder for WAV files. By default SONG.wav in "
            "this folder.",
        ),
    ] = None,
    timbre: Annotated[
        list[str] | None,
        typer.Option(
            help="How it sounds: 'church organ', 'trumpet:0.6, harp:0.4', '@0.3,-1.2', a .timbre "
            "file, or a path '0s harp; 8s trumpet'. For one track, by its number: '2=trumpet'; "
            "may be given for each of several. By default each track gets the instrument nearest "
            "to its MIDI program."
        ),
    ] = None,
    model: Model = "",
    vocoder: Annotated[
        str, typer.Option(help="What turns spectrograms into sound. By default parallel.")
    ] = "",
    seed: Annotated[
        int, typer.Option(help="A number; the same one gives the same sound again.", min=0)
    ] = 0,
    start: Annotated[float, typer.Option(help="Where to start, in seconds.")] = 0.0,
    duration: Annotated[
        float | None, typer.Option(help="How long to play, in seconds. By default to the end.")
    ] = None,
    loudness: Annotated[
        float | None,
        typer.Option(
            help="Integrated loudness of the sound in LUFS (ITU-R BS.1770-4). By default -16; a "
            "limiter keeps true peaks below -1 dB."
        ),
    ] = None,
    gain: Annotated[
        float | None,
        typer.Option(
            help="A gain in dB instead of a loudness; the same one for songs that are to keep "
            "their levels. The limiter keeps it from clipping."
        ),
    ] = None,
    no_normalize: Annotated[
        bool,
        typer.Option("--no-normalize", help="As loud as it is computed, which is soft."),
    ] = False,
    mono: Annotated[bool, typer.Option("--mono", help="One channel instead of two.")] = False,
    sample_rate: Annotated[
        int | None,
        typer.Option(help="Of the file, in Hz. By default the model's.", min=8000, max=192_000),
    ] = None,
    stems: Annotated[
        Path | None,
        typer.Option(
            help="A folder for the sound of each track alone as well; their sum is the mix."
        ),
    ] = None,
    stems_kind: Annotated[
        str,
        typer.Option(
            help="Where stems are taken: post-fader, with the track's volume and pan and the mix's "
            "gain and limiter; or pre-fader, as computed, in mono."
        ),
    ] = POST_FADER,
    bit_depth: Annotated[
        str | None,
        typer.Option(
            help="Bits of a sample: 16 (the default, with dither), 24, or 32f for floats, which "
            "WAV files alone can hold."
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="Of a vocoder that draws samples: float32, int16, int8, or auto (the default)."
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="Of a vocoder that draws samples; below 1, it dares less."),
    ] = None,
    threads: Annotated[
        int,
        typer.Option(
            help="Threads of the networks; more than one helps with many tracks only.",
            min=1,
            callback=within_machine,
        ),
    ] = 1,
    max_duration: MaxDuration = 6.0,
    stop_at_first: StopAtFirst = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Turn MIDI files into sound."""
    from timbrel.bundles.bundle import DEFAULT_MODEL
    from timbrel.commands.outputs import Outputs
    from timbrel.commands.writing import FileOptions
    from timbrel.files import STDOUT
    from timbrel.score.midi import read_midi
    from timbrel.sound import BIT_DEPTHS
    from timbrel.synthesizer import Synthesizer
    from timbrel.timbre.timbre import parse_timbre
    from timbrel.vocoder.catalog import DEFAULT_VOCODER
    from timbrel.vocoder.vocoder import Sampling

    # All that can be wrong is found before the first file is written.
    options = RenderOptions(
        seed=seed,
        start_s=start,
        duration_s=duration,
        channels=1 if mono else 2,
        loudness_lufs=loudness,
        gain_db=gain,
        normalize=not no_normalize,
        stems=stems is not None,
        stems_kind=stems_kind,
    )
    if bit_depth not in (None, *BIT_DEPTHS):
        raise InputError(f"--bit-depth must be one of {', '.join(BIT_DEPTHS)}, not '{bit_depth}'")
    specs = _timbre_specs(timbre or [])
    outputs = Outputs(files, output, stems=stems, force=force, bit_depth=bit_depth)
    if output == str(STDOUT) and as_json:
        raise InputError("--json prints to standard output, where '-o -' writes the sound")
    batch = Batch(files, stop_at_first=stop_at_first)
    scores = batch.each(lambda i: read_midi(files[i], max_duration_s=3600 * max_duration))
    if not scores:
        batch.end()
    targets = outputs.plan(scores)
    synthesizer = Synthesizer.load(
        model or DEFAULT_MODEL,
        vocoder=vocoder or DEFAULT_VOCODER,
        threads=threads,
        sampling=Sampling(precision, temperature),
    )
    instruments = synthesizer.model.instruments
    timbres = {number: parse_timbre(spec, instruments) for number, spec in specs.items()}
    options = replace(options, timbre=timbres)
    streams = batch.each(lambda i: _stream(synthesizer, files[i], scores[i], options))
    common = {
        "model": synthesizer.model.name,
        "vocoder": vocoder or DEFAULT_VOCODER,
        "seed": seed,
    }
    songs = {i: _Song(files[i], scores[i], streams[i], targets[i]) for i in streams}
    written_as = FileOptions(sample_rate, bit_depth)
    rows = batch.each(lambda i: _rendered(songs[i], written_as, silent=as_json) | common)
    if as_json:
        batch.print_json(rows)
    batch.end()


@dataclass(frozen=True)
class _Song:
    """A MIDI file on its way to sound."""

    file: Path
    score: Score
    stream: AudioStream
    target: Target


def _stream(
    synthesizer: Synthesizer, file: Path, score: Score, options: RenderOptions
) -> AudioStream:
    try:
        return synthesizer.stream(score, options)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _rendered(song: _Song, options: FileOptions, *, silent: bool) -> dict[str, Any]:
    """Write a song's sound, and describe it."""
    from timbrel.commands.writing import render_file

    if not silent:
        report_faults(song.file, song.score, sys.stderr)
    stream, target = song.stream, song.target
    began = time.perf_counter()
    mastering = render_file(stream, target, options, progress=bar)
    took_s = time.perf_counter() - began
    remark = mastering.remark if stream.loudness_lufs is not None else ""
    if not silent:
        if remark:
            print(f"{printable(str(song.file))}: {remark}", file=sys.stderr)
        print(
            f"{printable(target.name)}: {stream.duration_s:.1f} s of sound in {took_s:.1f} s, "
            f"{stream.duration_s / took_s:.1f}× real time",
            file=sys.stderr if target.is_live else sys.stdout,
        )
    return {
        "file": str(song.file),
        "output": str(target.mix),
        "stems": [str(path) for path in target.stems],
        "duration_s": round(stream.duration_s, 3),
        "sample_rate": options.sample_rate or stream.sample_rate,
        **_levels(mastering),
        "took_s": round(took_s, 3),
        "real_time_factor": round(took_s / stream.duration_s, 4),
        "tracks": len(song.score.tracks),
        "unplayable": song.score.unplayable,
        "warnings": [*song.score.warnings, *([remark] if remark else [])],
    }


def _levels(mastering: Mastering) -> dict[str, float | None]:
    """Gain, loudness and true peak; JSON has no infinity for those of silence."""
    result = mastering.result
    levels = {
        "gain_db": mastering.gain_db,
        "loudness_lufs": result.integrated_lufs,
        "true_peak_dbtp": result.true_peak_dbtp,
    }
    return {name: round(value, 2) if isfinite(value) else None for name, value in levels.items()}


def _timbre_specs(given: list[str]) -> dict[int, str]:
    """What --timbre was given: 'NUMBER=TIMBRE' for a track, and under 0 one for all others."""
    specs: dict[int, str] = {}
    for spec in given:
        before, _, rest = spec.partition("=")
        number, wish = (int(before), rest) if before.strip().isdecimal() else (0, spec)
        if number in specs:
            where = f"track {number}" if number else "all tracks"
            raise InputError(f"two timbres for {where}; give one, or 'NUMBER=TIMBRE' for each")
        specs[number] = wish
    return specs

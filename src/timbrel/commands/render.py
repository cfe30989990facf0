"""The command that turns scores into sound."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from timbrel.commands.messages import report_faults
from timbrel.commands.options import Force, Json, MaxDuration, Model
from timbrel.errors import InputError, printable
from timbrel.progress import bar
from timbrel.render_options import RenderOptions


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
    gain: Annotated[
        float, typer.Option(help="Louder or softer, in dB; a limiter keeps it from clipping.")
    ] = 0.0,
    mono: Annotated[bool, typer.Option("--mono", help="One channel instead of two.")] = False,
    sample_rate: Annotated[
        int | None,
        typer.Option(help="Of the file, in Hz. By default the model's.", min=8000, max=192_000),
    ] = None,
    stems: Annotated[
        Path | None,
        typer.Option(
            help="A folder for the sound of each track alone as well, in mono, before its volume "
            "and pan."
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
        int, typer.Option(help="Threads of the networks; more help with many tracks only.", min=1)
    ] = 1,
    max_duration: MaxDuration = 6.0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Turn MIDI files into sound."""
    from timbrel.bundles.bundle import DEFAULT_MODEL
    from timbrel.commands.outputs import plan_outputs, render_file
    from timbrel.score.midi import read_midi
    from timbrel.synthesizer import Synthesizer
    from timbrel.timbre.timbre import parse_timbre
    from timbrel.vocoder.catalog import DEFAULT_VOCODER
    from timbrel.vocoder.vocoder import Sampling

    # All that can be wrong is found before the first file is written.
    specs = _timbre_specs(timbre or [])
    options = RenderOptions(
        seed=seed,
        start_s=start,
        duration_s=duration,
        channels=1 if mono else 2,
        gain_db=gain,
    )
    scores = [read_midi(file, max_duration_s=3600 * max_duration) for file in files]
    targets = plan_outputs(files, scores, output, stems=stems, force=force)
    synthesizer = Synthesizer.load(
        model or DEFAULT_MODEL,
        vocoder=vocoder or DEFAULT_VOCODER,
        threads=threads,
        sampling=Sampling(precision, temperature),
    )
    instruments = synthesizer.model.instruments
    timbres = {number: parse_timbre(spec, instruments) for number, spec in specs.items()}
    streams = []
    for file, score in zip(files, scores, strict=True):
        try:
            streams.append(synthesizer.stream(score, options, timbre=timbres))
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
    results = []
    for file, score, stream, target in zip(files, scores, streams, targets, strict=True):
        if not as_json:
            report_faults(file, score, sys.stderr)
        began = time.perf_counter()
        render_file(stream, target, file_rate=sample_rate, progress=bar)
        took_s = time.perf_counter() - began
        results.append(
            {
                "file": str(file),
                "output": str(target.mix),
                "stems": [str(path) for path in target.stems],
                "duration_s": round(stream.duration_s, 3),
                "sample_rate": sample_rate or stream.sample_rate,
                "took_s": round(took_s, 3),
                "real_time_factor": round(took_s / stream.duration_s, 4),
                "tracks": len(score.tracks),
                "unplayable": score.unplayable,
                "warnings": list(score.warnings),
                "model": synthesizer.model.name,
                "vocoder": vocoder or DEFAULT_VOCODER,
                "seed": seed,
            }
        )
        if not as_json:
            print(
                f"{printable(str(target.mix))}: {stream.duration_s:.1f} s of sound in "
                f"{took_s:.1f} s, "
                f"{stream.duration_s / took_s:.1f}× as fast as it plays (real-time factor "
                f"{took_s / stream.duration_s:.3f})"
            )
    if as_json:
        print(json.dumps(results, indent=2))


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

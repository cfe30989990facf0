"""The command that renders scores as audio."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrel.commands.batch import Batch
from timbrel.commands.cast import cast_in_words, remarks_on, track_rows
from timbrel.commands.messages import report_faults
from timbrel.commands.options import (
    Force,
    Json,
    MaxDuration,
    PlayedModel,
    Quiet,
    Seed,
    StopAtFirst,
    Vocoder,
    within_machine,
)
from timbrel.commands.panels import EXPERT, OUTPUT, SOUND
from timbrel.commands.songs import Song, Songs, find_songs, read_song
from timbrel.constants import A4_HZ
from timbrel.errors import InputError, printable
from timbrel.progress import Progress, shown
from timbrel.render_options import POST_FADER, RenderOptions

if TYPE_CHECKING:
    from timbrel.audio_stream import AudioStream
    from timbrel.commands.outputs import Target
    from timbrel.commands.writing import FileOptions
    from timbrel.score.score import Score
    from timbrel.synthesizer import Synthesizer


def add_render_command(app: typer.Typer) -> None:
    """Add `timbrel render` to the program."""
    app.command()(render)


def render(
    files: Songs,
    output: Annotated[
        str | None,  # a Path would lose the '/' at the end of a folder's name
        typer.Option(
            "-o",
            "--output",
            help="The file to write: .wav, .flac or .ogg; or a folder for WAV files; or - "
            "for standard output. By default SONG.wav in the current folder.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    timbre: Annotated[
        list[str] | None,
        typer.Option(
            help="The timbre: an instrument ('church organ'), a General MIDI name or number "
            "('violin', 40), a mix ('60% trumpet + 40% harp' or 'trumpet:0.6, "
            "harp:0.4'), coordinates ('@' and as many numbers as the model has dimensions), a "
            ".timbre file, or a path ('0s harp; 8s trumpet'). The number or name of a track "
            "and = before it choose that track ('2=trumpet', 'Violin I=harp'); the option may be "
            "repeated. By default each track gets the instrument of its MIDI program, or the "
            "one that sounds nearest to it.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    mute: Annotated[
        list[str] | None,
        typer.Option(
            help="The number or name of a track to leave out. The option may be repeated. "
            "Muted tracks are not computed.",
            metavar="TRACK",
            rich_help_panel=SOUND,
        ),
    ] = None,
    solo: Annotated[
        list[str] | None,
        typer.Option(
            help="The number or name of the only track to be heard. The option may be repeated.",
            metavar="TRACK",
            rich_help_panel=SOUND,
        ),
    ] = None,
    model: PlayedModel = "",
    vocoder: Vocoder = "",
    seed: Seed = 0,
    start: Annotated[
        float,
        typer.Option(
            help="The time in the song at which the sound starts, in seconds.",
            rich_help_panel=SOUND,
        ),
    ] = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            help="The length of the excerpt, in seconds. By default the song is played to its end.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    loudness: Annotated[
        float | None,
        typer.Option(
            help="The integrated loudness of the sound, in LUFS (ITU-R BS.1770-4). By "
            "default -16. A limiter keeps true peaks below -1 dB.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    gain: Annotated[
        float | None,
        typer.Option(
            help="A gain in dB instead of a loudness: the same gain for several songs keeps "
            "their levels relative to each other. The limiter keeps the sound from clipping.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    no_normalize: Annotated[
        bool,
        typer.Option(
            "--no-normalize",
            help="The sound stays as quiet as the model makes it.",
            rich_help_panel=SOUND,
        ),
    ] = False,
    dry: Annotated[
        bool,
        typer.Option(
            "--dry",
            help="The sound has no reverb and no chorus, and tracks without a pan stay in the "
            "centre.",
            rich_help_panel=SOUND,
        ),
    ] = False,
    mono: Annotated[
        bool,
        typer.Option(
            "--mono", help="The sound has one channel instead of two.", rich_help_panel=OUTPUT
        ),
    ] = False,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            help="The sample rate of the file, in Hz. By default the model's.",
            min=8000,
            max=192_000,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    tuning: Annotated[
        float,
        typer.Option(
            help="The pitch of the A above middle C, in Hz, such as 415. Drums keep theirs.",
            rich_help_panel=SOUND,
        ),
    ] = A4_HZ,
    stems: Annotated[
        Path | None,
        typer.Option(
            help="A folder for the sound of each track alone, beside the mix. The stems add "
            "up to the mix.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    stems_kind: Annotated[
        str,
        typer.Option(
            help="The point at which stems are taken: 'post-fader', with the track's volume, "
            "pan and reverb and with the gain and limiter of the mix; or 'pre-fader', in "
            "mono, as the model makes them.",
            rich_help_panel=OUTPUT,
        ),
    ] = POST_FADER,
    bit_depth: Annotated[
        str | None,
        typer.Option(
            help="The bits of each sample: 16 (the default, with dither), 24, or 32f for "
            "floating point, which only WAV files can hold.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="The precision of a vocoder that draws samples, such as a WaveNet: float32, "
            "int16, int8, bfloat16 (on processors with AMX), or auto: the fastest, but float32 if "
            "the WaveNet's output is continuous. By default auto.",
            rich_help_panel=EXPERT,
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="The sampling temperature of a vocoder that draws samples, such as a "
            "WaveNet: values below 1 are more conservative.",
            rich_help_panel=EXPERT,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="The number of threads that share the tracks; the sound does not depend on "
            "it. By default one for each physical core.",
            min=1,
            callback=within_machine,
            rich_help_panel=EXPERT,
        ),
    ] = None,
    max_duration: MaxDuration = 6.0,
    stop_at_first: StopAtFirst = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Turn MIDI files into sound."""
    from timbrel.bundles.bundle import load_bundle
    from timbrel.commands.outputs import Outputs
    from timbrel.commands.writing import FileOptions
    from timbrel.files import STDOUT
    from timbrel.sound import BIT_DEPTHS
    from timbrel.synthesizer import Synthesizer
    from timbrel.timbre.timbre import parse_timbre
    from timbrel.vocoder.catalog import model_for, vocoder_for
    from timbrel.vocoder.vocoder import Sampling

    # All that can be wrong is found before the first file is written.
    options = RenderOptions(
        mute=tuple(map(_track_key, mute or [])),
        solo=tuple(map(_track_key, solo or [])),
        seed=seed,
        start_s=start,
        duration_s=duration,
        channels=1 if mono else 2,
        loudness_lufs=loudness,
        gain_db=gain,
        normalize=not no_normalize,
        dry=dry,
        tuning_hz=tuning,
        stems=stems is not None,
        stems_kind=stems_kind,
    )
    if bit_depth not in (None, *BIT_DEPTHS):
        raise InputError(f"--bit-depth must be one of {', '.join(BIT_DEPTHS)}, not '{bit_depth}'")
    specs = _timbre_specs(timbre or [])
    songs = find_songs(files)
    outputs = Outputs(
        [song.name for song in songs],
        output,
        subfolders=[song.name.parent for song in songs],
        stems=stems,
        force=force,
        bit_depth=bit_depth,
    )
    if output == str(STDOUT) and as_json:
        raise InputError("--json prints to standard output, where '-o -' writes the sound")
    batch = Batch([song.path for song in songs], stop_at_first=stop_at_first)
    scores = batch.each(lambda i: read_song(songs[i], max_hours=max_duration))
    if not scores:
        batch.end()
    model = model or model_for(vocoder or None)
    vocoder = vocoder or vocoder_for(load_bundle(model, kind="mel2mel"))
    synthesizer = Synthesizer.load(
        model,
        vocoder=vocoder,
        threads=threads,
        sampling=Sampling(precision, temperature),
    )
    for spec in specs.values():
        parse_timbre(spec, synthesizer.instruments)
    # What is given for a track may be a kit or not, which shows when its score is known.
    options = replace(options, timbre=specs)
    scores = {i: synthesizer.playable(score) for i, score in scores.items()}
    targets = outputs.plan(scores)
    if sample_rate is not None and sample_rate > synthesizer.sample_rate and not as_json:
        print(
            f"timbrel: {synthesizer.model.name} plays at {synthesizer.sample_rate} Hz; at "
            f"{sample_rate} Hz its sound still ends at {synthesizer.sample_rate // 2} Hz",
            file=sys.stderr,
        )
    streams = batch.each(lambda i: _stream(synthesizer, songs[i], scores[i], options))
    common = {
        "model": synthesizer.model.name,
        "vocoder": vocoder,
        "seed": seed,
    }
    work = {i: _Work(songs[i], scores[i], streams[i], targets[i]) for i in streams}
    written_as = FileOptions(sample_rate, bit_depth)
    progress = shown(quiet=quiet)
    rows = batch.each(lambda i: _rendered(work[i], written_as, progress, silent=as_json) | common)
    if as_json:
        batch.print_json(rows)
    batch.end()


@dataclass(frozen=True)
class _Work:
    """A song on its way to sound."""

    song: Song
    score: Score
    stream: AudioStream
    target: Target


def _stream(
    synthesizer: Synthesizer, song: Song, score: Score, options: RenderOptions
) -> AudioStream:
    try:
        return synthesizer.stream(score, options)
    except InputError as error:
        raise InputError(f"{song.title}: {error}") from None


def _rendered(
    work: _Work, options: FileOptions, progress: Progress, *, silent: bool
) -> dict[str, Any]:
    """Write a song's sound, and describe it."""
    from timbrel.commands.writing import render_file

    stream, target = work.stream, work.target
    remarks = remarks_on(stream.timbres)
    if not silent:
        _introduce(work, remarks)
    began = time.perf_counter()
    mastering = render_file(stream, target, options, progress=progress)
    took_s = time.perf_counter() - began
    remark = mastering.remark if stream.loudness_lufs is not None else ""
    if not silent:
        said = sys.stderr if target.is_live else sys.stdout
        title = printable(work.song.title)
        if remark:
            print(f"{title}: {remark}", file=sys.stderr)
        print(f"{title}: {printable(cast_in_words(stream.timbres))}", file=said)
        print(
            f"{printable(target.name)}: {stream.duration_s:.1f} s of sound in {took_s:.1f} s, "
            f"{stream.duration_s / took_s:.1f}× real time",
            file=said,
        )
    return {
        "file": str(work.song.path),
        "output": str(target.mix),
        "stems": [str(path) for path in target.stems],
        "duration_s": round(stream.duration_s, 3),
        "sample_rate": options.sample_rate or stream.sample_rate,
        **mastering.levels(),
        "took_s": round(took_s, 3),
        "real_time_factor": round(took_s / stream.duration_s, 4),
        "tracks": track_rows(work.score.tracks, stream.timbres),
        "unplayable": work.score.unplayable,
        "warnings": [*work.score.warnings, *remarks, *([remark] if remark else [])],
    }


def _introduce(work: _Work, remarks: list[str]) -> None:
    """Say what cannot be done as the file, or a wish, has it."""
    title = printable(work.song.title)
    report_faults(work.song.title, work.score, sys.stderr)
    for remark in remarks:
        print(f"{title}: {printable(remark)}", file=sys.stderr)


def _track_key(text: str) -> int | str:
    """What a track was named by: its number, or its name."""
    return int(text) if text.strip().isdecimal() else text.strip()


def _timbre_specs(given: list[str]) -> dict[int | str, str]:
    """What --timbre was given: 'TRACK=TIMBRE' by numbers and names, and under 0 that of others."""
    from timbrel.timbre.assignment import ALL_OTHERS

    specs: dict[int | str, str] = {}
    for spec in given:
        before, equals, rest = spec.partition("=")
        key = _track_key(before)
        if not equals or Path(spec).is_file():  # the name of a .timbre file may hold a '='
            key, rest = ALL_OTHERS, spec
        if key in specs:
            where = f"track {key}" if key else "all tracks"
            raise InputError(f"two timbres for {where}; give one, or 'TRACK=TIMBRE' for each")
        specs[key] = rest
    return specs

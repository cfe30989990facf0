"""The commands, each a few lines over the library. Errors are one line on stderr, exit code 2."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrel import __version__
from timbrel.commands.engine import add_engine_commands
from timbrel.commands.notes import app as notes_app
from timbrel.commands.options import Force, Json
from timbrel.errors import InputError, TimbrelError, need_packages, need_training, printable
from timbrel.progress import bar

if TYPE_CHECKING:
    from timbrel.score.score import Score

app = typer.Typer(
    name="timbrel",
    help="Timbrel, a neural music synthesizer: MIDI in, sound out.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(notes_app, name="notes")

_UsageError: Any = typer.BadParameter.__base__  # Typer does not name it
_INTERRUPTED = 130  # what a shell gives, and Typer, for a program that an interrupt ended

add_engine_commands(app)

Model = Annotated[
    str, typer.Option(help="A shipped model's name, or a bundle's folder. By default mel2mel.")
]
MaxDuration = Annotated[
    float, typer.Option(help="Refuse MIDI files that last longer, in hours.", min=0)
]


def main() -> None:
    """Run the command line; the entry point of the program `timbrel`."""
    # Names of files may hold what the terminal's encoding does not.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # As an interrupt does, a termination lets temporary files be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        exit_code = app(standalone_mode=False)
        sys.stdout.flush()
    except _UsageError as error:
        context = error.ctx
        message = error.format_message().rstrip(".")
        command = context.command_path if context else "timbrel"
        _fail(f"{message[:1].lower()}{message[1:]} (see '{command} --help')")
    except TimbrelError as error:
        _fail(str(error))
    except MemoryError:
        _fail("there is not enough memory; render a shorter --duration or fewer tracks")
    except BrokenPipeError:
        # Whoever read the output has read enough. Python would complain when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        exit_code = _INTERRUPTED
    if exit_code == _INTERRUPTED:
        print("timbrel: interrupted", file=sys.stderr)
    raise SystemExit(exit_code or 0)


@app.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"timbrel {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)


@app.command()
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
    channels = 1 if mono else 2
    streams = []
    for file, score in zip(files, scores, strict=True):
        try:
            blocks = synthesizer.stream(
                score,
                timbre=timbres,
                seed=seed,
                start_s=start,
                duration_s=duration,
                channels=channels,
                gain_db=gain,
            )
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
        streams.append(bar(blocks, synthesizer.n_blocks(score, start, duration), printable(file.name)))
    results = []
    for file, score, blocks, target in zip(files, scores, streams, targets, strict=True):
        if not as_json:
            _report_faults(file, score)
        began = time.perf_counter()
        rendered_s = render_file(
            blocks,
            target,
            sample_rate=synthesizer.sample_rate,
            file_rate=sample_rate,
            channels=channels,
        )
        took_s = time.perf_counter() - began
        result = {
            "file": str(file),
            "output": str(target.mix),
            "stems": [str(path) for path in target.stems],
            "duration_s": round(rendered_s, 3),
            "sample_rate": sample_rate or synthesizer.sample_rate,
            "took_s": round(took_s, 3),
            "real_time_factor": round(took_s / rendered_s, 4),
            "tracks": len(score.tracks),
            "unplayable": score.unplayable,
            "warnings": list(score.warnings),
            "model": synthesizer.model.name,
            "vocoder": vocoder or DEFAULT_VOCODER,
            "seed": seed,
        }
        results.append(result)
        if not as_json:
            print(
                f"{printable(str(target.mix))}: {rendered_s:.1f} s of sound in {took_s:.1f} s, "
                f"{rendered_s / took_s:.1f}× as fast as it plays (real-time factor "
                f"{took_s / rendered_s:.3f})"
            )
    if as_json:
        print(json.dumps(results, indent=2))


@app.command()
def inspect(
    files: Annotated[list[Path], typer.Argument(help="MIDI files.", metavar="SONG.mid")],
    plot: Annotated[
        Path | None, typer.Option(help="Draw the piano roll of one file, as .png or .svg.")
    ] = None,
    max_duration: MaxDuration = 6.0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Say what MIDI files hold, and what of it cannot be played."""
    from timbrel.files import check_output
    from timbrel.score.midi import read_midi

    if plot is not None:
        if len(files) != 1:
            raise InputError("--plot draws one file; give one")
        check_output(plot, force=force)
    described = []
    for file in files:
        score = read_midi(file, max_duration_s=3600 * max_duration)
        described.append(_described(file, score))
        if plot is not None:
            from timbrel.score.plot import plot_piano_roll

            plot_piano_roll(score, plot, title=file.name)
        if not as_json:
            _print_score(file, score)
    if as_json:
        print(json.dumps(described, indent=2))


@app.command()
def timbres(
    spec: Annotated[
        str | None, typer.Argument(help="A timbre to look up, such as 'harp:0.5, trumpet:0.5'.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Save it as a .timbre file.")
    ] = None,
    model: Model = "",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """List a model's instruments with their coordinates, or look up or save one timbre."""
    from timbrel.bundles.bundle import DEFAULT_MODEL, load_bundle
    from timbrel.files import check_output
    from timbrel.timbre.timbre import FILE_SUFFIX, parse_timbre, save_timbre

    if output is not None:
        if spec is None:
            raise InputError("-o saves a timbre; name it: timbrel timbres 'harp' -o my.timbre")
        if output.suffix != FILE_SUFFIX:
            raise InputError(f"{output}: a timbre's file ends with '{FILE_SUFFIX}'")
        check_output(output, force=force)
    bundle = load_bundle(model or DEFAULT_MODEL, kind="mel2mel")
    rows: list[dict[str, Any]]
    if spec is None:
        rows = [
            {"name": i.name, "program": i.program, "coordinates": list(i.embedding)}
            for i in bundle.instruments
        ]
    else:
        found = parse_timbre(spec, bundle.instruments)
        rows = [
            {"time_s": time_s, "coordinates": list(point)}
            for time_s, point in zip(found.times_s, found.points, strict=True)
        ]
        if output is not None:
            save_timbre(output, found)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        point = ",".join(f"{value:.3f}" for value in row["coordinates"])
        if spec is None:
            label = f"{row['name']:20} program {row['program']:3}"
        else:
            label = f"{row['time_s']:g} s"
        print(f"{label}  @{point}")
    if output is not None:
        print(f"{output}: saved")


@app.command()
def prepare(
    midi_dir: Annotated[Path, typer.Argument(help="A folder of MIDI files.", metavar="MIDI_DIR")],
    soundfont: Annotated[Path, typer.Option(help="A SoundFont, .sf2 or .sf3.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The data folder.")],
    instruments: Annotated[str, typer.Option(help="A set of instruments: ten.")] = "ten",
    splits: Annotated[Path | None, typer.Option(help="CSV with columns file and split.")] = None,
    minutes_per_instrument: Annotated[
        float | None, typer.Option(help="At most so much training audio for each.", min=0)
    ] = None,
    sample_rate: Annotated[int, typer.Option(help="In Hz.", min=8000, max=96000)] = 16_000,
    jobs: Annotated[int, typer.Option(help="Processes; −1: one for each core.", min=-1)] = -1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is there.")] = False,
    as_json: Json = False,
) -> None:
    """Render scores in every instrument as training data."""
    from dataclasses import asdict

    from timbrel.score.instruments import INSTRUMENT_SETS

    need_training()
    from timbrel.corpus.preparation import prepare as prepare_data

    if instruments not in INSTRUMENT_SETS:
        known = ", ".join(INSTRUMENT_SETS)
        raise InputError(f"there is no set of instruments '{instruments}'; known: {known}")
    if output.exists() and any(output.iterdir()) and not resume:
        raise InputError(f"{output}: is not empty; give --resume to go on with it, or another name")
    settings = prepare_data(
        midi_dir,
        output,
        soundfont=soundfont,
        instruments=INSTRUMENT_SETS[instruments],
        splits=splits,
        minutes_per_instrument=minutes_per_instrument,
        sample_rate=sample_rate,
        jobs=jobs,
        scheduler=scheduler,
        progress=bar,
    )
    if as_json:
        print(json.dumps(asdict(settings), indent=2))
    else:
        print(f"{output}: ready, with a gain of {settings.gain:g}")


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe.", metavar="RECIPE.yaml")],
    data: Annotated[Path, typer.Option(help="A folder that 'timbrel prepare' made.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The run's folder.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    minutes: Annotated[float | None, typer.Option(help="Stop after so long.", min=0)] = None,
    steps: Annotated[
        int | None, typer.Option(help="Stop after so many steps in all.", min=1)
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; a GPU if there is one.")] = None,
    threads: Annotated[int | None, typer.Option(help="Of PyTorch on the CPU.", min=1)] = None,
) -> None:
    """Train a model by a recipe. Under torchrun, with several processes or machines."""
    need_training()
    import torch

    from timbrel.training.loop import train as run_training
    from timbrel.training.recipe import read_recipe

    if threads is not None:
        torch.set_num_threads(threads)
    done = run_training(
        read_recipe(recipe),
        data,
        output,
        resume=resume,
        minutes=minutes,
        steps=steps,
        device=device,
        say=lambda line: print(line, flush=True),
        progress=bar,
    )
    print(f"{output}: {done} steps done")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run's folder.", metavar="RUN")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The bundle's folder.")],
    name: Annotated[str | None, typer.Option(help="The model's name.")] = None,
) -> None:
    """Write a trained model as a bundle."""
    need_training()
    from timbrel.training.export import export_run

    export_run(run, output, name=name)
    print(f"{output}: written")


@app.command()
def evaluate(
    midi: Annotated[Path, typer.Option(help="The folder of the MIDI files.")],
    soundfont: Annotated[Path, typer.Option(help="What the models were trained on.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the report.")],
    excerpts: Annotated[
        Path | None,
        typer.Option(
            help="CSV with columns file, start_s and duration_s. By default the 14 published test "
            "tracks if they are there, else 15 seconds of each file."
        ),
    ] = None,
    splits: Annotated[
        Path | None, typer.Option(help="CSV with columns file and split, instead of excerpts.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which of the splits' files.")] = "test",
    whole: Annotated[
        bool, typer.Option("--whole", help="Whole tracks instead of excerpts of them.")
    ] = False,
    model: Annotated[list[str] | None, typer.Option(help="Models; all that are shipped.")] = None,
    vocoder: Annotated[list[str] | None, typer.Option(help="Vocoders; all of them.")] = None,
    instrument: Annotated[
        list[str] | None, typer.Option(help="Instruments; all of the models'.")
    ] = None,
    judge: Annotated[
        list[str] | None, typer.Option(help="Transcribers; all that are installed.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps what is made; by default REPORT/cache.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes; −1: one for each core.", min=-1)] = -1,
    as_json: Json = False,
) -> None:
    """Measure models and vocoders on real music, and write the report."""
    from timbrel.bundles.bundle import shipped_bundles

    need_packages("evaluate", "an evaluation", "joblib", "librosa", "matplotlib")
    from timbrel.evaluation.judges import JUDGES
    from timbrel.evaluation.originals import choose_excerpts
    from timbrel.evaluation.report import PAGE_FILE, write_report
    from timbrel.evaluation.run import evaluate as run_evaluation
    from timbrel.evaluation.tables import markdown
    from timbrel.vocoder.catalog import vocoder_names

    chosen = choose_excerpts(midi, excerpts=excerpts, splits=splits, split=split, whole=whole)
    evaluation = run_evaluation(
        midi,
        soundfont,
        chosen,
        models=model or shipped_bundles("mel2mel"),
        vocoders=vocoder or vocoder_names(),
        instruments=instrument or (),
        judges=judge or tuple(JUDGES),
        cache=cache or output / "cache",
        jobs=jobs,
        progress=bar,
    )
    write_report(evaluation, output, progress=bar)
    results = evaluation.results
    print(json.dumps(results.as_dict(), indent=2) if as_json else markdown(results))
    print(f"{output / PAGE_FILE}: written", file=sys.stderr)


PageReport = Annotated[
    Path | None,
    typer.Option(help="A folder that 'timbrel evaluate' wrote, to listen through."),
]
PageVocoders = Annotated[
    list[Path] | None,
    typer.Option(help="A WaveNet's bundle, offered for WAV files; may be given again."),
]


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to serve; other machines' browsers want HTTPS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 chooses a free one.")] = 8765,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in a browser.")
    ] = False,
    report: PageReport = None,
    vocoder: PageVocoders = None,
) -> None:
    """Play in the browser: serve the page, without a network."""
    import webbrowser

    from timbrel.web.page import page_files
    from timbrel.web.server import make_server

    server = make_server(page_files(report, vocoders=vocoder or ()), host=host, port=port)
    print(f"{server.url} is the page; stop it with Ctrl-C", flush=True)
    if open_browser:
        webbrowser.open(server.url)
    with server:
        server.serve_forever()


@app.command()
def page(
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder.")],
    report: PageReport = None,
    vocoder: PageVocoders = None,
    force: Force = False,
) -> None:
    """Write the page as a folder for any web host."""
    from timbrel.web.page import write_page

    n_bytes = write_page(output, report=report, vocoders=vocoder or (), force=force)
    print(f"{output}: written, {n_bytes / 1e6:.1f} MB with all models")


@app.command()
def listen(
    report: Annotated[Path, typer.Option(help="A folder that 'timbrel evaluate' wrote.")],
    condition: Annotated[
        list[str] | None, typer.Option(help="Conditions to compare; all of the report's.")
    ] = None,
    items: Annotated[
        int, typer.Option(help="How many clips each listener hears in every condition.", min=1)
    ] = 4,
    host: Annotated[
        str, typer.Option(help="Address to serve; 0.0.0.0 for other machines, too.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8760,
    analyse: Annotated[
        bool, typer.Option("--analyse", help="Say what listeners have said until now.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask people how good it sounds: a blind listening test in the browser."""
    need_packages(
        "evaluate", "the listening test", "krippendorff", "pyloudnorm", "starlette", "uvicorn"
    )
    from timbrel.evaluation.listening.store import DATABASE_FILE, Store

    if analyse:
        from timbrel.evaluation.listening.analysis import analyse as analyse_ratings
        from timbrel.evaluation.listening.analysis import markdown

        if not (report / DATABASE_FILE).is_file():
            raise InputError(f"{report}: nobody has listened yet (there is no {DATABASE_FILE})")
        found = analyse_ratings(Store(report / DATABASE_FILE).ratings())
        print(json.dumps(found.as_dict(), indent=2) if as_json else markdown(found), end="")
        return
    from timbrel.evaluation.listening.server import make_app, serve

    test = make_app(report, conditions=condition or (), n_items=items)
    print(f"http://{host}:{port}/ asks listeners; stop it with Ctrl-C", flush=True)
    serve(test, host=host, port=port)


def _fail(message: str) -> None:
    print(f"timbrel: {' '.join(printable(message).split())}", file=sys.stderr)
    raise SystemExit(2)


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


def _described(file: Path, score: Score) -> dict[str, Any]:
    return {
        "file": str(file),
        "duration_s": round(score.duration_s, 3),
        "notes": score.n_notes + score.unplayable_notes,
        "pedal_events": score.pedal_events,
        "tracks": [
            {
                "name": track.name,
                "program": track.program,
                "port": track.port + 1,
                "channel": track.channel + 1,
                "notes": len(track.notes),
            }
            for track in score.tracks
        ],
        "unplayable": score.unplayable,
        "warnings": list(score.warnings),
    }


def _print_score(file: Path, score: Score) -> None:
    from timbrel.score.instruments import PROGRAM_NAMES

    print(
        f"{printable(str(file))}: {score.duration_s:.1f} s, "
        f"{score.n_notes + score.unplayable_notes} notes, {score.pedal_events} pedal events"
    )
    several_ports = any(track.port for track in score.tracks)
    for number, track in enumerate(score.tracks, 1):
        port = f"port {track.port + 1} " if several_ports else ""
        print(
            f"  {number:3} {track.name:24} {port}channel {track.channel + 1:2}  "
            f"{PROGRAM_NAMES[track.program]} ({track.program})  {len(track.notes)} notes"
        )
    _report_faults(file, score, where=sys.stdout)


def _report_faults(file: Path, score: Score, where: Any = None) -> None:
    """Say what of a file could not be read, and what cannot be played."""
    lines = list(score.warnings)
    if score.unplayable:
        lines.append(f"left out, as they cannot be played: {score.left_out}")
    for line in lines:
        print(f"{printable(str(file))}: {line}", file=where or sys.stderr)

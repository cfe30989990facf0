"""``timbrel notes``: encoding, decoding and morphing single notes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrel.commands.batch import Batch, Failures
from timbrel.commands.notes_data import add_notes_data_commands
from timbrel.commands.options import (
    EncoderThreads,
    Force,
    Json,
    Quiet,
    Seed,
    StopAtFirst,
    Temperature,
)
from timbrel.commands.panels import EXPERT, OUTPUT, SOUND
from timbrel.errors import InputError, OutputError
from timbrel.files import STDOUT, fitting_name
from timbrel.progress import shown

if TYPE_CHECKING:
    import numpy as np

    from timbrel.notes.codec import NoteCodec
    from timbrel.notes.rendering import Sound

DEFAULT_MODEL = "notes"
_LOOP_START, _LOOP_STOP, _LOOP_FADE = 0.3, 0.6, 8  # shares of the sound, and frames

Clips = Annotated[list[Path], typer.Argument(help="Audio files of single notes.", metavar="CLIP")]
OutputFolder = Annotated[
    Path, typer.Option("-o", "--output", help="The folder for the sounds.", rich_help_panel=OUTPUT)
]
Output = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        help="The file to write: .wav, .flac or .ogg; for several clips a folder.",
        rich_help_panel=OUTPUT,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        help="The autoencoder: a shipped model's name, or a bundle's folder.",
        rich_help_panel=EXPERT,
    ),
]
Stretch = Annotated[
    float,
    typer.Option(
        help="The time-stretch factor: 2 makes the sound twice as long. The pitch is preserved.",
        rich_help_panel=SOUND,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Sounds that are there already are kept.", rich_help_panel=OUTPUT
    ),
]


def add_notes_commands(app: typer.Typer) -> None:
    """Add `timbrel notes` and its commands to the program."""
    notes = typer.Typer(
        help="Single notes: audio to codes and back, and new instruments between them.",
        no_args_is_help=True,
    )
    for command in (encode, decode, reconstruct, morph, grid, rainbowgram):
        notes.command()(command)
    add_notes_data_commands(notes)
    app.add_typer(notes, name="notes")


def encode(
    clips: Clips,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The .npz file for the codes.", rich_help_panel=OUTPUT),
    ],
    model: Model = DEFAULT_MODEL,
    threads: EncoderThreads = 1,
    stop_at_first: StopAtFirst = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Turn clips into codes: 16 numbers, 31 times a second."""
    from timbrel.files import check_output
    from timbrel.notes.codec import Clip, NoteCodec

    if output.suffix != ".npz":
        raise OutputError(f"{output}: codes are written as .npz")
    check_output(output, force=force)
    codec = NoteCodec.load(model, threads=threads)
    batch = Batch(clips, stop_at_first=stop_at_first)

    def encoded(place: int) -> Clip:
        audio = codec.read(clips[place])
        return Clip(clips[place].stem, codec.encode(audio, progress=shown(quiet=quiet)), len(audio))

    found = batch.each(encoded)
    if found:
        codec.save_codes(output, list(found.values()))
    if as_json:
        batch.print_json(
            {
                place: {"clip": c.name, "frames": len(c.codes), "samples": c.n_samples}
                for place, c in found.items()
            }
        )
    else:
        for clip in found.values():
            print(f"{clip.name}: {len(clip.codes)} frames")
    batch.end()


def decode(
    codes: Annotated[
        Path, typer.Argument(help="A file that 'timbrel notes encode' wrote.", metavar="CODES.npz")
    ],
    output: Output,
    model: Model = DEFAULT_MODEL,
    stretch: Stretch = 1.0,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    resume: Resume = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Turn codes into sound."""
    from timbrel.notes.codec import NoteCodec
    from timbrel.notes.rendering import Sound

    codec = NoteCodec.load(model)
    clips = codec.load_codes(codes)
    targets = _targets(output, [clip.name for clip in clips])
    sounds = [
        Sound(target, *_stretched(clip.codes, clip.n_samples, stretch))
        for target, clip in zip(targets, clips, strict=True)
    ]
    _render(codec, sounds, seed, temperature, resume, force, quiet, as_json)


def reconstruct(
    clips: Clips,
    output: Output,
    model: Model = DEFAULT_MODEL,
    stretch: Stretch = 1.0,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    resume: Resume = False,
    stop_at_first: StopAtFirst = False,
    force: Force = False,
    threads: EncoderThreads = 1,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Encode clips and decode them again, to hear what the codes hold."""
    from timbrel.notes.codec import NoteCodec
    from timbrel.notes.rendering import Sound, check_sounds

    targets = _targets(output, [clip.stem for clip in clips])
    check_sounds(targets, force=force, resume=resume)
    codec = NoteCodec.load(model, threads=threads)
    batch = Batch(clips, stop_at_first=stop_at_first)

    def encoded(place: int) -> Sound:
        audio = codec.read(clips[place])
        codes = codec.encode(audio, progress=shown(quiet=quiet))
        return Sound(targets[place], *_stretched(codes, len(audio), stretch))

    sounds = list(batch.each(encoded).values())
    _render(codec, sounds, seed, temperature, resume, force, quiet, as_json)
    batch.end()


def morph(
    first: Annotated[
        Path, typer.Argument(help="The audio file of the first note.", metavar="A.wav")
    ],
    second: Annotated[
        Path, typer.Argument(help="The audio file of the second note.", metavar="B.wav")
    ],
    output: OutputFolder,
    steps: Annotated[
        int,
        typer.Option(
            help="The number of sounds, both ends included.", min=2, rich_help_panel=SOUND
        ),
    ] = 9,
    path: Annotated[
        bool,
        typer.Option(
            "--path", help="One sound is made that moves from A to B.", rich_help_panel=SOUND
        ),
    ] = False,
    stretch: Stretch = 1.0,
    duration: Annotated[
        float | None,
        typer.Option(
            help="The length, in seconds, to which the middle of the sound is looped.",
            min=0,
            rich_help_panel=SOUND,
        ),
    ] = None,
    model: Model = DEFAULT_MODEL,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    resume: Resume = False,
    force: Force = False,
    threads: EncoderThreads = 1,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Make the sounds that lie between two notes."""
    from timbrel.notes import morphing
    from timbrel.notes.codec import NoteCodec
    from timbrel.notes.rendering import Sound, check_sounds, encode_together

    names = ["path"] if path else [f"morph-{i:02d}-of-{steps:02d}" for i in range(1, steps + 1)]
    targets = [output / f"{name}.wav" for name in names]
    check_sounds(targets, force=force, resume=resume)
    codec = NoteCodec.load(model, threads=threads)
    (a, b), n_samples = encode_together(codec, [first, second])
    if path:
        mixed = [morphing.path(a, b)]
    else:
        shares = [i / (steps - 1) for i in range(steps)]
        mixed = [morphing.mix([a, b], [1 - share, share]) for share in shares]
    sounds = []
    for target, codes in zip(targets, mixed, strict=True):
        codes, n = _stretched(codes, n_samples, stretch)
        if duration is not None:
            codes, n = _looped(codec, codes, duration)
        sounds.append(Sound(target, codes, n))
    _render(codec, sounds, seed, temperature, resume, force, quiet, as_json)


def grid(
    corners: Annotated[
        list[Path],
        typer.Argument(
            help="Four notes (top left, top right, bottom left, bottom right), or four "
            "folders of notes whose names end with their pitch.",
            metavar="CORNER",
        ),
    ],
    output: OutputFolder,
    size: Annotated[
        int,
        typer.Option(
            help="The number of sounds on each side of the square.", min=2, rich_help_panel=SOUND
        ),
    ] = 3,
    model: Model = DEFAULT_MODEL,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    resume: Resume = False,
    stop_at_first: StopAtFirst = False,
    force: Force = False,
    threads: EncoderThreads = 1,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Make a square of sounds between four notes, for each pitch that all four have."""
    from timbrel.notes import morphing
    from timbrel.notes.codec import NoteCodec
    from timbrel.notes.rendering import Sound, check_sounds, corner_notes, encode_together

    if len(corners) != morphing.N_CORNERS:
        raise InputError(f"a grid has four corners, not {len(corners)}")
    notes = corner_notes(corners)
    weights = morphing.grid_weights(size)
    places = [(row, column) for row in range(size) for column in range(size)]
    targets = {
        (pitch, row, column): output
        / ("" if pitch is None else f"{pitch:03d}")
        / f"row-{row + 1}-column-{column + 1}.wav"
        for pitch in notes
        for row, column in places
    }
    check_sounds(list(targets.values()), force=force, resume=resume)
    codec = NoteCodec.load(model, threads=threads)
    failures = Failures(stop_at_first=stop_at_first or len(notes) == 1)
    sounds = []
    for pitch, files in shown(quiet=quiet)(notes.items(), len(notes), "encoding"):
        try:
            codes, n_samples = encode_together(codec, files)
        except InputError as error:
            failures(error)
            continue
        for row, column in places:
            mixed = morphing.mix(codes, weights[row, column])
            sounds.append(Sound(targets[pitch, row, column], mixed, n_samples))
    _render(codec, sounds, seed, temperature, resume, force, quiet, as_json)
    failures.end()


def rainbowgram(
    clips: Clips,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="The picture to write: a .png, .svg or .pdf file.",
            rich_help_panel=OUTPUT,
        ),
    ],
    stop_at_first: StopAtFirst = False,
    force: Force = False,
) -> None:
    """Draw clips side by side: brightness shows loudness, colour the drift of the phase."""
    from timbrel.constants import SAMPLE_RATE
    from timbrel.files import check_output
    from timbrel.notes.rainbowgram import draw_rainbowgrams
    from timbrel.sound import read_audio

    check_output(output, force=force)
    batch = Batch(clips, stop_at_first=stop_at_first)

    def read(place: int) -> tuple[str, np.ndarray]:
        audio, _ = read_audio(clips[place], sample_rate=SAMPLE_RATE)
        if len(audio) == 0:
            raise InputError(f"{clips[place]}: is empty")
        return clips[place].stem, audio

    sounds = batch.each(read)
    if sounds:
        draw_rainbowgrams(list(sounds.values()), output)
        print(f"{output}: written")
    batch.end()


def _targets(output: Path, names: list[str]) -> list[Path]:
    """Files for some sounds: the output itself for one, else files in it."""
    if output == STDOUT or (len(names) == 1 and output.suffix):
        return [output]
    if output.suffix and not output.is_dir():
        raise OutputError(f"{output}: {len(names)} sounds need a folder, not a file")
    return [output / fitting_name(name, ".wav") for name in names]


def _stretched(codes: Any, n_samples: int, factor: float) -> tuple[Any, int]:
    from timbrel.notes.morphing import stretch

    if factor == 1:
        return codes, n_samples
    return stretch(codes, factor), round(n_samples * factor)


def _looped(codec: NoteCodec, codes: Any, duration_s: float) -> tuple[Any, int]:
    from timbrel.notes.morphing import loop

    n_samples = round(duration_s * codec.sample_rate)
    n_frames = -(-n_samples // codec.hop_length)
    start, stop = (round(share * len(codes)) for share in (_LOOP_START, _LOOP_STOP))
    fade = min(_LOOP_FADE, max((stop - start) // 2, 0))
    return loop(codes, n_frames, start=start, stop=stop, fade=fade), n_samples


def _render(
    codec: NoteCodec,
    sounds: list[Sound],
    seed: int,
    temperature: float,
    resume: bool,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    import time

    from timbrel.notes.rendering import check_sounds, render_sounds

    check_sounds([sound.path for sound in sounds], force=force, resume=resume)
    began = time.perf_counter()
    written = render_sounds(
        codec,
        sounds,
        seed=seed,
        temperature=temperature,
        resume=resume,
        progress=shown(quiet=quiet),
    )
    took_s = time.perf_counter() - began
    made = [sound for sound in sounds if sound.path in written]
    sound_s = sum(sound.n_samples for sound in made) / codec.sample_rate
    if as_json:
        rows = [
            {"output": str(s.path), "samples": s.n_samples, "written": s.path in written}
            for s in sounds
        ]
        print(json.dumps({"sounds": rows, "took_s": round(took_s, 3)}, indent=2))
        return
    kept = len(sounds) - len(made)
    print(
        f"{len(made)} sounds written, {sound_s:.1f} s in {took_s:.1f} s"
        + (f"; {kept} kept" if kept else "")
    )

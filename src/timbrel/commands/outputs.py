"""Scores → audio files: where they go, and writing them block by block."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timbrel.errors import OutputError, printable
from timbrel.files import atomic_path, check_output
from timbrel.progress import Progress, silent
from timbrel.score.score import Score, Track
from timbrel.sound import AudioWriter, audio_format
from timbrel.synthesizer import AudioStream

_LABEL_LENGTH = 40  # of a track's name in the name of its file


@dataclass(frozen=True)
class Target:
    """Where the sound of one score goes."""

    mix: Path
    stems: tuple[Path, ...]  # one for each track, or none


def plan_outputs(
    files: Sequence[Path],
    scores: Mapping[int, Score],
    output: str | os.PathLike | None,
    *,
    stems: Path | None = None,
    force: bool = False,
) -> dict[int, Target]:
    """Where the sound of each score will go, checked before any work is done.

    Parameters
    ----------
    files
        MIDI files.
    scores
        What they hold, by their places in `files`; those that could not be read are left out.
    output
        A file for one score; a folder (one that exists, one with '/' at the end, or a name
        without an extension) for WAV files of any number; None for WAV files in the current
        folder. Folders need not exist yet.
    stems
        A folder for the tracks' own sounds.
    force
        Overwrite files that exist.

    Raises
    ------
    OutputError
        If a file exists, cannot be written, or would be written twice.
    """
    name = os.fspath(output or ".")
    is_folder = Path(name).is_dir() or name.endswith(("/", os.sep)) or not Path(name).suffix
    if not is_folder and len(files) > 1:
        raise OutputError(f"{name}: is one file for {len(files)} scores; name a folder")
    targets: dict[int, Target] = {}
    taken: dict[Path, Path] = {}
    for place, score in scores.items():
        file = files[place]
        mix = Path(name, f"{file.stem}.wav") if is_folder else Path(name)
        tracks = score.tracks if stems is not None else ()
        target = Target(mix, tuple(Path(stems or "", name) for name in _stem_names(mix, tracks)))
        audio_format(mix)
        for path in (target.mix, *target.stems):
            if path in taken:
                raise OutputError(
                    f"{path}: would be written twice; render {file} into another folder"
                )
            taken[path] = file
            _check(path, force=force, may_create=is_folder or path != mix)
        targets[place] = target
    return targets


def _stem_names(mix: Path, tracks: Sequence[Track]) -> list[str]:
    names = []
    for number, track in enumerate(tracks, 1):
        label = re.sub(r"[^\w-]+", "-", track.name).strip("-").lower()[:_LABEL_LENGTH]
        names.append(f"{mix.stem}-{number:02}-{label or 'track'}{mix.suffix}")
    return names


def render_file(
    stream: AudioStream,
    target: Target,
    *,
    file_rate: int | None = None,
    progress: Progress = silent,
) -> None:
    """Write a stream of `Synthesizer` to a file, and its tracks to theirs if they have some.

    Folders are created; files appear when they are complete.

    Parameters
    ----------
    file_rate
        What the files are resampled to, in Hz; not at all where it is None.
    progress
        Wraps the blocks.
    """
    with ExitStack() as stack:
        for path in (target.mix, *target.stems):
            _make_folder(path.parent)
        # The files are closed before they are moved to where they belong.
        mix_path = stack.enter_context(atomic_path(target.mix))
        stems = [stack.enter_context(atomic_path(path)) for path in target.stems]
        with ExitStack() as writers:
            mix, *tracks = [
                writers.enter_context(AudioWriter(path, stream.sample_rate, n, file_rate=file_rate))
                for path, n in [(mix_path, stream.channels), *((stem, 1) for stem in stems)]
            ]
            for block in progress(stream, stream.n_blocks, printable(target.mix.name)):
                mix.write(block.mix)
                for writer, sound in zip(tracks, block.tracks, strict=False):
                    writer.write(np.clip(sound, -1, 1))


def _check(path: Path, *, force: bool, may_create: bool) -> None:
    """Refuse an output that cannot be written, also in a folder that has to be created first."""
    if path.parent.exists() or not may_create:
        check_output(path, force=force)
        return
    existing = next(folder for folder in path.parents if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        why = "cannot be written to" if existing.is_dir() else "is not a folder"
        raise OutputError(f"{path.parent}: cannot be created, as {existing} {why}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be created ({error.strerror})") from None

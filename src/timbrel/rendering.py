"""Scores → audio files: where they go, and writing them block by block."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timbrel.audio import AudioWriter, atomic_path, audio_format, check_output
from timbrel.errors import OutputError
from timbrel.progress import Progress, silent
from timbrel.score.score import Score
from timbrel.synthesizer import Synthesizer, Timbres


@dataclass(frozen=True)
class Target:
    """Where the sound of one score goes."""

    path: Path
    stems: Path | None  # a folder
    force: bool


def plan_outputs(
    files: list[Path], output: Path | None, *, stems: Path | None = None, force: bool = False
) -> list[Target]:
    """Where the sound of each file will go, checked before any work is done.

    Parameters
    ----------
    files
        The scores.
    output
        A file for one score; a folder (one that exists, or with '/' at the end) for any number;
        None for WAV files in the current folder.
    stems
        A folder for the tracks' own sounds.
    force
        Overwrite files that exist.

    Raises
    ------
    OutputError
        If a file exists, cannot be written, or would be written twice.
    """
    is_folder = output is None or output.is_dir() or str(output).endswith(("/", os.sep))
    # A trailing slash does not survive in a Path: several files ask for a folder all the same.
    is_folder = is_folder or (output is not None and not output.suffix)
    if output is not None and not is_folder:
        if len(files) > 1:
            raise OutputError(f"{output}: is one file for {len(files)} scores; name a folder")
        paths = [output]
    else:
        folder = output or Path()
        paths = [folder / f"{file.stem}.wav" for file in files]
    for path, file in zip(paths, files, strict=True):
        if paths.count(path) > 1:
            raise OutputError(f"{path}: would be written twice; render {file} into another folder")
        audio_format(path)
    for folder in {path.parent for path in paths if is_folder} | ({stems} if stems else set()):
        if not folder.exists():
            _make_folder(folder)
    for path in paths:
        check_output(path, force=force)
    return [Target(path, stems, force) for path in paths]


def render_file(
    synthesizer: Synthesizer,
    score: Score,
    target: Target,
    *,
    timbre: Timbres,
    seed: int,
    start_s: float,
    duration_s: float | None,
    channels: int,
    name: str,
    progress: Progress = silent,
) -> float:
    """Render a score to a file, and its tracks to files of their own where that is asked for.

    Files appear when they are complete. See `Synthesizer.stream` for the parameters.

    Returns
    -------
    float
        Seconds of sound.
    """
    rate = synthesizer.sample_rate
    blocks = synthesizer.stream(
        score,
        timbre=timbre,
        seed=seed,
        start_s=start_s,
        duration_s=duration_s,
        channels=channels,
    )
    stem_paths = []
    if target.stems is not None:
        for number, track in enumerate(score.tracks, 1):
            label = re.sub(r"[^\w-]+", "-", track.name).strip("-").lower() or "track"
            path = target.stems / f"{target.path.stem}-{number:02}-{label}{target.path.suffix}"
            stem_paths.append(check_output(path, force=target.force))
    n_samples = 0
    with ExitStack() as stack:
        # The files are closed before they are moved to where they belong.
        mix_path = stack.enter_context(atomic_path(target.path))
        track_paths = [stack.enter_context(atomic_path(path)) for path in stem_paths]
        with ExitStack() as writers:
            mix = writers.enter_context(AudioWriter(mix_path, rate, channels))
            tracks = [writers.enter_context(AudioWriter(path, rate, 1)) for path in track_paths]
            for block in progress(blocks, synthesizer.n_blocks(score, start_s, duration_s), name):
                mix.write(block.mix)
                for writer, sound in zip(tracks, block.tracks, strict=False):
                    writer.write(np.clip(sound, -1, 1))
                n_samples += len(block.mix)
    return n_samples / rate


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be created ({error.strerror})") from None

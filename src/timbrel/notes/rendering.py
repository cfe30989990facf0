"""Codes → WAV files: many sounds side by side; after an interruption, finished files are kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timbrel.errors import InputError
from timbrel.files import check_distinct, check_output, make_folder
from timbrel.notes.codec import NoteCodec
from timbrel.notes.morphing import faded
from timbrel.notes.note import parse_name
from timbrel.progress import Progress, silent
from timbrel.sound import audio_format, write_audio

STREAMS = 32  # that share each weight
_LAST_NUMBER = re.compile(r"(\d+)$")


@dataclass(frozen=True)
class Sound:
    """Codes that will become a file."""

    path: Path
    codes: np.ndarray  # (frames, code_size), or as `NoteCodec.with_mels` gives them
    n_samples: int  # of the file; at most what the codes give


def check_sounds(paths: Sequence[Path], *, force: bool = False, resume: bool = False) -> None:
    """Refuse, before any work, files that exist (but to resume), or two of one name."""
    for path in paths:
        audio_format(path)
        check_output(path, force=force or resume, may_create=True)
    check_distinct(paths, "rename a clip")


def render_sounds(
    codec: NoteCodec,
    sounds: Sequence[Sound],
    *,
    seed: int,
    temperature: float,
    resume: bool = False,
    progress: Progress = silent,
) -> list[Path]:
    """Decode sounds to files; gives those that were written.

    Each sound draws by the seed and its place among all, so that a run that is gone on with writes
    what it would have written at once.

    Parameters
    ----------
    resume
        Keep the files that are there.
    """
    waiting = [
        (place, sound) for place, sound in enumerate(sounds) if not (resume and sound.path.exists())
    ]
    for _, sound in waiting:
        make_folder(sound.path.parent)
    for start in range(0, len(waiting), STREAMS):
        some = waiting[start : start + STREAMS]
        render_numbered(codec, some, seed=seed, temperature=temperature, progress=progress)
    return [sound.path for _, sound in waiting]


def render_numbered(
    codec: NoteCodec,
    sounds: Sequence[tuple[int, Sound]],
    *,
    seed: int,
    temperature: float,
    progress: Progress = silent,
) -> list[Path]:
    """Decode sounds side by side, each with the number by which it draws; as above."""
    decoded = codec.decode(
        [sound.codes for _, sound in sounds],
        numbers=[number for number, _ in sounds],
        seed=seed,
        temperature=temperature,
        progress=progress,
    )
    for (_, sound), audio in zip(sounds, decoded, strict=True):
        write_audio(sound.path, faded(audio[: sound.n_samples]), codec.sample_rate)
    return [sound.path for _, sound in sounds]


def encode_together(codec: NoteCodec, paths: Sequence[Path]) -> tuple[list[np.ndarray], int]:
    """Codes of clips that are to be mixed, with their mels, and the samples of the longest.

    Shorter clips are filled with silence.
    """
    clips = [codec.read(path) for path in paths]
    longest = max(len(clip) for clip in clips)
    padded = [np.pad(clip, (0, longest - len(clip))) for clip in clips]
    return [codec.with_mels(codec.encode(clip)) for clip in padded], longest


def corner_notes(paths: Sequence[Path]) -> dict[int | None, list[Path]]:
    """The notes of a grid's corners by pitch: of files, or of folders of notes.

    A folder's WAV files end with their pitch, as ``cello-060.wav``, or have names as in NSynth;
    pitches that not all four folders hold are left out.

    Raises
    ------
    InputError
        If files and folders are given together, a file's name has no pitch, or no pitch is in all
        of them.
    """
    if not any(path.is_dir() for path in paths):
        return {None: list(paths)}
    by_pitch: list[dict[int, Path]] = []
    for folder in paths:
        if not folder.is_dir():
            raise InputError(f"{folder}: is no folder; give four files, or four folders of notes")
        by_pitch.append({_pitch(path): path for path in sorted(folder.glob("*.wav"))})
    common = sorted(set.intersection(*(set(found) for found in by_pitch)))
    if not common:
        raise InputError(f"{paths[0]}: has no note of a pitch that all other folders have, too")
    return {pitch: [found[pitch] for found in by_pitch] for pitch in common}


def _pitch(path: Path) -> int:
    named = parse_name(path.stem)
    if named is not None:
        return named.pitch
    number = _LAST_NUMBER.search(path.stem)
    if number is None or int(number[1]) > 127:
        raise InputError(f"{path}: its name does not end with a pitch (0–127), as cello-060.wav")
    return int(number[1])

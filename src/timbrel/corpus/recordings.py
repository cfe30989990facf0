"""Recordings with scores beside them → training data, in the form that `preparation` makes.

A recording is an audio file with a MIDI file of the same name in the same folder; both begin at the
same moment. Its instrument is the name of its subfolder, or one that is given for all.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from timbrel.constants import LICENSE_NOT_STATED, SAMPLE_RATE
from timbrel.corpus.instrument_list import check_instrument_name
from timbrel.corpus.parallel import run_parallel, worker_pool
from timbrel.corpus.preparation import (
    AUDIO_SUFFIX,
    MANIFEST_FILE,
    SETTINGS_FILE,
    Clip,
    Settings,
    check_same_settings,
)
from timbrel.corpus.selection import SPLITS, VALID_SHARE, file_sha256, listed_splits, shuffle_key
from timbrel.corpus.soundfont import REFERENCE_GAIN
from timbrel.errors import InputError, Skip, refuse
from timbrel.files import atomic_path, read_json, write_text
from timbrel.measures.sound import QUIET
from timbrel.progress import Progress, silent
from timbrel.score.instruments import program_named
from timbrel.score.midi import read_midi
from timbrel.score.source import midi_files
from timbrel.sound import AUDIO_SUFFIXES, read_audio, write_audio

# A recording may ring on after its last note, or be cut within its ring, but not by more.
LONGEST_MISMATCH_S = 5.0


class Recording(NamedTuple):
    """An audio file, its score, and who plays."""

    audio: str  # relative to the folder of the recordings, as is the score
    midi: str
    instrument: str


def prepare_recordings(
    folder: str | os.PathLike,
    output: str | os.PathLike,
    *,
    instrument: str | None = None,
    splits: str | os.PathLike | None = None,
    sample_rate: int = SAMPLE_RATE,
    license: str | None = None,
    attribution: str | None = None,
    jobs: int = -1,
    skip: Skip = refuse,
    progress: Progress = silent,
) -> Settings:
    """Make training data of recordings: resampled, mono, and otherwise as they are.

    Parameters
    ----------
    folder
        Searched for recordings, its subfolders too.
    output
        The data folder.
    instrument
        Who plays in all of them; where None, the first subfolder of each names it. An instrument
        with a General MIDI name has that program, any other one program 0.
    splits
        CSV with the columns `file` and `split`, of the MIDI files. Without it one recording in ten
        is for validation, chosen by its name.
    sample_rate
        Of the data, in Hz.
    license, attribution
        For the cards of models that are trained on the data.
    jobs
        Processes; −1 is one for each core.
    skip
        Told of each recording that cannot be used; the data are made without it.
    progress
        Wraps the finished items, as ``progress(items, total, label)``.

    Raises
    ------
    InputError
        If there are no recordings for training or for validation, or the folder holds other data.
    """
    folder, output = Path(folder), Path(output)
    found = find_recordings(folder, instrument, skip)
    split_of = _split(found, folder, splits)
    with worker_pool(None, jobs):
        tasks = [(folder.resolve(), recording) for recording in found if recording in split_of]
        faults = dict(run_parallel(_fault, tasks, progress, "reading"))
        for error in (faults[recording] for _, recording in tasks):
            if error is not None:
                skip(error)
        usable = [recording for _, recording in tasks if faults[recording] is None]
        _check_splits([split_of[recording] for recording in usable], folder)
        names = sorted({recording.instrument for recording in usable})
        wanted: dict[str, Any] = {
            "sample_rate": sample_rate,
            "instruments": {name: program_named(name) or 0 for name in names},
            "soundfont": "",
            "soundfont_sha256": "",
        }
        check_same_settings(output / SETTINGS_FILE, wanted)
        before = read_json(output / SETTINGS_FILE) if (output / SETTINGS_FILE).exists() else {}
        kept = {"license": LICENSE_NOT_STATED, "attribution": ""} | before
        settings = Settings(
            gain=REFERENCE_GAIN,  # nothing was played by FluidSynth; its default stands for none
            license=kept["license"] if license is None else license,
            attribution=kept["attribution"] if attribution is None else attribution,
            **wanted,
        )
        work = [(folder.resolve(), output, r, split_of[r], settings) for r in usable]
        clips = run_parallel(_convert, work, progress, "converting")
    clips.sort(key=lambda clip: (clip.split, clip.instrument, clip.midi))
    write_text(output / SETTINGS_FILE, json.dumps(asdict(settings), indent=2) + "\n")
    write_text(output / MANIFEST_FILE, "".join(json.dumps(asdict(clip)) + "\n" for clip in clips))
    return settings


def find_recordings(folder: Path, instrument: str | None, skip: Skip) -> list[Recording]:
    """The pairs of audio and MIDI files below a folder, sorted; `skip` is told of what lacks one.

    Raises
    ------
    InputError
        If the folder is none, holds no pair, or an instrument's name cannot be one.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder")
    audio = [path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES]
    scores = {path.with_suffix(""): path for path in sorted(midi_files(folder))}
    found: dict[Path, Recording] = {}
    for path in sorted(audio):
        stem, relative = path.with_suffix(""), path.relative_to(folder)
        if stem in found:
            skip(InputError(f"{path}: {found[stem].audio} is the same recording; remove one"))
        elif stem not in scores:
            skip(InputError(f"{path}: has no MIDI file of the same name beside it"))
        elif instrument is None and len(relative.parts) == 1:
            skip(InputError(f"{path}: lies in no instrument's folder; give --instrument NAME"))
        else:
            where = str(folder if instrument is None else "--instrument")
            name = check_instrument_name(instrument or relative.parts[0], where)
            score = scores[stem].relative_to(folder).as_posix()
            found[stem] = Recording(relative.as_posix(), score, name)
    heard = {path.with_suffix("") for path in audio}
    for stem, path in scores.items():
        if stem not in heard:
            skip(InputError(f"{path}: has no recording of the same name beside it"))
    if not found:
        raise InputError(f"{folder}: holds no recordings with MIDI files of the same name beside")
    return list(found.values())


def _split(
    recordings: list[Recording], folder: Path, splits: str | os.PathLike | None
) -> dict[Recording, str]:
    """The split of each recording that is in one."""
    if splits is None:
        key_of = {
            r: shuffle_key("split", Path(r.midi).with_suffix("").as_posix()) for r in recordings
        }
        return {r: SPLITS[key[0] % VALID_SHARE == 0] for r, key in key_of.items()}
    listed = listed_splits(splits)
    missing = sorted(set(listed) - {r.midi for r in recordings})
    if missing:
        raise InputError(f"{splits}: lists {missing[0]}, which is no recording's score in {folder}")
    return {r: listed[r.midi] for r in recordings if listed.get(r.midi) in SPLITS}


def _check_splits(found: list[str], folder: Path) -> None:
    train, valid = (found.count(split) for split in SPLITS)
    if not train or not valid:
        raise InputError(
            f"{folder}: needs recordings for both training and validation; {train} and {valid} "
            "found; give a list with --splits"
        )


def _fault(folder: Path, recording: Recording) -> tuple[Recording, InputError | None]:
    """Why a recording cannot be used; None if it can."""
    path = folder / recording.audio
    try:
        audio, rate = read_audio(path)
        score = read_midi(folder / recording.midi)
        length_s = len(audio) / rate
        if not score.n_notes:
            raise InputError(f"{folder / recording.midi}: has no notes")
        if np.abs(audio).max(initial=0.0) < QUIET:
            raise InputError(f"{path}: is silent")
        if abs(length_s - score.duration_s) > LONGEST_MISMATCH_S:
            raise InputError(
                f"{path}: lasts {length_s:.1f} s and its score {score.duration_s:.1f} s; they must "
                f"not differ by more than {LONGEST_MISMATCH_S:g} s"
            )
    except InputError as error:
        return recording, error
    return recording, None


def _convert(
    folder: Path, output: Path, recording: Recording, split: str, settings: Settings
) -> Clip:
    """Write one recording into a data folder, and describe it."""
    rate = settings.sample_rate
    audio, _ = read_audio(folder / recording.audio, sample_rate=rate)
    relative = Path("audio", recording.instrument, recording.midi).with_suffix(AUDIO_SUFFIX)
    score, target = output / "midi" / recording.midi, output / relative
    for path in (score, target):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(target, np.clip(audio, -1, 1), rate)
    with atomic_path(score) as temporary:
        shutil.copyfile(folder / recording.midi, temporary)
    return Clip(
        midi=recording.midi,
        instrument=recording.instrument,
        program=settings.instruments[recording.instrument],
        split=split,
        audio=relative.as_posix(),
        n_samples=len(audio),
        peak=round(float(np.abs(audio).max(initial=0.0)), 6),
        clipped=int((np.abs(audio) > 1).sum()),
        midi_sha256=file_sha256(score),
        audio_sha256=file_sha256(target),
    )

"""How well transcribers hear the notes of excerpts: ours, and those that others have made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from timbrel.bundles.bundle import Instrument, load_bundle
from timbrel.constants import SAMPLE_RATE
from timbrel.corpus.recordings import find_recordings
from timbrel.corpus.selection import file_sha256
from timbrel.corpus.soundfont import check_soundfont, find_fluidsynth
from timbrel.errors import InputError, Skip, refuse
from timbrel.evaluation import judges
from timbrel.evaluation.cache import Cache, key_of, source_key
from timbrel.evaluation.judges import (
    INDEPENDENT,
    OWN,
    able_judges,
    judge_version,
    load_judge,
    transcriber_key,
)
from timbrel.evaluation.originals import Clip, Excerpt, render_original
from timbrel.geometry import MelConfig
from timbrel.machine import n_processes
from timbrel.measures import notes_heard
from timbrel.measures import transcription as measures
from timbrel.measures.compiled import compile_librosa
from timbrel.measures.sound import QUIET
from timbrel.measures.transcription import TranscriptionScores, transcription_scores
from timbrel.progress import Progress, silent
from timbrel.score.midi import read_midi
from timbrel.score.score import note_table
from timbrel.sound import AUDIO_SUFFIXES, read_audio
from timbrel.transcription.heard import note_rows
from timbrel.transcription.sizes import KIND
from timbrel.transcription.transcriber import Transcriber

MEASURES = tuple(field.name for field in fields(TranscriptionScores))


@dataclass(frozen=True)
class Take:
    """A sound whose notes are known: an excerpt that FluidSynth plays, or a recording."""

    track: str  # what is drawn as one by the bootstrap
    instrument: str
    source: Clip | tuple[Path, Path]  # or the files of a recording and of its score

    @property
    def key(self) -> str:
        """Under which its verdicts are cached."""
        if isinstance(self.source, Clip):
            return self.source.key
        return key_of(*(file_sha256(path) for path in self.source))


@dataclass(frozen=True)
class Verdict:
    """What was found of one transcriber's notes of a take."""

    transcriber: str
    track: str
    instrument: str
    polyphony: float  # keys that sound at once, where any does
    scores: dict[str, float]  # by `MEASURES`


def rendered_takes(
    midi_dir: str | os.PathLike,
    soundfont: str | os.PathLike,
    excerpts: Sequence[Excerpt],
    instruments: dict[str, int],
    *,
    gain: float,
) -> list[Take]:
    """Excerpts in each of some instruments, as FluidSynth plays them.

    Raises
    ------
    MissingToolError
        If FluidSynth or the SoundFont is missing.
    """
    find_fluidsynth()
    font = check_soundfont(soundfont)
    return [
        Take(
            f"{excerpt.file} {excerpt.start_s:g}",
            name,
            Clip(
                midi=Path(midi_dir, excerpt.file),
                excerpt=excerpt,
                instrument=Instrument(name, program, ()),
                soundfont=font,
                mel=MelConfig(),
                gain=gain,
            ),
        )
        for excerpt in excerpts
        for name, program in instruments.items()
    ]


def recorded_takes(folder: str | os.PathLike, *, skip: Skip = refuse) -> list[Take]:
    """Recordings that have MIDI files beside them.

    The instrument is the folder that a recording lies in; the whole folder's name where recordings
    lie right in it.

    Raises
    ------
    InputError
        If there are none.
    """
    folder = Path(folder)
    is_flat = folder.is_dir() and any(p.suffix.lower() in AUDIO_SUFFIXES for p in folder.iterdir())
    found = find_recordings(folder, folder.resolve().name if is_flat else None, skip)
    return [
        Take(one.midi, one.instrument, (folder / one.audio, folder / one.midi)) for one in found
    ]


def evaluate_transcription(
    takes: Sequence[Take],
    *,
    models: Sequence[str],
    others: Sequence[str] = INDEPENDENT,
    cache: str | os.PathLike,
    jobs: int = -1,
    progress: Progress = silent,
) -> tuple[list[Verdict], list[str]]:
    """Let transcribers hear takes, and compare what they hear with what was played.

    Parameters
    ----------
    takes
        See `rendered_takes` and `recorded_takes`.
    models
        Names or folders of bundles of kind "transcriber".
    others
        Of `INDEPENDENT`. Those that are not installed are left out.
    cache
        Folder for sounds and verdicts; what is there is not computed again.
    jobs
        Processes; −1 is one for each core.
    progress
        Wraps the finished takes.

    Returns
    -------
    verdicts : list of Verdict
        Of all takes but silent ones, by each transcriber.
    skipped : list of str
        Words about transcribers that were left out.
    """
    names, skipped = _able(models, others)
    store = Cache(cache)
    compile_librosa()  # which judges use
    done = joblib.Parallel(n_jobs=n_processes(jobs), return_as="generator")(
        joblib.delayed(_verdicts)(take, names, store) for take in takes
    )
    found = list(progress(done, len(takes), "transcribing"))
    return [verdict for part in found for verdict in part], skipped


def _able(models: Sequence[str], others: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """The transcribers that can be used, as names and what to load, and words about the others."""
    bundles = [load_bundle(model, kind=KIND) for model in models]
    if OWN in others:
        raise InputError(f"{OWN} is a transcriber to measure, not another; name its model instead")
    judges, skipped = able_judges(others)
    able = [(bundle.name, str(bundle.path)) for bundle in bundles]
    able += [(name, "") for name in judges]
    if not able:
        raise InputError("there is no transcriber to measure; name a model, or install a judge")
    names = [name for name, _ in able]
    if len(set(names)) < len(names):
        raise InputError("two of the transcribers have the same name; export one under another")
    return able, skipped


def _verdicts(take: Take, names: list[tuple[str, str]], cache: Cache) -> list[Verdict]:
    """The verdicts of a take by all transcribers; none where it is silent."""
    how = source_key(judges, notes_heard, measures)
    keys = [key_of("transcription", how, _transcriber_key(*name), take.key) for name in names]
    known = [cache.read_json("transcriptions", key) for key in keys]
    if any(row is None for row in known):
        audio, reference, duration_s = _played(take, cache)
        for i, (name, path) in enumerate(names):
            if known[i] is None:
                known[i] = _judged(audio, reference, duration_s, name, path)
                cache.write_json("transcriptions", keys[i], known[i])
    return [
        Verdict(
            name,
            take.track,
            take.instrument,
            row["polyphony"],
            {key: float("nan") if row[key] is None else row[key] for key in MEASURES},
        )
        for (name, _), row in zip(names, known, strict=True)
        if row
    ]


def _judged(
    audio: np.ndarray, reference: np.ndarray, duration_s: float, name: str, path: str
) -> dict[str, float | None]:
    """The scores of a transcriber, as JSON; nothing where there is nothing to hear."""
    if np.abs(audio).max(initial=0.0) < QUIET or not len(reference):
        return {}
    if path:
        notes = note_rows(_transcriber(path).transcribe_audio(audio).notes)
        offsets = velocities = True
    else:
        judge = load_judge(name)
        notes = judge.transcribe(audio)
        offsets, velocities = judge.has_offsets, judge.has_velocities
    scores = asdict(
        transcription_scores(reference, notes, duration_s, offsets=offsets, velocities=velocities)
    )
    lengths = np.minimum(reference[:, 1], duration_s) - np.maximum(reference[:, 0], 0)
    polyphony = float(lengths.sum() / max(_sounding_s(reference, duration_s), 1e-3))
    known = {key: value if np.isfinite(value) else None for key, value in scores.items()}
    return {**known, "polyphony": polyphony}


def _sounding_s(reference: np.ndarray, duration_s: float) -> float:
    """For how long any note sounds."""
    total, reached = 0.0, 0.0
    for start_s, end_s in sorted(reference[:, :2].tolist()):
        end_s = min(end_s, duration_s)
        total += max(end_s - max(start_s, reached), 0.0)
        reached = max(reached, end_s)
    return total


def _played(take: Take, cache: Cache) -> tuple[np.ndarray, np.ndarray, float]:
    """The sound of a take at 16 kHz, its notes (notes, 4), and its length."""
    if isinstance(take.source, Clip):
        original = render_original(take.source, cache)
        notes = note_table(original.score.notes)
        notes[:, :2] -= original.pre_roll_s
        return original.audio, notes[notes[:, 1] > 0], take.source.excerpt.duration_s
    path, midi = take.source
    audio, _ = read_audio(path, sample_rate=SAMPLE_RATE)
    return audio, note_table(read_midi(midi).notes), len(audio) / SAMPLE_RATE


def _transcriber_key(name: str, path: str) -> str:
    return transcriber_key(Path(path)) if path else judge_version(name)


@lru_cache(maxsize=4)
def _transcriber(path: str) -> Transcriber:
    return Transcriber.load(path)


def verdict_rows(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """A row for each take and transcriber; what is not known is None."""
    return [
        {
            "transcriber": verdict.transcriber,
            "track": verdict.track,
            "instrument": verdict.instrument,
            "polyphony": round(verdict.polyphony, 3),
            **{k: round(v, 4) if np.isfinite(v) else None for k, v in verdict.scores.items()},
        }
        for verdict in verdicts
    ]

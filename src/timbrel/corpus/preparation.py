"""MIDI files → training data: each score rendered in each instrument, with a manifest.

The result is a folder that a person can listen to and read:

    DATA/data.json        settings: sample rate, gain, instruments, SoundFont and its hash
    DATA/manifest.jsonl   one line a clip: MIDI file, instrument, split, audio file, hashes
    DATA/midi/…           the scores, copied
    DATA/audio/…          16-bit mono WAV files

It can be made in any number of attempts: a clip that is there is not rendered again.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from timbrel.constants import SAMPLE_RATE
from timbrel.corpus.soundfont import REFERENCE_GAIN, check_soundfont, find_fluidsynth, render_score
from timbrel.errors import InputError, MissingToolError, Skip, refuse
from timbrel.files import atomic_path
from timbrel.progress import Progress, silent
from timbrel.score.midi import read_midi
from timbrel.sound import read_audio, write_audio

SETTINGS_FILE, MANIFEST_FILE = "data.json", "manifest.jsonl"
PEAK_DB = -3.0  # where the fixed gain puts the loudest peak of the validation split
VALID_SHARE = 10  # without a list of splits, one work in so many is for validation
_SCHEDULER_TIMEOUT_S = 10

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi")


@dataclass(frozen=True)
class Clip:
    """A line of the manifest: one score, played by one instrument."""

    midi: str  # relative to DATA/midi
    instrument: str
    program: int
    split: str
    audio: str  # relative to DATA
    n_samples: int
    peak: float
    clipped: int  # samples beyond full scale
    midi_sha256: str
    audio_sha256: str


@dataclass(frozen=True)
class Settings:
    """What all clips of a data folder share."""

    sample_rate: int
    gain: float  # FluidSynth's
    instruments: dict[str, int]  # name → program
    soundfont: str
    soundfont_sha256: str


def prepare(
    midi_dir: str | os.PathLike,
    output: str | os.PathLike,
    *,
    soundfont: str | os.PathLike,
    instruments: dict[str, int],
    splits: str | os.PathLike | None = None,
    minutes_per_instrument: float | None = None,
    sample_rate: int = SAMPLE_RATE,
    jobs: int = -1,
    scheduler: str | None = None,
    skip: Skip = refuse,
    progress: Progress = silent,
) -> Settings:
    """Render the `train` and `valid` scores of a folder, all of them in each instrument.

    Parameters
    ----------
    midi_dir
        Searched for MIDI files, its subfolders too.
    output
        The data folder; where it holds clips of the same settings, they are kept.
    soundfont
        An .sf2 or .sf3 file.
    instruments
        Names and General MIDI programs.
    splits
        CSV with the columns `file` and `split`; only `train` and `valid` are rendered. Without it
        one folder or file in ten is for validation: works are never divided.
    minutes_per_instrument
        At most so much training audio for each instrument, of scores drawn for each anew.
    sample_rate
        In Hz.
    jobs
        Processes; −1 is one for each core.
    scheduler
        Address of a Dask scheduler whose workers render instead. They must see the same files.
    skip
        Told of each score that cannot be read; the data are made without it.
    progress
        Wraps the finished items, as ``progress(items, total, label)``.

    Returns
    -------
    Settings

    Raises
    ------
    InputError
        If there is nothing to render, or the folder holds data of other settings.
    MissingToolError
        If FluidSynth, the SoundFont or (for `scheduler`) Dask is missing.
    """
    find_fluidsynth()
    soundfont = check_soundfont(soundfont)
    output = Path(output)
    split_of = _read_splits(Path(midi_dir), splits)
    names = sorted(name for name, split in split_of.items() if split in ("train", "valid"))
    _check_audio_names(names)
    wanted: dict[str, Any] = {
        "sample_rate": sample_rate,
        "instruments": instruments,
        "soundfont": soundfont.name,
        "soundfont_sha256": file_sha256(soundfont),
    }
    check_same_settings(output / SETTINGS_FILE, wanted)
    with worker_pool(scheduler, jobs):
        readable = _readable(names, Path(midi_dir), skip, progress)
    scores = {
        split: sorted(name for name in readable if split_of[name] == split)
        for split in ("train", "valid")
    }
    if not scores["train"] or not scores["valid"]:
        raise InputError(
            f"{midi_dir}: needs MIDI files for both training and validation; "
            f"{len(scores['train'])} and {len(scores['valid'])} found"
        )
    renderer = _Renderer(output, soundfont, sample_rate)
    with worker_pool(scheduler, jobs):
        for name in scores["train"] + scores["valid"]:
            source, target = Path(midi_dir, name), output / "midi" / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                with atomic_path(target) as temporary:
                    shutil.copyfile(source, temporary)
            elif file_sha256(target) != file_sha256(source):
                raise InputError(
                    f"{output}: holds data of another {name}; give another output folder"
                )
        if (output / SETTINGS_FILE).exists():
            settings = Settings(**json.loads((output / SETTINGS_FILE).read_text()))
        else:
            tasks = [(name, p) for p in instruments.values() for name in scores["valid"]]
            peaks = run_parallel(renderer.peak, tasks, progress, "choosing the gain")
            if max(peaks) == 0:
                raise InputError(f"{midi_dir}: the scores for validation make no sound")
            gain = REFERENCE_GAIN * 10 ** (PEAK_DB / 20) / max(peaks)
            settings = Settings(gain=round(gain, 4), **wanted)
            with atomic_path(output / SETTINGS_FILE) as temporary:
                temporary.write_text(json.dumps(asdict(settings), indent=2) + "\n")

        clip_tasks = []
        for instrument, program in instruments.items():
            train = _within(scores["train"], instrument, output, minutes_per_instrument)
            for name in train + scores["valid"]:
                clip_tasks.append((name, instrument, program, split_of[name], settings.gain))
        clips = run_parallel(renderer.clip, clip_tasks, progress, "rendering")
    shutil.rmtree(output / "peaks", ignore_errors=True)
    clips.sort(key=lambda clip: (clip.split, clip.instrument, clip.midi))
    with atomic_path(output / MANIFEST_FILE) as temporary:
        temporary.write_text("".join(json.dumps(asdict(clip)) + "\n" for clip in clips))
    return settings


def read_data(folder: str | os.PathLike) -> tuple[Settings, list[Clip]]:
    """Settings and clips of a prepared data folder.

    Raises
    ------
    InputError
        If the folder is not one, or its preparation was not finished.
    """
    folder = Path(folder)
    try:
        settings = Settings(**json.loads((folder / SETTINGS_FILE).read_text()))
        lines = (folder / MANIFEST_FILE).read_text().splitlines()
        clips = [Clip(**json.loads(line)) for line in lines]
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: is not finished training data ({Path(error.filename).name} is missing); "
            "make it with 'timbrel prepare'"
        ) from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{folder}: its settings or manifest are damaged ({error})") from None
    return settings, clips


def manifest_sha256(folder: str | os.PathLike) -> str:
    """Hash of a data folder's manifest, and so of all that it lists."""
    return file_sha256(Path(folder) / MANIFEST_FILE)


def file_sha256(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        # Python 3.11 has hashlib.file_digest for this.
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def find_midi_files(folder: Path) -> list[str]:
    """MIDI files below a folder, as sorted relative paths."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder")
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in MIDI_SUFFIXES and path.is_file()
    )
    if not names:
        raise InputError(f"{folder}: holds no MIDI files ({', '.join(MIDI_SUFFIXES)})")
    return names


class _Renderer:
    """The work of one process on one clip; small, because it is sent to every worker."""

    def __init__(self, output: Path, soundfont: Path, sample_rate: int) -> None:
        self._output = output.resolve()
        self._soundfont = soundfont.resolve()
        self._sample_rate = sample_rate

    def peak(self, name: str, program: int) -> float:
        """The loudest sample at FluidSynth's default gain."""
        # No settings are written yet that would keep another SoundFont or rate out of the folder.
        size = self._soundfont.stat().st_size
        key = f"{self._soundfont.stem}-{size}-{self._sample_rate}-{program}"
        cache = self._output / "peaks" / key / f"{name}.txt"
        if cache.exists():
            return float(cache.read_text())
        value = float(np.abs(self._render(name, program, REFERENCE_GAIN)).max(initial=0.0))
        cache.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(cache) as temporary:
            temporary.write_text(repr(value))
        return value

    def clip(self, name: str, instrument: str, program: int, split: str, gain: float) -> Clip:
        """Render a clip, unless it is there, and describe it."""
        relative = Path("audio", instrument, Path(name).with_suffix(".wav"))
        path, notes = self._output / relative, self._output / relative.with_suffix(".json")
        if notes.exists() and path.exists():
            # The list of splits may be another one than when the clip was rendered.
            return replace(Clip(**json.loads(notes.read_text())), split=split)
        audio = self._render(name, program, gain)
        peak = float(np.abs(audio).max(initial=0.0))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(path, np.clip(audio, -1, 1), self._sample_rate)
        clip = Clip(
            midi=name,
            instrument=instrument,
            program=program,
            split=split,
            audio=relative.as_posix(),
            n_samples=len(audio),
            peak=round(peak, 6),
            clipped=int((np.abs(audio) > 1).sum()),
            midi_sha256=file_sha256(self._output / "midi" / name),
            audio_sha256=file_sha256(path),
        )
        with atomic_path(notes) as temporary:
            temporary.write_text(json.dumps(asdict(clip)))
        return clip

    def _render(self, name: str, program: int, gain: float) -> np.ndarray:
        score = read_midi(self._output / "midi" / name)
        return render_score(
            score, program, self._soundfont, sample_rate=self._sample_rate, gain=gain
        )


def run_parallel(work: Callable, tasks: list[tuple], progress: Progress, label: str) -> list:
    """Results of ``work(*task)``, in the order in which they are done."""
    parallel = joblib.Parallel(return_as="generator_unordered")
    done = parallel(joblib.delayed(work)(*task) for task in tasks)
    return list(progress(done, len(tasks), label))


@contextmanager
def worker_pool(scheduler: str | None, jobs: int) -> Iterator[None]:
    """Have joblib work in processes of this machine, or on a Dask cluster, for a with block."""
    if jobs == 0:
        raise InputError("0 jobs cannot do anything; -1 stands for one for each core")
    if scheduler is None:
        with joblib.parallel_config(backend="loky", n_jobs=jobs):
            yield
        return
    try:
        from distributed import Client
    except ImportError:
        raise MissingToolError(
            "--scheduler needs Dask; install it with: pip install 'timbrel[cluster]'"
        ) from None
    try:
        client = Client(scheduler, timeout=_SCHEDULER_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise InputError(f"{scheduler}: no Dask scheduler answers there ({error})") from None
    with client, joblib.parallel_config(backend="dask"):
        yield


def _read_splits(midi_dir: Path, splits: str | os.PathLike | None) -> dict[str, str]:
    names = find_midi_files(midi_dir)
    if splits is None:
        return {name: "valid" if _is_valid(name) else "train" for name in names}
    try:
        with open(splits, newline="") as file:
            listed = {row["file"]: row["split"] for row in csv.DictReader(file)}
    except OSError as error:
        raise InputError(f"{splits}: cannot be read ({error.strerror})") from None
    except KeyError as error:
        raise InputError(f"{splits}: has no column {error}") from None
    missing = sorted(set(listed) - set(names))
    if missing:
        raise InputError(f"{splits}: lists {missing[0]}, which is not in {midi_dir}")
    return listed


def _readable(names: list[str], midi_dir: Path, skip: Skip, progress: Progress) -> set[str]:
    """Those of some files that hold scores; `skip` is told of the others."""
    tasks = [(midi_dir.resolve(), name) for name in names]
    errors = dict(run_parallel(_read_error, tasks, progress, "reading"))
    for name in sorted(errors):
        if (error := errors[name]) is not None:
            skip(error)
    return {name for name, error in errors.items() if error is None}


def _read_error(midi_dir: Path, name: str) -> tuple[str, InputError | None]:
    try:
        read_midi(midi_dir / name)
    except InputError as error:
        return name, error
    return name, None


def _is_valid(name: str) -> bool:
    """Whether a work (a folder of files, or a file that lies alone) is for validation."""
    path = Path(name)
    work = path.parent.as_posix() if path.parent != Path() else path.stem
    return shuffle_key("split", work)[0] % VALID_SHARE == 0


def shuffle_key(*words: str) -> bytes:
    """A key that shuffles names the same way everywhere."""
    return hashlib.sha256("\0".join(words).encode()).digest()


def _within(names: list[str], instrument: str, output: Path, minutes: float | None) -> list[str]:
    """As many of the scores, in an order of the instrument's own, as the minutes allow."""
    if minutes is None:
        return names
    chosen, seconds = [], 0.0
    for name in sorted(names, key=lambda name: shuffle_key(instrument, name)):
        if seconds >= 60 * minutes:
            break
        chosen.append(name)
        seconds += read_midi(output / "midi" / name).duration_s
    return chosen


def _check_audio_names(names: Iterable[str]) -> None:
    """Refuse scores whose audio would have the same name: `a.mid` beside `a.midi`."""
    first: dict[Path, str] = {}
    for name in names:
        other = first.setdefault(Path(name).with_suffix(""), name)
        if other != name:
            raise InputError(f"{other} and {name} would become the same audio file; rename one")


def check_same_settings(path: Path, wanted: dict) -> None:
    """Refuse to go on with a data folder that was begun with other settings."""
    if not path.exists():
        return
    found = json.loads(path.read_text())
    for key, value in wanted.items():
        if found.get(key) != value:
            raise InputError(
                f"{path.parent}: holds data with another {key} ({found.get(key)}, "
                f"not {value}); give another output folder"
            )


def read_clip(folder: Path, clip: Clip) -> np.ndarray:
    """The audio of a clip, float32, shape (n_samples,)."""
    return read_audio(folder / clip.audio)[0]

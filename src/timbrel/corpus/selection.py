"""Selecting the scores for training data: whole scores of a folder, excerpts, and etudes."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import mido

from timbrel.corpus.etudes import etude
from timbrel.corpus.parallel import run_parallel
from timbrel.corpus.presets import Preset
from timbrel.corpus.single_notes import single_notes
from timbrel.corpus.soundfont import to_midi
from timbrel.errors import InputError, Skip
from timbrel.files import atomic_path, read_table
from timbrel.progress import Progress
from timbrel.score.midi import read_midi
from timbrel.score.source import MIDI_SUFFIXES, midi_files

SPLITS = ("train", "valid")
SCORE, ETUDE, SINGLE_NOTES = "score", "etude", "single notes"  # kinds of clips
_FOLDERS = {ETUDE: "etudes", SINGLE_NOTES: "single-notes"}  # of what is written
VALID_SHARE = 10  # without a list of splits, one work in so many is for validation
_KIT_ETUDES = 2  # kits have so many times as many etudes, for no other score plays them


class Choice(NamedTuple):
    """A score that an instrument is to play."""

    midi: str  # relative to DATA/midi
    preset: Preset
    split: str
    kind: str  # SCORE, ETUDE or SINGLE_NOTES


@dataclass(frozen=True)
class Amount:
    """How much a data folder is to hold for each instrument."""

    minutes_per_instrument: float | None = None  # of scores, for training; all where None
    validation_minutes_per_instrument: float | None = None
    excerpt_s: float | None = None  # cut the scores into excerpts of so many seconds
    etudes: int = 0  # for training; and one in ten, but one at least, more for validation
    single_notes: int = 0  # scores in which every key sounds alone, shared out likewise
    seed: int = 0  # of the etudes and the single notes

    def minutes(self, split: str) -> float | None:
        """The bound of a split: of its scores, and of the length of each of its etudes."""
        if split == "train":
            return self.minutes_per_instrument
        return self.validation_minutes_per_instrument

    def check(self, presets: Iterable[Preset]) -> None:
        """Refuse what does not go together."""
        kits = [preset.name for preset in presets if preset.is_kit]
        if kits and not (self.etudes or self.single_notes):
            raise InputError(
                f"kits ({kits[0]} …) play etudes and single notes only; give a number with "
                "--etudes or --single-notes"
            )
        if self.excerpt_s and None in (self.minutes("train"), self.minutes("valid")):
            raise InputError(
                "excerpts are drawn by the minute; give --minutes-per-instrument and "
                "--validation-minutes-per-instrument with --excerpt-seconds"
            )


def find_midi_files(folder: Path) -> list[str]:
    """MIDI files below a folder, as sorted relative paths."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder")
    names = sorted(path.relative_to(folder).as_posix() for path in midi_files(folder))
    if not names:
        raise InputError(f"{folder}: holds no MIDI files ({', '.join(MIDI_SUFFIXES)})")
    return names


def read_splits(midi_dir: Path, splits: str | os.PathLike | None) -> dict[str, list[str]]:
    """The scores of a folder for training and for validation, sorted."""
    names = find_midi_files(midi_dir)
    if splits is None:
        split_of = {name: "valid" if _is_valid(name) else "train" for name in names}
    else:
        split_of = listed_splits(splits)
        missing = sorted(set(split_of) - set(names))
        if missing:
            raise InputError(f"{splits}: lists {missing[0]}, which is not in {midi_dir}")
    scores = {
        split: sorted(name for name, which in split_of.items() if which == split)
        for split in SPLITS
    }
    _check_audio_names(name for names in scores.values() for name in names)
    return scores


def readable_scores(
    scores: dict[str, list[str]], midi_dir: Path, skip: Skip, progress: Progress
) -> dict[str, list[str]]:
    """The scores of each split that can be read; `skip` is told of the others.

    Raises
    ------
    InputError
        If a split is left without any.
    """
    tasks = [(midi_dir.resolve(), name) for names in scores.values() for name in names]
    if not tasks:
        return scores
    errors = dict(run_parallel(_read_error, tasks, progress, "reading"))
    for name in sorted(errors):
        if (error := errors[name]) is not None:
            skip(error)
    readable = {
        split: [name for name in names if errors[name] is None] for split, names in scores.items()
    }
    if not all(readable.values()):
        raise InputError(
            f"{midi_dir}: needs MIDI files for both training and validation; "
            f"{len(readable['train'])} and {len(readable['valid'])} found"
        )
    return readable


def _read_error(midi_dir: Path, name: str) -> tuple[str, InputError | None]:
    try:
        read_midi(midi_dir / name)
    except InputError as error:
        return name, error
    return name, None


def choose(
    presets: list[Preset],
    scores: dict[str, list[str]],
    midi_dir: Path,
    folder: Path,
    amount: Amount,
    progress: Progress,
) -> list[Choice]:
    """Decide what every instrument plays, and put those scores into a folder.

    Parameters
    ----------
    presets
        The instruments.
    scores
        Names of the scores of each split, relative to `midi_dir`; empty for etudes only.
    midi_dir, folder
        Where the scores are, and where those that are played are to lie.
    amount
        How many of them, and how many etudes.
    progress
        Wraps the finished items, as ``progress(items, total, label)``.

    Returns
    -------
    list of Choice
        Without repetitions.

    Raises
    ------
    InputError
        If the folder holds other scores of the same names.
    """
    melodic = [preset for preset in presets if not preset.is_kit]
    choices: list[Choice] = []
    for split in SPLITS if scores else ():
        minutes = amount.minutes(split)
        if amount.excerpt_s and minutes is not None:
            played = _choose_excerpts(
                scores[split], melodic, minutes, amount.excerpt_s, midi_dir, folder, progress
            )
        else:
            played = {p.name: _within(scores[split], p.name, midi_dir, minutes) for p in melodic}
            for name in sorted({name for names in played.values() for name in names}):
                _copy_score(midi_dir / name, folder, name)
        choices += [Choice(name, p, split, SCORE) for p in melodic for name in played[p.name]]
    etudes = _generated(presets, amount.etudes, ETUDE)
    singles = _generated(presets, amount.single_notes, SINGLE_NOTES)
    minutes_of = {split: amount.minutes(split) for split in SPLITS}
    tasks = [(choice, folder, amount.seed, minutes_of[choice.split]) for choice in etudes]
    if tasks:
        run_parallel(_write_etude, tasks, progress, "writing etudes")
    if singles:
        alone = [(choice, folder, amount.seed) for choice in singles]
        run_parallel(_write_single_notes, alone, progress, "writing single notes")
    # An instrument's one after the other, so that its samples are loaded once.
    order = {preset: i for i, preset in enumerate(presets)}
    return sorted(
        dict.fromkeys(choices + etudes + singles), key=lambda choice: order[choice.preset]
    )


def _within(names: list[str], instrument: str, midi_dir: Path, minutes: float | None) -> list[str]:
    """As many whole scores, in an order of the instrument's own, as the minutes allow."""
    if minutes is None:
        return names
    chosen, seconds = [], 0.0
    for name in _shuffled(names, instrument):
        if seconds >= 60 * minutes:
            break
        chosen.append(name)
        seconds += read_midi(midi_dir / name).duration_s
    return chosen


def _choose_excerpts(
    names: list[str],
    presets: list[Preset],
    minutes: float,
    excerpt_s: float,
    midi_dir: Path,
    folder: Path,
    progress: Progress,
) -> dict[str, list[str]]:
    """Cut out what each instrument plays; gives the excerpts' names by instrument."""
    count = math.ceil(60 * minutes / excerpt_s)
    drawn = {preset.name: _draw_places(names, preset.name, count) for preset in presets}
    places: dict[str, list[float]] = defaultdict(list)
    for name, place in (pair for pairs in drawn.values() for pair in pairs):
        places[name].append(place)
    tasks = [(midi_dir, folder, name, found, excerpt_s) for name, found in places.items()]
    cut: dict[tuple[str, float], str] = {}
    for part in run_parallel(_cut, tasks, progress, "cutting excerpts"):
        cut |= part
    return {instrument: [cut[pair] for pair in pairs] for instrument, pairs in drawn.items()}


def _draw_places(names: list[str], instrument: str, count: int) -> list[tuple[str, float]]:
    """Scores, in an order of the instrument's own, with the place (0–1) of an excerpt in each.

    Where more excerpts are wanted than there are scores, they begin anew with other places.
    """
    drawn: list[tuple[str, float]] = []
    for turn in range(math.ceil(count / len(names))):
        for name in _shuffled(names, instrument):
            key = shuffle_key("place", instrument, name, str(turn))
            drawn.append((name, int.from_bytes(key[:4], "big") / 2**32))
    return drawn[:count]


def _cut(
    midi_dir: Path, folder: Path, name: str, places: list[float], excerpt_s: float
) -> dict[tuple[str, float], str]:
    """Write excerpts of a score as MIDI files; gives their names by score and place.

    A score is divided into windows that begin at multiples of `excerpt_s`; a place chooses one, and
    where it has no notes, the next one that has some.
    """
    score = read_midi(midi_dir / name)
    if not score.n_notes:
        raise InputError(f"{midi_dir / name}: has no notes; take it out of the list of splits")
    n_windows = max(round(score.duration_s / excerpt_s), 1)
    names = {}
    for place in places:
        first = int(place * n_windows)
        for index in (*range(first, n_windows), *range(first)):
            excerpt = score.excerpt(index * excerpt_s, excerpt_s)
            if excerpt.n_notes:
                break
        path = Path(name)
        target = Path("excerpts", path.parent, f"{path.stem}-{index * excerpt_s:g}s.mid").as_posix()
        _write_midi(to_midi(excerpt, 0, tail_s=0), folder / target)
        names[name, place] = target
    return names


def _copy_score(source: Path, folder: Path, name: str) -> None:
    target = folder / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
    elif file_sha256(target) != file_sha256(source):
        raise InputError(
            f"{folder.parent}: holds data of another {name}; give another output folder"
        )


def _generated(presets: list[Preset], wanted: int, kind: str) -> list[Choice]:
    """Scores of a kind that are written for each instrument; none where none are wanted."""
    choices = []
    for preset in presets if wanted else ():
        for split, count in (("train", wanted), ("valid", max(wanted // VALID_SHARE, 1))):
            for number in range(count * (_KIT_ETUDES if preset.is_kit else 1)):
                name = f"{_FOLDERS[kind]}/{preset.name}/{split}-{number + 1:03}.mid"
                choices.append(Choice(name, preset, split, kind))
    return choices


def _write_single_notes(choice: Choice, folder: Path, seed: int) -> None:
    midi = single_notes(choice.preset, _number(choice), seed=seed, split=choice.split)
    _write_midi(midi, folder / choice.midi)


def _number(choice: Choice) -> int:
    return int(Path(choice.midi).stem.rpartition("-")[2]) - 1


def _write_etude(choice: Choice, folder: Path, seed: int, minutes: float | None) -> None:
    number = _number(choice)
    longest_s = None if minutes is None else 60 * minutes
    midi = etude(choice.preset, number, seed=seed, split=choice.split, longest_s=longest_s)
    _write_midi(midi, folder / choice.midi)


def file_sha256(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        # Python 3.11 has hashlib.file_digest for this.
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def shuffle_key(*words: str) -> bytes:
    """A key that shuffles names the same way everywhere."""
    return hashlib.sha256("\0".join(words).encode()).digest()


def _shuffled(names: list[str], instrument: str) -> list[str]:
    return sorted(names, key=lambda name: shuffle_key(instrument, name))


def _write_midi(midi: mido.MidiFile, target: Path) -> None:
    """Write a generated score, or see that it is the one that is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        midi.save(temporary)
        if target.exists() and temporary.read_bytes() != target.read_bytes():
            raise InputError(f"{target}: is another score than these options make; delete the data")


def listed_splits(path: str | os.PathLike) -> dict[str, str]:
    """Read a CSV with the columns file and split: file → split.

    Raises
    ------
    InputError
        If it cannot be read, is not such a list, or lists a file twice.
    """
    found: dict[str, str] = {}
    for row in read_table(path, ("file", "split")):
        if row["file"] in found:
            raise InputError(f"{path}: lists {row['file']} twice")
        found[row["file"]] = row["split"]
    return found


def _is_valid(name: str) -> bool:
    """Whether a work (a folder of files, or a file that lies alone) is for validation."""
    path = Path(name)
    work = path.parent.as_posix() if path.parent != Path() else path.stem
    return shuffle_key("split", work)[0] % VALID_SHARE == 0


def _check_audio_names(names: Iterable[str]) -> None:
    """Refuse scores whose audio would have the same name: `a.mid` beside `a.midi`."""
    first: dict[Path, str] = {}
    for name in names:
        other = first.setdefault(Path(name).with_suffix(""), name)
        if other != name:
            raise InputError(f"{other} and {name} would become the same audio file; rename one")

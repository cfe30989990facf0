"""Scores → training data: each score rendered in each instrument, with a manifest.

The result is a folder that people can listen to and read:

    DATA/data.json        settings: sample rate, gain, instruments, SoundFont and its hash
    DATA/manifest.jsonl   one line per clip: MIDI file, instrument, split, audio file, hashes
    DATA/instruments.json silent keys of each instrument, and how its notes decay
    DATA/midi/…           the scores: copied, cut into excerpts, or generated
    DATA/audio/…          mono FLAC files

An interrupted preparation can be resumed any number of times: clips that exist are not rendered
again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import mido
import numpy as np

from timbrel.constants import LICENSE_NOT_STATED, SAMPLE_RATE
from timbrel.corpus.parallel import run_parallel, worker_pool
from timbrel.corpus.presets import Preset, named_programs
from timbrel.corpus.selection import (
    SCORE,
    Amount,
    Choice,
    choose,
    file_sha256,
    read_splits,
    readable_scores,
)
from timbrel.corpus.soundfont import (
    KIT_BANK,
    REFERENCE_GAIN,
    TAIL_S,
    as_preset,
    check_soundfont,
    find_fluidsynth,
    length_in_seconds,
    render_parts,
    to_midi,
)
from timbrel.corpus.sounds import SOUNDS_FILE, measure_sounds, write_sounds
from timbrel.errors import InputError, Skip, refuse
from timbrel.files import read_json, read_text, write_text
from timbrel.progress import Progress, silent
from timbrel.score.midi import read_midi
from timbrel.sound import FORMATS, read_audio, write_audio

T = TypeVar("T")

SETTINGS_FILE, MANIFEST_FILE = "data.json", "manifest.jsonl"
AUDIO_SUFFIX = ".flac"  # a quarter of a WAV file's size; see docs/data-path.md
_BIT_DEPTHS = tuple(FORMATS[AUDIO_SUFFIX][1])
# FluidSynth may take a second to load a SoundFont, so it plays several clips in one go: few enough
# for the progress to be updated often, and to fit into the memory of a small machine.
_BATCH, _GO_S = 16, 900.0
PEAK_DB = -3.0  # where the fixed gain puts the loudest peak of the validation split


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
    bank: int = 0  # of the SoundFont; 128 holds the kits
    kind: str = SCORE  # or ETUDE, SINGLE_NOTES

    @property
    def is_kit(self) -> bool:
        """Whether the instrument is a drum kit, whose pitches are its keys."""
        return self.bank == KIT_BANK


@dataclass(frozen=True)
class Settings:
    """What all clips of a data folder share."""

    sample_rate: int
    gain: float  # FluidSynth's
    instruments: dict[str, int]  # name → program
    soundfont: str
    soundfont_sha256: str
    banks: dict[str, int] = field(default_factory=dict)  # of the instruments not of bank 0
    license: str = LICENSE_NOT_STATED  # of models that are trained on the data, for their cards
    attribution: str = ""  # what the cards say of where the data come from
    bit_depth: str = "16"  # of the audio files; or "24"

    def is_kit(self, instrument: str) -> bool:
        """Whether an instrument is a drum kit, whose pitches are its keys."""
        return self.banks.get(instrument) == KIT_BANK


def prepare(
    midi_dir: str | os.PathLike | None,
    output: str | os.PathLike,
    *,
    soundfont: str | os.PathLike,
    instruments: Mapping[str, int] | Sequence[Preset],
    splits: str | os.PathLike | None = None,
    amount: Amount | None = None,
    sample_rate: int = SAMPLE_RATE,
    gain: float | None = None,
    bit_depth: str | None = None,
    license: str | None = None,
    attribution: str | None = None,
    jobs: int = -1,
    scheduler: str | None = None,
    skip: Skip = refuse,
    progress: Progress = silent,
) -> Settings:
    """Render the `train` and `valid` scores of a folder, and etudes, in each instrument.

    Parameters
    ----------
    midi_dir
        Searched for MIDI files, its subfolders too; etudes only where None.
    output
        The data folder; where it holds clips of the same settings, they are kept.
    soundfont
        An .sf2 or .sf3 file.
    instruments
        Names and General MIDI programs, or presets of the SoundFont. Kits play etudes only.
    splits
        CSV with the columns `file` and `split`; only `train` and `valid` are rendered. Without it
        one folder or file in ten is for validation: works are never divided.
    amount
        How many minutes of the scores, which are drawn for each instrument anew, and how many
        etudes; all of the scores and no etudes where None.
    sample_rate
        In Hz.
    gain
        FluidSynth's; where None, one that puts the loudest peak of the validation split at
        `PEAK_DB`. A model is trained on with data of the gain that it knows.
    bit_depth
        "16" or "24", of the audio files; 16 where None.
    license, attribution
        For the cards of models that are trained on the data. Where they are None, a folder that is
        gone on with keeps what it says.
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
        If there is nothing to render, the files cannot have the bit depth, or the folder holds
        data of other settings.
    MissingToolError
        If FluidSynth, the SoundFont or (for `scheduler`) Dask is missing.
    """
    check_bit_depth(bit_depth)
    find_fluidsynth()
    soundfont = check_soundfont(soundfont)
    output = Path(output)
    if isinstance(instruments, Mapping):
        presets = named_programs(instruments, soundfont)
    else:
        presets = list(instruments)
    amount = amount or Amount()
    amount.check(presets)
    if midi_dir is None and not (amount.etudes or amount.single_notes):
        raise InputError(
            "nothing to play: give a folder of MIDI files, or a number of --etudes or "
            "--single-notes"
        )
    listed = {} if midi_dir is None else read_splits(Path(midi_dir), splits)
    wanted: dict[str, Any] = {
        "sample_rate": sample_rate,
        "instruments": {preset.name: preset.program for preset in presets},
        "soundfont": soundfont.name,
        "soundfont_sha256": file_sha256(soundfont),
    }
    banks = {preset.name: preset.bank for preset in presets if preset.bank}
    if banks:  # data of bank 0 only have been made without a word of banks
        wanted["banks"] = banks
    asked = {"gain": gain, "bit_depth": bit_depth}
    wanted |= {key: value for key, value in asked.items() if value is not None}
    check_same_settings(output / SETTINGS_FILE, wanted)
    renderer = _Renderer(output, soundfont, sample_rate)
    with worker_pool(scheduler, jobs):
        scores = readable_scores(listed, Path(midi_dir or ""), skip, progress)
        folder = output / "midi"
        choices = choose(presets, scores, Path(midi_dir or ""), folder, amount, progress)
        if (output / SETTINGS_FILE).exists():
            settings = Settings(**read_json(output / SETTINGS_FILE))
        else:
            if gain is None:
                wanted["gain"] = _choose_gain(renderer, choices, progress)
            settings = Settings(**wanted)
        settings = replace(
            settings,
            license=settings.license if license is None else license,
            attribution=settings.attribution if attribution is None else attribution,
        )
        write_text(output / SETTINGS_FILE, json.dumps(asdict(settings), indent=2) + "\n")
        tasks = [(batch, settings) for batch in _batches(choices)]
        parts = run_parallel(renderer.clips, tasks, progress, "rendering")
        if not (output / SOUNDS_FILE).exists():
            probed = [(batch, soundfont.resolve()) for batch in _batches(presets)]
            found = run_parallel(measure_sounds, probed, progress, "listening to instruments")
            sounds = {sound.name: sound for part in found for sound in part}
            write_sounds(output, (sounds[preset.name] for preset in presets))
    shutil.rmtree(output / "peaks", ignore_errors=True)
    clips = [clip for part in parts for clip in part]
    clips.sort(key=lambda clip: (clip.split, clip.instrument, clip.midi))
    write_text(output / MANIFEST_FILE, "".join(json.dumps(asdict(clip)) + "\n" for clip in clips))
    return settings


def read_data(folder: str | os.PathLike) -> tuple[Settings, list[Clip]]:
    """Settings and clips of a prepared data folder.

    Raises
    ------
    InputError
        If the folder is not one, or its preparation was not finished.
    """
    folder = Path(folder)
    for name in (SETTINGS_FILE, MANIFEST_FILE):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder}: is not finished training data ({name} is missing); "
                "make it with 'timbrel prepare'"
            )
    try:
        settings = Settings(**read_json(folder / SETTINGS_FILE))
        lines = read_text(folder / MANIFEST_FILE).splitlines()
        clips = [Clip(**json.loads(line)) for line in lines]
    except (ValueError, TypeError) as error:
        raise InputError(f"{folder}: its settings or manifest are damaged ({error})") from None
    return settings, clips


def manifest_sha256(folder: str | os.PathLike) -> str:
    """Hash of a data folder's manifest, and so of all that it lists."""
    return file_sha256(Path(folder) / MANIFEST_FILE)


def origin(settings: Settings, folder: str | os.PathLike) -> dict[str, str]:
    """What a model's card says of the data in a folder."""
    return {
        "soundfont": settings.soundfont or "none",
        "license": settings.license,
        "attribution": settings.attribution,
        "data_manifest_sha256": manifest_sha256(folder),
    }


def _choose_gain(renderer: _Renderer, choices: list[Choice], progress: Progress) -> float:
    """The gain that puts the loudest sample of the validation split at `PEAK_DB`.

    It is one for all instruments, so that each keeps its own loudness. Etudes are so much alike in
    what they ask of an instrument that one of each says enough.
    """
    valid = [choice for choice in choices if choice.split == "valid"]
    first: dict[str, Choice] = {}
    for choice in valid:
        if choice.kind != SCORE:
            first.setdefault(choice.preset.name, choice)
    tasks = [(part,) for part in _batches(list(first.values()) or valid)]
    peaks = run_parallel(renderer.peaks, tasks, progress, "choosing the gain")
    loudest = max(peak for part in peaks for peak in part)
    if loudest == 0:
        raise InputError("the scores for validation make no sound")
    return round(REFERENCE_GAIN * 10 ** (PEAK_DB / 20) / loudest, 4)


def _batches(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[i : i + _BATCH] for i in range(0, len(items), _BATCH)]


class _Renderer:
    """The work of one process on some clips; small, because it is sent to every worker."""

    def __init__(self, output: Path, soundfont: Path, sample_rate: int) -> None:
        self._output = output.resolve()
        self._soundfont = soundfont.resolve()
        self._sample_rate = sample_rate

    def peaks(self, choices: Sequence[Choice]) -> list[float]:
        """The loudest samples at FluidSynth's default gain."""
        # No settings are written yet that would keep another SoundFont or rate out of the folder.
        words = (self._soundfont.name, self._soundfont.stat().st_size, self._sample_rate, choices)
        cache = self._output / "peaks" / hashlib.sha256(repr(words).encode()).hexdigest()
        if cache.exists():
            return read_json(cache)
        audio = self._render(choices, REFERENCE_GAIN)
        found = [float(np.abs(one).max(initial=0.0)) for one in audio]
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_text(cache, json.dumps(found))
        return found

    def clips(self, choices: Sequence[Choice], settings: Settings) -> list[Clip]:
        """Render clips, unless they are there, and describe them."""
        done = [self._existing(choice) for choice in choices]
        if None not in done:
            return [clip for clip in done if clip is not None]
        # All of them, though some may be there: FluidSynth reuses its voices, and so what was
        # played before is heard, if barely, in the first samples of a note.
        audio = self._render(choices, settings.gain)
        return [
            clip or self._write(choice, one, settings.bit_depth)
            for clip, choice, one in zip(done, choices, audio, strict=True)
        ]

    def _audio_path(self, choice: Choice) -> Path:
        """Relative to the data."""
        return Path("audio", choice.preset.name, Path(choice.midi).with_suffix(AUDIO_SUFFIX))

    def _existing(self, choice: Choice) -> Clip | None:
        notes = self._output / self._audio_path(choice).with_suffix(".json")
        if not notes.exists():
            return None
        clip = Clip(**read_json(notes))
        if not (self._output / clip.audio).exists():
            return None
        # The list of splits may be another one than when the clip was rendered.
        return replace(clip, split=choice.split)

    def _write(self, choice: Choice, audio: np.ndarray, bit_depth: str) -> Clip:
        preset, relative = choice.preset, self._audio_path(choice)
        path = self._output / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(path, np.clip(audio, -1, 1), self._sample_rate, bit_depth=bit_depth)
        clip = Clip(
            midi=choice.midi,
            instrument=preset.name,
            program=preset.program,
            split=choice.split,
            audio=relative.as_posix(),
            n_samples=len(audio),
            peak=round(float(np.abs(audio).max(initial=0.0)), 6),
            clipped=int((np.abs(audio) > 1).sum()),
            midi_sha256=file_sha256(self._output / "midi" / choice.midi),
            audio_sha256=file_sha256(path),
            bank=preset.bank,
            kind=choice.kind,
        )
        write_text(path.with_suffix(".json"), json.dumps(asdict(clip)))
        return clip

    def _render(self, choices: Sequence[Choice], gain: float) -> Iterator[np.ndarray]:
        parts: list[tuple[mido.MidiFile, int]] = []
        for i, choice in enumerate(choices):
            parts.append(self._part(choice))
            n_samples = sum(length for _, length in parts)
            if n_samples > _GO_S * self._sample_rate or i == len(choices) - 1:
                yield from render_parts(
                    parts, self._soundfont, sample_rate=self._sample_rate, gain=gain
                )
                parts = []

    def _part(self, choice: Choice) -> tuple[mido.MidiFile, int]:
        """What FluidSynth plays, and for how many samples."""
        path, preset = self._output / "midi" / choice.midi, choice.preset
        midi, length_s = as_played(path, choice.kind, preset.program, preset.bank)
        return midi, round(length_s * self._sample_rate)


def as_played(path: Path, kind: str, program: int, bank: int) -> tuple[mido.MidiFile, float]:
    """A score of prepared data as FluidSynth is to play it with a preset, and its length in s.

    Parameters
    ----------
    path
        Its MIDI file.
    kind
        Of the clip.
    program, bank
        Of the preset.
    """
    if kind == SCORE and not bank:
        score = read_midi(path)
        return to_midi(score, program), score.duration_s + TAIL_S
    # What was written for the instrument holds what a score of notes does not.
    midi = as_preset(mido.MidiFile(path), program, bank)
    return midi, length_in_seconds(midi)


def check_bit_depth(bit_depth: str | None, called: str = "bit_depth") -> None:
    """Refuse a bit depth that the data's files do not have, by the name that it was given as."""
    if bit_depth not in (None, *_BIT_DEPTHS):
        raise InputError(f"{called} must be {' or '.join(_BIT_DEPTHS)}, not '{bit_depth}'")


def check_same_settings(path: Path, wanted: dict) -> None:
    """Refuse to go on with a data folder that was begun with other settings."""
    if not path.exists():
        return
    found = read_json(path)
    for key, value in wanted.items():
        if found.get(key) != value:
            raise InputError(
                f"{path.parent}: holds data with another {key} ({found.get(key)}, "
                f"not {value}); give another output folder"
            )


def read_clip(folder: Path, clip: Clip) -> np.ndarray:
    """The audio of a clip, float32, shape (n_samples,)."""
    return read_audio(folder / clip.audio)[0]

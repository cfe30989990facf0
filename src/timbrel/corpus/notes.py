"""SoundFonts → a data set of notes in NSynth's layout.

FluidSynth plays each program that belongs to one of the families at each pitch and velocity: three
seconds held, and one second for the release. All notes of an instrument are scaled by one factor
that brings the loudest of them to −3 dB. An interrupted preparation can be resumed any number of
times:

    DATA/data.json                     settings: SoundFonts and their hashes, pitches, velocities
    DATA/parts/INSTRUMENT.json         the notes of a finished instrument
    DATA/nsynth-SPLIT/audio/NOTE.wav
    DATA/nsynth-SPLIT/examples.json    written at the end
"""

from __future__ import annotations

import json
import os
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import mido
import numpy as np

from timbrel.constants import SAMPLE_RATE
from timbrel.corpus.note_programs import FAMILY_AND_SOURCE
from timbrel.corpus.note_qualities import MEASURED, RELEASE_S, measured_qualities
from timbrel.corpus.parallel import run_parallel, worker_pool
from timbrel.corpus.preparation import PEAK_DB, SETTINGS_FILE, check_same_settings
from timbrel.corpus.selection import VALID_SHARE, file_sha256, shuffle_key
from timbrel.corpus.soundfont import check_soundfont, find_fluidsynth, render_midi
from timbrel.errors import InputError
from timbrel.files import read_json, write_text
from timbrel.notes.dataset import data_statement
from timbrel.notes.note import NOTE_SAMPLES, NOTE_SECONDS, SPLITS, Note, NoteName, make_note
from timbrel.notes.storage import AUDIO_FOLDER, EXAMPLES_FILE
from timbrel.progress import Progress, silent
from timbrel.score.keys import ALL_SOUND_OFF
from timbrel.sound import write_audio

# SoundFonts that share samples, by the beginnings of their file names: a held-out font must not
# share samples with a training font.
SOUNDFONT_FAMILIES = {
    "Fluid": ("musescore_general", "fluidr3", "fluid"),
    "TimGM": ("timgm", "sf_gmbank", "a320u"),
    "OPL-3": ("opl-3", "opl3"),
}

_SLOT_S = 4.1  # a note's place in a rendering; what still sounds is cut before the next
_CUT_S = 4.05
_NOTES_PER_RUN = 44
_TICKS_PER_SECOND = 4_000
_SILENCE = 1e-3  # of the scaled peak: −60 dB
_PRESET_HEADER = struct.Struct("<20sHH14x")


@dataclass(frozen=True)
class Instrument:
    """One program of one SoundFont, as an instrument of the data set."""

    number: int
    name: NoteName  # of which pitch and velocity are not used
    split: str
    soundfont: Path
    program: int


def prepare_notes(
    output: str | os.PathLike,
    *,
    soundfonts: Sequence[str | os.PathLike],
    held_out: Sequence[str | os.PathLike] = (),
    pitches: Sequence[int] = range(21, 109),
    velocities: Sequence[int] = (25, 50, 75, 100, 127),
    license: str | None = None,
    attribution: str | None = None,
    jobs: int = -1,
    progress: Progress = silent,
) -> dict[str, list[Note]]:
    """Render a data set.

    Parameters
    ----------
    output
        The data folder; where it was begun with the same settings, it is gone on with.
    soundfonts
        For training and validation: one program in ten, of all of these fonts, validates.
    held_out
        SoundFonts for the test split, of other families.
    pitches, velocities
        Of the notes, as MIDI numbers.
    license, attribution
        For the cards of models that are trained on the data. Where they are None, a folder that is
        gone on with keeps what it says.
    jobs
        Processes; −1 is one for each core.
    progress
        Wraps the finished instruments.

    Returns
    -------
    dict
        The notes of each split.

    Raises
    ------
    InputError
        If a held-out font shares samples with another, a font has no program that a family
        describes, or the folder holds data of other settings.
    MissingToolError
        If FluidSynth or a SoundFont is missing.
    """
    find_fluidsynth()
    output = Path(output)
    fonts = [check_soundfont(path) for path in soundfonts]
    tests = [check_soundfont(path) for path in held_out]
    _check_families(fonts, tests)
    if not fonts or not pitches or not velocities:
        raise InputError("a SoundFont, a pitch and a velocity at least are needed")
    wanted = {
        "sample_rate": SAMPLE_RATE,
        "soundfonts": {font.name: file_sha256(font) for font in fonts},
        "held_out": {font.name: file_sha256(font) for font in tests},
        "pitches": list(pitches),
        "velocities": list(velocities),
        "qualities_measured": list(MEASURED),
    }
    check_same_settings(output / SETTINGS_FILE, wanted)
    for split in SPLITS:
        (output / f"nsynth-{split}" / AUDIO_FOLDER).mkdir(parents=True, exist_ok=True)
    (output / "parts").mkdir(exist_ok=True)
    said = data_statement(output)
    stated = {"license": license or said[0], "attribution": attribution or said[1]}
    write_text(output / SETTINGS_FILE, json.dumps(wanted | stated, indent=2) + "\n")
    tasks = [
        (output.resolve(), instrument, tuple(pitches), tuple(velocities))
        for instrument in list_instruments(fonts, tests)
    ]
    with worker_pool(None, jobs):
        parts = run_parallel(_render_instrument, tasks, progress, "rendering notes")
    return _write_lists(output, sorted(parts, key=lambda part: part[0].number))


def list_instruments(fonts: Sequence[Path], held_out: Sequence[Path]) -> list[Instrument]:
    """The instruments that some SoundFonts have, numbered and divided into splits.

    Programs, not instruments, are divided into training and validation: fonts of one family share
    the samples of a program.
    """
    counts: Counter[tuple[str, str]] = Counter()
    found: list[Instrument] = []
    for font in [*fonts, *held_out]:
        programs = sorted(font_programs(font) & set(FAMILY_AND_SOURCE))
        if not programs:
            raise InputError(f"{font}: has no General MIDI instrument of NSynth's families")
        for program in programs:
            kind = FAMILY_AND_SOURCE[program]
            name = NoteName(*kind, counts[kind], pitch=0, velocity=0)
            counts[kind] += 1
            is_valid = shuffle_key("notes", str(program))[0] % VALID_SHARE == 0
            split = "test" if font in held_out else ("valid" if is_valid else "train")
            found.append(Instrument(len(found), name, split, font.resolve(), program))
    return found


def font_programs(path: Path) -> set[int]:
    """Numbers of the programs that a SoundFont has in its bank 0.

    Raises
    ------
    InputError
        If its list of presets cannot be found.
    """
    with path.open("rb") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            if header[0] == 0:  # padding after a chunk of odd size, which some writers leave out
                file.seek(-7, os.SEEK_CUR)
                continue
            name, size = header[:4], int.from_bytes(header[4:], "little")
            if name == b"LIST" and file.read(4) == b"pdta":
                presets = file.read(8)
                data = file.read(int.from_bytes(presets[4:], "little"))
                if presets[:4] == b"phdr" and len(data) % _PRESET_HEADER.size == 0:
                    rows = list(_PRESET_HEADER.iter_unpack(data))[:-1]  # the last ends the list
                    return {program for _, program, bank in rows if bank == 0}
                break
            file.seek(size - (4 if name == b"LIST" else 0), os.SEEK_CUR)
    raise InputError(f"{path}: its list of presets is damaged")


def render_notes(
    soundfont: Path, program: int, sounds: Sequence[tuple[int, int]]
) -> list[np.ndarray]:
    """Play notes (pitch, velocity), one after the other; each float32, shape (64,000,)."""
    notes = []
    for start in range(0, len(sounds), _NOTES_PER_RUN):
        some = sounds[start : start + _NOTES_PER_RUN]
        slot = round(_SLOT_S * SAMPLE_RATE)
        audio = render_midi(
            _slots(program, some), soundfont, length=len(some) * slot, sample_rate=SAMPLE_RATE
        )
        notes += [audio[i * slot : i * slot + NOTE_SAMPLES] for i in range(len(some))]
    return notes


def _slots(program: int, sounds: Sequence[tuple[int, int]]) -> mido.MidiFile:
    events = [(0.0, mido.Message("program_change", program=program))]
    for i, (pitch, velocity) in enumerate(sounds):
        start_s = i * _SLOT_S
        events += [
            (start_s, mido.Message("note_on", note=pitch, velocity=velocity)),
            (start_s + RELEASE_S, mido.Message("note_off", note=pitch)),
            (start_s + _CUT_S, mido.Message("control_change", control=ALL_SOUND_OFF)),
        ]
    # FluidSynth stops with the last event.
    events.append((len(sounds) * _SLOT_S + 0.1, mido.Message("note_on", note=0, velocity=0)))
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=250_000)])
    now = 0
    for time_s, message in events:
        tick = round(time_s * _TICKS_PER_SECOND)
        track.append(message.copy(time=tick - now))
        now = tick
    return mido.MidiFile(type=0, ticks_per_beat=_TICKS_PER_SECOND // 4, tracks=[track])


def _render_instrument(
    output: Path, instrument: Instrument, pitches: tuple[int, ...], velocities: tuple[int, ...]
) -> tuple[Instrument, list[dict]]:
    """Write the notes of an instrument, unless they are there; gives names and qualities."""
    part = output / "parts" / f"{instrument.name.instrument}.json"
    if part.exists():
        return instrument, read_json(part)
    sounds = [(pitch, velocity) for pitch in pitches for velocity in velocities]
    rendered = render_notes(instrument.soundfont, instrument.program, sounds)
    loudest = max(float(np.abs(audio).max()) for audio in rendered)
    factor = 10 ** (PEAK_DB / 20) / loudest if loudest > 0 else 0.0
    folder = output / f"nsynth-{instrument.split}" / AUDIO_FOLDER
    made = []
    for (pitch, velocity), audio in zip(sounds, rendered, strict=True):
        audio = factor * audio
        if np.abs(audio).max() < _SILENCE:
            continue
        name = instrument.name
        name = NoteName(name.family, name.source, name.number, pitch, velocity)
        write_audio(folder / f"{name}.wav", audio, SAMPLE_RATE)
        made.append(asdict(name) | {"qualities": measured_qualities(audio)})
    write_text(part, json.dumps(made))
    return instrument, made


def _write_lists(output: Path, parts: list[tuple[Instrument, list[dict]]]) -> dict[str, list[Note]]:
    notes: dict[str, list[Note]] = {split: [] for split in SPLITS}
    number = 0
    for instrument, made in parts:
        for entry in made:
            values = dict(entry)
            qualities = tuple(values.pop("qualities"))
            notes[instrument.split].append(
                make_note(
                    NoteName(**values),
                    number=number,
                    instrument=instrument.number,
                    qualities=qualities,
                )
            )
            number += 1
    for split, listed in notes.items():
        content = {note.note_str: asdict(note) for note in listed}
        path = output / f"nsynth-{split}" / EXAMPLES_FILE
        write_text(path, json.dumps(content, indent=1) + "\n")
    return notes


def _check_families(fonts: list[Path], held_out: list[Path]) -> None:
    for test in held_out:
        for font in fonts:
            if _family(test) == _family(font):
                raise InputError(
                    f"{test}: shares its samples with {font.name}; "
                    "hold out a SoundFont of another family"
                )


def _family(font: Path) -> str:
    stem = font.resolve().stem.lower()
    for family, beginnings in SOUNDFONT_FAMILIES.items():
        if stem.startswith(beginnings):
            return family
    return stem


assert NOTE_SECONDS < _CUT_S < _SLOT_S

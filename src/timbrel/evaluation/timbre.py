"""How well an encoder knows instruments by their sound, and whether its doubt is the true one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soxr

from timbrel.bundles.bundle import Instrument
from timbrel.corpus.note_programs import FAMILY_AND_SOURCE
from timbrel.corpus.preparation import Clip, as_played, read_clip, read_data
from timbrel.corpus.presets import read_presets
from timbrel.corpus.soundfont import KIT_BANK, render_parts
from timbrel.errors import InputError
from timbrel.hearing.from_audio import TimbreEncoder
from timbrel.notes.dataset import read_notes
from timbrel.progress import Progress, silent

_FIRST_S = 2.0  # where the first excerpt of a clip begins
_SILENT_PEAK = 1e-3
_PARTS_AT_ONCE = 16  # clips that FluidSynth plays in one go


@dataclass(frozen=True)
class Sound:
    """A sound of which the instrument, or its family, is known."""

    name: str
    family: str
    audio: Callable[[], np.ndarray]  # (samples,) float32
    sample_rate: int
    instrument: Instrument | None = None  # of the encoder's


@dataclass(frozen=True)
class Judged:
    """What an encoder says of a part of a sound."""

    name: str
    family: str
    instrument: int  # its place among the encoder's; −1 where only the family is known
    seconds: float  # the length of the part
    probabilities: np.ndarray  # (instruments + 1,)
    distance: float  # squared, of the true point, by the covariance; no number if unknown
    deviation: float  # the region's geometric mean


def data_sounds(
    folder: str | os.PathLike,
    instruments: Sequence[Instrument],
    *,
    split: str,
    seconds: float,
    excerpts: int,
) -> list[Sound]:
    """Excerpts of the clips of prepared data.

    Parameters
    ----------
    folder
        What `timbrel prepare` made.
    instruments
        The encoder's; clips of others are left out.
    split
        "train" or "valid".
    seconds
        The length of an excerpt.
    excerpts
        The most of a clip.

    Raises
    ------
    InputError
        If there are none.
    """
    folder = Path(folder)
    settings, clips = read_data(folder)

    def audio_of(clip: Clip, start: int, stop: int) -> Callable[[], np.ndarray]:
        return lambda: read_clip(folder, clip)[start:stop]

    sounds = []
    for clip, known in _known_clips(clips, instruments, split):
        for start, stop in _places(clip.n_samples, settings.sample_rate, seconds, excerpts):
            read = audio_of(clip, start, stop)
            sounds.append(Sound(clip.midi, known.family, read, settings.sample_rate, known))
    if not sounds:
        raise InputError(f"{folder}: has no clips of the split '{split}' that the encoder knows")
    return sounds


def font_sounds(
    folder: str | os.PathLike,
    soundfont: str | os.PathLike,
    instruments: Sequence[Instrument],
    *,
    split: str,
    seconds: float,
    excerpts: int,
    progress: Progress = silent,
) -> list[Sound]:
    """The same excerpts as `data_sounds` gives, but played by another SoundFont.

    Presets that the SoundFont lacks are left out.
    """
    folder = Path(folder)
    settings, clips = read_data(folder)
    rate = settings.sample_rate
    there = {(preset.program, preset.bank) for preset in read_presets(soundfont)}
    wanted = [
        (clip, known)
        for clip, known in _known_clips(clips, instruments, split)
        if (clip.program, KIT_BANK if clip.is_kit else 0) in there
    ]
    length = round((_FIRST_S + excerpts * (seconds + 1)) * rate)
    batches = [wanted[i : i + _PARTS_AT_ONCE] for i in range(0, len(wanted), _PARTS_AT_ONCE)]
    sounds = []
    for batch in progress(batches, len(batches), "rendering"):
        parts = []
        for clip, _ in batch:
            path, bank = folder / "midi" / clip.midi, KIT_BANK if clip.is_kit else 0
            midi, length_s = as_played(path, clip.kind, clip.program, bank)
            parts.append((midi, min(length, round(length_s * rate))))
        rendered = render_parts(parts, soundfont, sample_rate=rate, gain=settings.gain)
        for (clip, known), audio in zip(batch, rendered, strict=True):
            for start, stop in _places(len(audio), rate, seconds, excerpts):
                part = audio[start:stop].copy()
                sounds.append(
                    Sound(clip.midi, known.family, partial(np.asarray, part), rate, known)
                )
    return sounds


def note_sounds(folder: str | os.PathLike, split: str) -> list[Sound]:
    """The notes of a folder in NSynth's layout, whose families are known; see `read_notes`."""
    notes = read_notes(folder, split)
    rate = notes.notes[0].sample_rate

    def audio_of(index: int) -> Callable[[], np.ndarray]:
        return lambda: notes.audio(index)

    return [
        Sound(note.note_str, note.instrument_family_str, audio_of(i), rate)
        for i, note in enumerate(notes.notes)
    ]


def note_families(instruments: Sequence[Instrument]) -> list[str]:
    """The family of NSynth that each instrument belongs to; none where it is in no family."""
    return ["" if i.is_kit else FAMILY_AND_SOURCE.get(i.program, ("", ""))[0] for i in instruments]


def judged(
    listener: TimbreEncoder,
    sounds: Sequence[Sound],
    lengths_s: Sequence[float],
    *,
    progress: Progress = silent,
) -> list[Judged]:
    """Let an encoder hear the beginnings of sounds, of several lengths, but for silent ones."""
    instruments = listener.bundle.instruments
    rate = listener.bundle.sample_rate
    rows = []
    for sound in progress(sounds, len(sounds), "listening"):
        audio = soxr.resample(sound.audio(), sound.sample_rate, rate)
        loud = np.flatnonzero(np.abs(audio) > _SILENT_PEAK)
        if not len(loud):
            continue
        for seconds in lengths_s:
            n_samples = round(seconds * rate)
            # Where the beginning is silent, the part is that which sounds first.
            start = max(min(int(loud[0]), len(audio) - n_samples), 0)
            heard = listener.hear_audio(audio[start : start + n_samples])
            recognition = listener.recognised(heard)[0]
            place, distance, region = -1, np.nan, listener.region(heard)
            if sound.instrument is not None:
                place = instruments.index(sound.instrument)
                distance = region.distance(np.array(sound.instrument.embedding))
            by_place = {id(one.instrument): one.probability for one in recognition.instruments}
            probabilities = [by_place[id(i)] for i in instruments] + [recognition.nothing]
            rows.append(
                Judged(
                    sound.name,
                    sound.family,
                    place,
                    seconds,
                    np.array(probabilities),
                    distance,
                    region.deviation,
                )
            )
    if not rows:
        raise InputError("all of it is silent; is it the right folder or SoundFont?")
    return rows


def _known_clips(
    clips: Sequence[Clip], instruments: Sequence[Instrument], split: str
) -> Iterator[tuple[Clip, Instrument]]:
    """The clips of a split whose instruments an encoder knows, by name and program."""
    by_name = {(i.name.lower(), i.program, i.is_kit): i for i in instruments}
    for clip in clips:
        known = by_name.get((clip.instrument.lower(), clip.program, clip.is_kit))
        if known is not None and clip.split == split:
            yield clip, known


def _places(n_samples: int, rate: int, seconds: float, excerpts: int) -> Iterator[tuple[int, int]]:
    """Where the excerpts of a clip lie, in samples; a second lies between them."""
    for i in range(excerpts):
        start = round((_FIRST_S + i * (seconds + 1)) * rate)
        stop = start + round(seconds * rate)
        if stop <= n_samples or i == 0:
            yield min(start, max(n_samples - round(seconds * rate), 0)), min(stop, n_samples)

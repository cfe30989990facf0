"""The originals that evaluations compare with: excerpts of scores, rendered by FluidSynth."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from timbrel.bundles.bundle import Instrument
from timbrel.corpus import soundfont as soundfont_module
from timbrel.corpus.selection import file_sha256, find_midi_files, listed_splits
from timbrel.corpus.soundfont import TAIL_S, render_score
from timbrel.errors import InputError, Skip, refuse
from timbrel.evaluation.cache import Cache, key_of, source_key
from timbrel.files import read_table
from timbrel.geometry import MelConfig
from timbrel.score import channels, container, exclusive, keys, midi, smf, timeline
from timbrel.score import score as score_module
from timbrel.score.midi import read_midi
from timbrel.score.score import Score
from timbrel.sound import read_audio, write_audio

# One 15-second excerpt from each of the paper's 14 test tracks.
EXCERPTS_FILE = Path(__file__).parent / "excerpts.csv"
EXCERPT_S = 15.0
# Played, unheard, before an excerpt, so that notes that are already sounding are right.
PRE_ROLL_S = 8.192
_GRID_PER_S = 125  # excerpts from the middle of a file begin on a grid, whatever the models

# The modules that determine which notes are read from a file.
_READING = (container, smf, timeline, exclusive, channels, keys, midi, score_module)


@dataclass(frozen=True)
class Excerpt:
    """A span of a MIDI file."""

    file: str  # relative to the folder of MIDI files
    start_s: float
    duration_s: float


def read_excerpts(path: str | os.PathLike = EXCERPTS_FILE) -> list[Excerpt]:
    """Read a CSV with the columns file, start_s and duration_s.

    Raises
    ------
    InputError
        If the file is missing or is not such a list, or a span is not a possible one.
    """
    rows = read_table(path, ("file", "start_s", "duration_s"))
    try:
        found = [
            Excerpt(row["file"], float(row["start_s"]), float(row["duration_s"])) for row in rows
        ]
    except ValueError as error:
        raise InputError(f"{path}: is not a list of excerpts ({error})") from None
    if not found:
        raise InputError(f"{path}: lists no excerpts")
    for excerpt in found:
        if not (0 <= excerpt.start_s < np.inf and 1 / _GRID_PER_S <= excerpt.duration_s < np.inf):
            raise InputError(
                f"{path}: {excerpt.duration_s:g} s from {excerpt.start_s:g} s on, of "
                f"{excerpt.file}, is not a possible excerpt"
            )
    return found


def choose_excerpts(
    midi_dir: str | os.PathLike,
    *,
    excerpts: str | os.PathLike | None = None,
    splits: str | os.PathLike | None = None,
    split: str = "test",
    whole: bool = False,
    skip: Skip = refuse,
) -> list[Excerpt]:
    """The excerpts of a folder of MIDI files that an evaluation is made of.

    Parameters
    ----------
    midi_dir
        The folder.
    excerpts
        A CSV that lists them; see `read_excerpts`.
    splits
        A CSV with the columns file and split, instead: 15 seconds from the middle of each file of
        `split`. Where neither is given, the 14 excerpts that come with Timbrel if the folder has
        their files, else 15 seconds of each file that is there.
    whole
        The whole files instead, with what rings on after their ends.
    skip
        Told of each file that is there and cannot be played; the others are given.

    Raises
    ------
    InputError
        If there is nothing to play, or a list names a file that is not there.
    """
    midi_dir = Path(midi_dir)
    if not midi_dir.is_dir():
        raise InputError(f"{midi_dir}: is not a folder")
    wanted: list[tuple[str, Excerpt | None]]
    if excerpts is not None:
        wanted = [(excerpt.file, excerpt) for excerpt in read_excerpts(excerpts)]
    elif splits is not None:
        files = sorted(name for name, of in listed_splits(splits).items() if of == split)
        if not files:
            raise InputError(f"{splits}: lists no files for '{split}'")
        wanted = [(name, None) for name in files]
    else:
        wanted = [(excerpt.file, excerpt) for excerpt in read_excerpts()]
        if not all((midi_dir / name).is_file() for name, _ in wanted):
            wanted = [(name, None) for name in find_midi_files(midi_dir)]
    for name, _ in wanted:
        if not (midi_dir / name).is_file():
            raise InputError(f"{midi_dir}: lacks {name}, of which an excerpt is wanted")
    durations_s = _durations_s(midi_dir, dict.fromkeys(name for name, _ in wanted), skip)
    if not durations_s:
        raise InputError(f"{midi_dir}: holds no file that can be played")
    if whole:
        return [Excerpt(name, 0.0, length_s + TAIL_S) for name, length_s in durations_s.items()]
    readable = [(name, excerpt) for name, excerpt in wanted if name in durations_s]
    return [excerpt or _middle(name, durations_s[name]) for name, excerpt in readable]


def _durations_s(midi_dir: Path, names: Iterable[str], skip: Skip) -> dict[str, float]:
    """How long the files are that can be played."""
    found = {}
    for name in names:
        try:
            duration_s = read_midi(midi_dir / name).duration_s
            if duration_s < 1 / _GRID_PER_S:
                raise InputError(f"{midi_dir / name}: has no notes to play")
            found[name] = duration_s
        except InputError as error:
            skip(error)
    return found


def _middle(name: str, duration_s: float) -> Excerpt:
    start = math.floor(max(duration_s - EXCERPT_S, 0) / 2 * _GRID_PER_S)
    return Excerpt(name, start / _GRID_PER_S, min(EXCERPT_S, duration_s))


@dataclass(frozen=True)
class Clip:
    """What is to be played: an excerpt of a file, by an instrument, out of a SoundFont."""

    midi: Path
    excerpt: Excerpt
    instrument: Instrument
    soundfont: Path
    mel: MelConfig  # of the models that will play it: it lasts for whole frames
    gain: float

    @property
    def sample_rate(self) -> int:
        return self.mel.sample_rate

    @property
    def key(self) -> str:
        """Under which it is cached."""
        return key_of(
            source_key(sys.modules[__name__], *_READING, soundfont_module),
            _sha256(self.midi),
            self.excerpt.start_s,
            self.excerpt.duration_s,
            self.instrument.program,
            _sha256(self.soundfont),
            self.sample_rate,
            self.mel.hop_length,
            self.gain,
        )


@dataclass(frozen=True)
class Original:
    """A clip as FluidSynth plays it, and the score that was played."""

    clip: Clip
    score: Score  # one track; begins `pre_roll_s` before the excerpt
    pre_roll_s: float
    audio: np.ndarray  # (samples,), the excerpt alone, in whole frames


def render_original(clip: Clip, cache: Cache) -> Original:
    """Play a clip with FluidSynth, or take it from the cache."""
    excerpt = clip.excerpt
    whole = read_midi(clip.midi).merged()
    frame_rate = clip.mel.frame_rate
    pre_roll_s = math.floor(min(PRE_ROLL_S, excerpt.start_s) * frame_rate + 1e-6) / frame_rate
    begin_s = excerpt.start_s - pre_roll_s
    score = whole.excerpt(begin_s, pre_roll_s + excerpt.duration_s)
    path = cache.path("audio", clip.key, ".flac")
    if not path.exists():
        # The excerpt's end must not release its notes: FluidSynth plays on, and is cut.
        audio = render_score(
            whole.excerpt(begin_s, pre_roll_s + excerpt.duration_s + 1),
            clip.instrument.program,
            clip.soundfont,
            sample_rate=clip.sample_rate,
            gain=clip.gain,
        )
        first = round(pre_roll_s * clip.sample_rate)
        # Whole frames, so that a vocoder gives as many samples.
        length = round(excerpt.duration_s * frame_rate) * clip.mel.hop_length
        audio = audio[first : first + length]
        keep_audio(cache, path, np.pad(audio, (0, length - len(audio))), clip.sample_rate)
    # In 16 bits, as the training data: below them, a float rendering goes on fading where the
    # models have learnt the noise of quantisation.
    audio, _ = read_audio(path)
    return Original(clip, score, pre_roll_s, audio)


def keep_audio(cache: Cache, path: Path, audio: np.ndarray, sample_rate: int) -> None:
    """Write a clip into the cache, in 16 bits and cut at full scale, as a listener gets it."""
    with cache.writing(path) as temporary:
        write_audio(temporary, audio.clip(-1, 1), sample_rate)


@lru_cache(maxsize=4096)
def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None

"""The clips that evaluations compare with: excerpts of scores, played by FluidSynth."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timbrel.audio import FRAME_RATE, atomic_path
from timbrel.bundle import Instrument
from timbrel.errors import InputError
from timbrel.score.midi import read_midi
from timbrel.score.score import Score
from timbrel.training.soundfont import render_score

# One 15-second excerpt of each of the paper's 14 test tracks.
EXCERPTS_FILE = Path(__file__).parent / "excerpts.csv"
# Before an excerpt, so much is played unheard, so that what sounds already is right.
PRE_ROLL_S = 8.192


@dataclass(frozen=True)
class Excerpt:
    """A span of a MIDI file."""

    file: str  # relative to the folder of MIDI files
    start_s: float
    duration_s: float


def read_excerpts(path: str | os.PathLike = EXCERPTS_FILE) -> list[Excerpt]:
    """Read a CSV with the columns file, start_s and duration_s."""
    try:
        with open(path, newline="") as file:
            return [
                Excerpt(row["file"], float(row["start_s"]), float(row["duration_s"]))
                for row in csv.DictReader(file)
            ]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: is not a list of excerpts ({error})") from None


@dataclass(frozen=True)
class Original:
    """An excerpt as one instrument plays it, and the score that was played."""

    excerpt: Excerpt
    instrument: Instrument
    score: Score  # one track; begins `pre_roll_s` before the excerpt
    pre_roll_s: float
    audio: np.ndarray  # (samples,), the excerpt alone


def render_original(
    midi_dir: Path,
    excerpt: Excerpt,
    instrument: Instrument,
    soundfont: Path,
    *,
    sample_rate: int,
    gain: float,
    cache: Path,
) -> Original:
    """Play an excerpt with FluidSynth, or take it from the cache."""
    whole = read_midi(midi_dir / excerpt.file).merged()
    pre_roll_s = min(PRE_ROLL_S, np.floor(excerpt.start_s * FRAME_RATE) / FRAME_RATE)
    begin_s = excerpt.start_s - pre_roll_s
    score = whole.excerpt(begin_s, pre_roll_s + excerpt.duration_s)
    key = f"{Path(excerpt.file).stem}-{excerpt.start_s:g}-{excerpt.duration_s:g}"
    path = cache / f"{key}-{instrument.program}-{soundfont.stem}-{sample_rate}-{gain:g}.npy"
    if path.exists():
        audio = np.load(path)
    else:
        # The excerpt's end must not release its notes: FluidSynth plays on, and is cut.
        audio = render_score(
            whole.excerpt(begin_s, pre_roll_s + excerpt.duration_s + 1),
            instrument.program,
            soundfont,
            sample_rate=sample_rate,
            gain=gain,
        )
        first = round(pre_roll_s * sample_rate)
        length = round(excerpt.duration_s * sample_rate)
        audio = audio[first : first + length]
        audio = np.pad(audio, (0, length - len(audio)))
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, audio)
    return Original(excerpt, instrument, score, pre_roll_s, audio)

"""The clips that evaluations compare with: excerpts of scores, played by FluidSynth."""

from __future__ import annotations

import csv
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timbrel.audio import FRAME_RATE, read_audio, write_audio
from timbrel.bundle import Instrument
from timbrel.errors import InputError
from timbrel.score.midi import read_midi
from timbrel.score.score import Score
from timbrel.training.preparation import file_sha256
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
    """Read a CSV with the columns file, start_s and duration_s.

    Raises
    ------
    InputError
        If the file is missing or is not such a list, or a span is not a possible one.
    """
    try:
        with open(path, newline="") as file:
            found = [
                Excerpt(row["file"], float(row["start_s"]), float(row["duration_s"]))
                for row in csv.DictReader(file)
            ]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: is not a list of excerpts ({error})") from None
    if not found:
        raise InputError(f"{path}: lists no excerpts")
    for excerpt in found:
        if not (0 <= excerpt.start_s < np.inf and 1 / FRAME_RATE <= excerpt.duration_s < np.inf):
            raise InputError(
                f"{path}: {excerpt.duration_s:g} s from {excerpt.start_s:g} s on, of "
                f"{excerpt.file}, is not a possible excerpt"
            )
    return found


@dataclass(frozen=True)
class Original:
    """An excerpt as one instrument plays it, and the score that was played."""

    excerpt: Excerpt
    instrument: Instrument
    score: Score  # one track; begins `pre_roll_s` before the excerpt
    pre_roll_s: float
    audio: np.ndarray  # (samples,), the excerpt alone, in whole frames


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
    midi = midi_dir / excerpt.file
    whole = read_midi(midi).merged()
    pre_roll_s = min(PRE_ROLL_S, math.floor(excerpt.start_s * FRAME_RATE) / FRAME_RATE)
    begin_s = excerpt.start_s - pre_roll_s
    score = whole.excerpt(begin_s, pre_roll_s + excerpt.duration_s)
    # Files of one name may lie in several folders, or change.
    which = f"{Path(excerpt.file).stem}-{file_sha256(midi)[:12]}"
    span = f"{excerpt.start_s:g}-{excerpt.duration_s:g}"
    how = f"{instrument.program}-{soundfont.stem}-{soundfont.stat().st_size}-{sample_rate}-{gain:g}"
    path = cache / f"{which}-{span}-{how}.wav"
    if not path.exists():
        # The excerpt's end must not release its notes: FluidSynth plays on, and is cut.
        audio = render_score(
            whole.excerpt(begin_s, pre_roll_s + excerpt.duration_s + 1),
            instrument.program,
            soundfont,
            sample_rate=sample_rate,
            gain=gain,
        )
        first = round(pre_roll_s * sample_rate)
        # Whole frames, so that a vocoder gives as many samples.
        length = round(excerpt.duration_s * FRAME_RATE) * sample_rate // FRAME_RATE
        audio = audio[first : first + length]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(path, np.pad(audio, (0, length - len(audio))).clip(-1, 1), sample_rate)
    # In 16 bits, as the training data: below them, a float rendering goes on fading where the
    # models have learnt the noise of quantisation.
    audio, _ = read_audio(path)
    return Original(excerpt, instrument, score, pre_roll_s, audio)

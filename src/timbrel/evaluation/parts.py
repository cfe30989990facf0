"""How well the notes of two instruments that play together are told apart.

Two parts are played by FluidSynth in two instruments, equally loud, and mixed. What the transcriber
hears in the mix is grouped into two parts; of the notes that it hears right, the share is measured
that are in the part of their instrument.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from timbrel.constants import SAMPLE_RATE
from timbrel.corpus.soundfont import check_soundfont, find_fluidsynth, render_parts, to_midi
from timbrel.errors import InputError
from timbrel.evaluation.formatting import number, table, with_interval
from timbrel.evaluation.originals import Excerpt
from timbrel.evaluation.results import Estimate
from timbrel.measures.notes_heard import ONSET_TOLERANCE_S, note_scores
from timbrel.measures.statistics import drawn_means, draws, interval
from timbrel.progress import Progress, silent
from timbrel.recorded_parts import note_places
from timbrel.score.midi import read_midi
from timbrel.score.score import Score, note_table
from timbrel.transcription.decoding import HeardNote
from timbrel.transcription.heard import note_rows
from timbrel.transcription.note_sounds import note_features
from timbrel.transcription.parts import grouped
from timbrel.transcription.transcriber import Transcriber

# What is mixed: the two parts of a piece (as the hands of a pianist), or the first parts of two
# pieces, which lie in one register.
ONE_PIECE, TWO_PIECES = "two parts of one piece", "first parts of two pieces"
_FEWEST_NOTES = 12  # of a part
_LEVEL = 0.05  # root mean square of each instrument
_RATE = 48_000
_TAIL_S = 0.5


@dataclass(frozen=True)
class PartsMeasures:
    """What was found of a mix; shares from 0 to 1, balanced over the two instruments."""

    kind: str
    tracks: tuple[str, ...]
    instruments: tuple[str, str]
    f1: float  # of onset and pitch of all notes in the mix
    f1_alone: float  # the same of each instrument by itself, mean of the two
    heard: float  # of the notes that were played, those that are heard at all
    right: float  # of these, those in the right part
    by_register: float  # those in the right part if the higher half of the notes were one part
    number: int  # of parts that would be guessed


@dataclass(frozen=True)
class _Mix:
    kind: str
    tracks: tuple[str, ...]
    instruments: tuple[str, str]
    parts: tuple[Score, Score]


def evaluate_parts(
    midi_dir: str | os.PathLike,
    soundfont: str | os.PathLike,
    excerpts: Sequence[Excerpt],
    instruments: dict[str, int],
    *,
    gain: float,
    seed: int = 0,
    progress: Progress = silent,
) -> list[PartsMeasures]:
    """Mix, hear and group; one mix of either kind for each excerpt that has two parts.

    Parameters
    ----------
    midi_dir, soundfont
        The excerpts' files, and what plays them.
    excerpts
        See `choose_excerpts`. Those without two parts of twelve notes or more are left out.
    instruments
        Names and programs, of which a pair is drawn by chance for each mix.
    gain
        FluidSynth's.
    seed
        Of the pairs.
    progress
        Wraps the mixes.

    Raises
    ------
    InputError
        If no excerpt has two parts, or there are not two instruments.
    MissingToolError
        If FluidSynth or the SoundFont is missing.
    """
    find_fluidsynth()
    font = check_soundfont(soundfont)
    if len(instruments) < 2:
        raise InputError("two instruments are mixed; name two or more")
    mixes = _mixes(Path(midi_dir), excerpts, list(instruments), seed)
    files = [
        (to_midi(part, instruments[name]), round((_length_s(mix) + _TAIL_S) * _RATE))
        for mix in mixes
        for part, name in zip(mix.parts, mix.instruments, strict=True)
    ]
    sounds = iter(render_parts(files, font, sample_rate=_RATE, gain=gain))
    pairs = list(zip(sounds, sounds, strict=True))
    transcriber = Transcriber.load()
    return [
        _measured(mix, pair, transcriber)
        for mix, pair in progress(zip(mixes, pairs, strict=True), len(mixes), "grouping")
    ]


def _mixes(folder: Path, excerpts: Sequence[Excerpt], names: list[str], seed: int) -> list[_Mix]:
    random = np.random.default_rng(seed)
    pieces = [(e.file, parts) for e in excerpts if (parts := _two_parts(folder, e)) is not None]
    if not pieces:
        raise InputError(
            f"{folder}: has no excerpt with two parts of {_FEWEST_NOTES} notes or more"
        )

    def pair() -> tuple[str, str]:
        first, second = random.choice(len(names), 2, replace=False)
        return names[first], names[second]

    mixes = [_Mix(ONE_PIECE, (file,), pair(), parts) for file, parts in pieces]
    for (file, parts), (other, others) in zip(pieces, pieces[1:] + pieces[:1], strict=True):
        if other != file:
            mixes.append(_Mix(TWO_PIECES, (file, other), pair(), (parts[0], others[0])))
    return mixes


def _two_parts(folder: Path, excerpt: Excerpt) -> tuple[Score, Score] | None:
    """The first two tracks of an excerpt that have notes enough."""
    whole = read_midi(folder / excerpt.file).excerpt(excerpt.start_s, excerpt.duration_s)
    tracks = [track for track in whole.tracks if len(track.notes) >= _FEWEST_NOTES]
    if len(tracks) < 2:
        return None
    first, second = (replace(whole, tracks=(track,)) for track in tracks[:2])
    return first, second


def _length_s(mix: _Mix) -> float:
    return max(part.duration_s for part in mix.parts)


def _measured(
    mix: _Mix, sounds: tuple[np.ndarray, np.ndarray], transcriber: Transcriber
) -> PartsMeasures:
    level = [one * (_LEVEL / max(np.sqrt(np.mean(one**2)), 1e-9)) for one in sounds]
    audio, *alone = (
        soxr.resample(one / max(np.abs(one).max(), 1.0), _RATE, SAMPLE_RATE).astype(np.float32)
        for one in (np.sum(level, axis=0), *level)
    )
    notes = transcriber.transcribe_audio(audio).notes
    played = [note_table(part.notes) for part in mix.parts]
    f1 = _f1(np.concatenate(played), notes, _length_s(mix))
    alone_f1 = [
        _f1(table, transcriber.transcribe_audio(sound).notes, _length_s(mix))
        for table, sound in zip(played, alone, strict=True)
    ]
    scores = (f1, float(np.mean(alone_f1)))
    true = _matched(played, notes)
    n_played = [part.n_notes for part in mix.parts]
    heard = float(np.mean([(true == place).sum() / n_played[place] for place in range(2)]))
    if min((true == place).sum() for place in range(2)) == 0:
        return PartsMeasures(mix.kind, mix.tracks, mix.instruments, *scores, heard, 0.5, 0.5, 1)
    places = note_places(notes)
    features = note_features([audio], places)
    given = (features, places[:, 1] - places[:, 0], np.array([n.confidence for n in notes]))
    pitches = places[:, 2]
    return PartsMeasures(
        mix.kind,
        mix.tracks,
        mix.instruments,
        *scores,
        heard,
        balanced_share(true, grouped(*given, 2)),
        balanced_share(true, (pitches > np.median(pitches)).astype(int)),
        int(grouped(*given, None).max()) + 1,
    )


def _f1(played: np.ndarray, notes: Sequence[HeardNote], duration_s: float) -> float:
    return note_scores(played[:, :3], note_rows(notes)[:, :3], duration_s).pitch


def _matched(played: Sequence[np.ndarray], notes: Sequence[HeardNote]) -> np.ndarray:
    """The instrument that played each note, 0 or 1; −1 where none did."""
    from mir_eval.transcription import match_notes
    from mir_eval.util import midi_to_hz

    rows = np.concatenate(played)
    whose = np.repeat([0, 1], [len(table) for table in played])
    found = np.full(len(notes), -1)
    if not len(notes):
        return found
    heard = np.array([(n.start_s, n.end_s, n.pitch) for n in notes])
    matches = match_notes(
        _spans(rows),
        midi_to_hz(rows[:, 2]),
        _spans(heard),
        midi_to_hz(heard[:, 2]),
        onset_tolerance=ONSET_TOLERANCE_S,
        offset_ratio=None,
    )
    for row, place in matches:
        found[place] = whose[row]
    return found


def _spans(rows: np.ndarray) -> np.ndarray:
    """Times that mir_eval takes: none before 0, and none without length."""
    starts = np.maximum(rows[:, 0], 0)
    return np.column_stack([starts, np.maximum(rows[:, 1], starts + 1e-3)])


def balanced_share(true: np.ndarray, labels: np.ndarray) -> float:
    """The mean over two instruments of the share of their notes in their part.

    The parts are given to the instruments so that it is largest; notes of neither (−1) do not
    count.
    """
    return max(
        float(np.mean([(labels[true == place] == part).mean() for place, part in enumerate(order)]))
        for order in itertools.permutations(range(2))
    )


def as_dict(results: Sequence[PartsMeasures]) -> list[dict[str, Any]]:
    return [asdict(one) for one in results]


def markdown(results: Sequence[PartsMeasures]) -> str:
    """The table of the results, by kind."""
    rows = []
    for kind in dict.fromkeys(one.kind for one in results):
        some = [one for one in results if one.kind == kind]
        rows.append(
            [
                kind,
                str(len(some)),
                _cell([one.f1 for one in some]),
                _cell([one.f1_alone for one in some]),
                _cell([one.heard for one in some]),
                _cell([one.right for one in some]),
                _cell([one.by_register for one in some]),
                *(str(sum(one.number == n for one in some)) for n in (1, 2, 3)),
            ]
        )
    words = (
        "F1 of onset and pitch of the mix, and of its two instruments each by itself; shares of "
        "notes, balanced over the two instruments. In brackets: 95 % intervals by the bootstrap "
        "over mixes.\n\n"
    )
    header = [
        "what is mixed",
        "mixes",
        "F1",
        "F1 of each alone",
        "heard",
        "in the right part",
        "split by register",
    ]
    return words + table([*header, *(f"{n} guessed" for n in (1, 2, 3))], rows) + "\n"


def _cell(values: list[float]) -> str:
    table_of = np.array(values)
    if len(values) < 2:
        return number(values[0], 3)
    found = interval(drawn_means(table_of, draws(len(values))))
    return with_interval(Estimate(float(table_of.mean()), *found), 3)

"""A transcription whose notes are grouped into parts, each with the program that is nearest to it.

recording + notes ─→ features of notes ─→ parts ─→ the sound of each part ─→ encoder ─→ programs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from timbrel.constants import SAMPLE_RATE
from timbrel.geometry import MelConfig
from timbrel.hearing.from_audio import TimbreEncoder
from timbrel.mel.spectrogram import mel_filters
from timbrel.progress import Progress, silent
from timbrel.score.instruments import PROGRAM_NAMES
from timbrel.transcription.decoding import HeardNote
from timbrel.transcription.heard import Part
from timbrel.transcription.note_masks import TINY, Grid, claim, segments
from timbrel.transcription.note_sounds import note_features
from timbrel.transcription.parts import grouped
from timbrel.transcription.recording import Recording
from timbrel.transcription.transcriber import Transcription

_SEGMENT_FRAMES = 500
_RING_S, _AHEAD_S = 0.1, 0.024  # a part sounds so long after a note and before it


def with_parts(
    transcription: Transcription,
    recording: Recording,
    encoder: TimbreEncoder,
    *,
    number: int | None = None,
    progress: Progress = silent,
) -> Transcription:
    """Group the notes of a recording into parts.

    Parameters
    ----------
    transcription, recording
        What was heard, and what it was heard in.
    encoder
        Says which program each part is.
    number
        Of parts; if None, it is guessed.
    progress
        Wraps the blocks of the recording, which is read once more, and once for each part.

    Returns
    -------
    Transcription
        With parts, in the order of their first notes; without any if there are no notes.
    """
    notes = transcription.notes
    if not notes:
        return transcription
    table = note_places(notes)
    features = note_features(recording.blocks(SAMPLE_RATE, progress=progress), table)
    confidences = np.array([note.confidence for note in notes])
    labels = grouped(features, table[:, 1] - table[:, 0], confidences, number)
    programs, mel = [], encoder.bundle.mel
    for label in range(labels.max() + 1):
        blocks = recording.blocks(mel.sample_rate, progress=progress)
        programs.append(_program(encoder, part_mels(blocks, table, labels == label, mel)))
    names = _names(programs)
    parts = tuple(
        Part(name, program, tuple(notes[i] for i in np.flatnonzero(labels == label)))
        for label, (name, program) in enumerate(zip(names, programs, strict=True))
    )
    return replace(transcription, parts=parts)


def part_mels(
    blocks: Iterable[np.ndarray], notes: np.ndarray, own: np.ndarray, mel: MelConfig
) -> Iterator[np.ndarray]:
    """Natural-log mels of some of the notes of a mix, block by block, (frames, n_mels).

    Where no note's harmonics are, as in noise and attacks, the part has as much of the sound as it
    has of the notes then.

    Parameters
    ----------
    blocks
        The mix at the encoder's rate.
    notes
        All that sound in it; see `note_features`.
    own : ndarray of bool, shape (notes,)
        Those that are wanted.
    mel
        The encoder's geometry.
    """
    grid = Grid(mel.sample_rate, mel.n_fft, mel.hop_length)
    filters = mel_filters(mel)
    starts = np.maximum(((notes[:, 0] - _AHEAD_S) * grid.frame_rate).astype(int), 0)
    stops = ((notes[:, 1] + _RING_S) * grid.frame_rate).astype(int)
    for first, magnitudes in segments(blocks, grid, _SEGMENT_FRAMES):
        claims = np.full((2, *magnitudes.shape), TINY, np.float32)  # of others, and its own
        for place in np.flatnonzero((starts < first + len(magnitudes)) & (stops > first)):
            inside = slice(max(starts[place] - first, 0), stops[place] - first)
            claims[int(own[place]), inside] += claim(notes[place, 2], notes[place, 3], grid)
        of_frame = claims.sum(axis=2)
        total, level = claims.sum(axis=0), of_frame[1] / of_frame.sum(axis=0)
        share = np.where(total > 10 * TINY, claims[1] / total, level[:, None])
        yield np.log(np.maximum((magnitudes * share) @ filters, mel.floor)).astype(np.float32)


def note_places(notes: Iterable[HeardNote]) -> np.ndarray:
    """Start and end in seconds, pitch with cents, velocity, (notes, 4), for `note_features`."""
    rows = [(n.start_s, n.end_s, n.pitch + n.cents / 100, n.velocity) for n in notes]
    return np.array(rows, np.float64)


def _program(encoder: TimbreEncoder, mels: Iterable[np.ndarray]) -> int:
    """The likeliest program that is no drum kit."""
    found = encoder.found([encoder.hear_mels(mels)])
    return next(i.instrument.program for i in found.instruments if not i.instrument.is_kit)


def _names(programs: Iterable[int]) -> list[str]:
    """The programs' names; those of further parts of one program are numbered."""
    seen: Counter[int] = Counter()
    names = []
    for program in programs:
        seen[program] += 1
        number = f" {seen[program]}" if seen[program] > 1 else ""
        names.append(PROGRAM_NAMES[program] + number)
    return names

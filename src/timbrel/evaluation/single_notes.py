"""How well transcribers hear recordings of single notes, of a folder in NSynth's layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import soxr

from timbrel.bundles.bundle import load_bundle
from timbrel.evaluation.formatting import number, table
from timbrel.notes.dataset import NoteSplit
from timbrel.progress import Progress, silent
from timbrel.transcription.sizes import KIND
from timbrel.transcription.transcriber import Transcriber

_OCTAVE = 12


@dataclass(frozen=True)
class SingleNotes:
    """What a transcriber heard of recordings of one note each; shares are of all recordings."""

    transcriber: str
    notes: int
    right: float  # the most confident note has the pitch
    octave: float  # it has the pitch of another octave
    nothing: float  # there is no note
    extra: float  # notes beside the most confident one, of a recording


def evaluate_single_notes(
    notes: NoteSplit, models: Sequence[str], *, progress: Progress = silent
) -> list[SingleNotes]:
    """Let transcribers hear notes.

    Parameters
    ----------
    notes
        See `timbrel.notes.dataset.read_notes`.
    models
        Names or folders of bundles of kind "transcriber".
    progress
        Wraps the notes that each has heard.
    """
    return [_heard(notes, model, progress) for model in models]


def _heard(notes: NoteSplit, model: str, progress: Progress) -> SingleNotes:
    bundle = load_bundle(model, kind=KIND)
    transcriber = Transcriber(bundle)
    right = octave = nothing = extra = 0
    for i, note in enumerate(progress(notes.notes, len(notes), bundle.name)):
        audio = soxr.resample(notes.audio(i), note.sample_rate, transcriber.sample_rate)
        found = transcriber.transcribe_audio(audio).notes
        if not found:
            nothing += 1
            continue
        extra += len(found) - 1
        wrong = max(found, key=lambda one: one.confidence).pitch - note.pitch
        right += wrong == 0
        octave += wrong != 0 and wrong % _OCTAVE == 0
    n = len(notes)
    return SingleNotes(bundle.name, n, right / n, octave / n, nothing / n, extra / n)


def single_notes_markdown(found: Sequence[SingleNotes]) -> str:
    """A table, a row for each transcriber."""
    header = [
        *("transcriber", "notes", "right pitch, %", "other octave, %"),
        *("nothing heard, %", "notes too many, of a recording"),
    ]
    rows = [
        [
            one.transcriber,
            str(one.notes),
            *(number(100 * share, 1) for share in (one.right, one.octave, one.nothing)),
            number(one.extra, 2),
        ]
        for one in found
    ]
    words = (
        "Recordings of one note each. Written by `timbrel evaluate transcription --notes`; the "
        "pitch is that of the note with the highest confidence."
    )
    return f"# Transcription of single notes\n\n{words}\n\n{table(header, rows)}\n"

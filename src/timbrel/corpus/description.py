"""Statistics of prepared data: hours, pitches and velocities by instrument."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import mido
import numpy as np

from timbrel.corpus.preparation import Clip, read_data
from timbrel.corpus.selection import ETUDE
from timbrel.corpus.soundfont import KIT_BANK
from timbrel.corpus.sounds import Sound, read_sounds
from timbrel.errors import MissingToolError
from timbrel.files import atomic_path
from timbrel.progress import Progress, silent
from timbrel.score.channels import DRUM_CHANNEL

_N_VALUES = 128  # of pitches and velocities in MIDI
_ROW_INCHES = 0.14  # of an instrument in the picture


@dataclass
class Content:
    """What one instrument plays in prepared data."""

    instrument: str
    program: int
    bank: int
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # by split
    etude_seconds: float = 0.0
    pitches: np.ndarray = field(default_factory=lambda: np.zeros(_N_VALUES, np.int64))  # notes
    velocities: np.ndarray = field(default_factory=lambda: np.zeros(_N_VALUES, np.int64))
    clipped: int = 0  # samples beyond full scale
    peak: float = 0.0
    sound: Sound | None = None

    @property
    def is_kit(self) -> bool:
        """Whether it is a drum kit."""
        return self.bank == KIT_BANK

    @property
    def n_notes(self) -> int:
        return int(self.pitches.sum())


def describe(folder: str | os.PathLike, *, progress: Progress = silent) -> list[Content]:
    """Count what each instrument of a data folder plays, in the order of its settings.

    Raises
    ------
    InputError
        If the folder is not one, or its preparation was not finished.
    """
    folder = Path(folder)
    settings, clips = read_data(folder)
    sounds = {sound.name: sound for sound in read_sounds(folder)}
    contents = {
        name: Content(name, program, settings.banks.get(name, 0), sound=sounds.get(name))
        for name, program in settings.instruments.items()
    }
    counted: dict[tuple[str, bool], tuple[np.ndarray, np.ndarray]] = {}
    for clip in progress(clips, len(clips), "counting notes"):
        key = (clip.midi, clip.is_kit)
        if key not in counted:
            counted[key] = _count(folder / "midi" / clip.midi, drums=clip.is_kit)
        _add(contents[clip.instrument], clip, settings.sample_rate, *counted[key])
    return list(contents.values())


def _add(
    content: Content, clip: Clip, sample_rate: int, pitches: np.ndarray, velocities: np.ndarray
) -> None:
    seconds = clip.n_samples / sample_rate
    content.seconds[clip.split] += seconds
    content.etude_seconds += seconds * (clip.kind == ETUDE)
    content.pitches += pitches
    content.velocities += velocities
    content.clipped += clip.clipped
    content.peak = max(content.peak, clip.peak)


def _count(path: Path, *, drums: bool) -> tuple[np.ndarray, np.ndarray]:
    """How often each pitch and each velocity is struck in a file: (128,) and (128,)."""
    pitches, velocities = np.zeros((2, _N_VALUES), np.int64)
    for track in mido.MidiFile(path).tracks:
        for message in track:
            is_stroke = message.type == "note_on" and message.velocity > 0
            if is_stroke and (message.channel == DRUM_CHANNEL) == drums:
                pitches[message.note] += 1
                velocities[message.velocity] += 1
    return pitches, velocities


def as_rows(contents: Sequence[Content]) -> list[dict[str, object]]:
    """The numbers of each instrument, for tables and JSON."""
    return [_row(content) for content in contents]


def _row(content: Content) -> dict[str, object]:
    row: dict[str, object] = {
        "instrument": content.instrument,
        "program": content.program,
        "bank": content.bank,
        "train_minutes": round(content.seconds["train"] / 60, 2),
        "valid_minutes": round(content.seconds["valid"] / 60, 2),
        "etude_minutes": round(content.etude_seconds / 60, 2),
        "notes": content.n_notes,
        "pitches": int((content.pitches > 0).sum()),
        "pitch_quantiles": _quantiles(content.pitches),
        "velocity_quantiles": _quantiles(content.velocities),
        "peak": content.peak,
        "clipped": content.clipped,
    }
    if content.sound is not None:
        row |= {
            "sound": content.sound.kind,
            "held_db": content.sound.held_db,
            "silent_keys": list(content.sound.silent_keys),
        }
    return row


def _quantiles(counts: np.ndarray) -> list[int]:
    """Lowest value, the quartiles, and the highest one; none where nothing was counted."""
    if not counts.any():
        return []
    share = np.cumsum(counts) / counts.sum()
    return [int(np.searchsorted(share, q)) for q in (1e-9, 0.25, 0.5, 0.75, 1.0)]


def plot_contents(contents: Sequence[Content], path: str | os.PathLike) -> None:
    """Draw minutes, pitches and velocities, a row an instrument, to a PNG file.

    Raises
    ------
    MissingToolError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingToolError(
            "drawing needs matplotlib; install it with: pip install 'timbrel[train]'"
        ) from None
    names = [content.instrument for content in contents]
    rows = np.arange(len(names))
    height = max(3.0, 1.2 + _ROW_INCHES * len(names))
    figure = Figure(figsize=(13, height), layout="constrained")
    minutes, pitches, velocities = figure.subplots(1, 3, sharey=True, width_ratios=(1, 2, 2))
    left = np.zeros(len(names))
    for split in ("train", "valid"):
        width = np.array([content.seconds[split] / 60 for content in contents])
        minutes.barh(rows, width, left=left, label=split)
        left += width
    minutes.set(xlabel="minutes", ylim=(len(names) - 0.5, -0.5))
    minutes.set_yticks(rows, names, fontsize=6)
    minutes.legend(fontsize=6)
    for axes, label, counts in (
        (pitches, "pitch", [content.pitches for content in contents]),
        (velocities, "velocity", [content.velocities for content in contents]),
    ):
        share = np.stack(counts) / np.maximum(np.stack(counts).sum(axis=1, keepdims=True), 1)
        picture = np.ma.masked_equal(share, 0)
        axes.imshow(picture, aspect="auto", cmap="viridis", norm="log", interpolation="nearest")
        axes.set(xlabel=f"{label} (brighter: more of the notes)")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")

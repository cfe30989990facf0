"""A note of the NSynth data set: its fields, its name, and the vocabulary of both.

The layout is that of Engel et al., "Neural Audio Synthesis of Musical Notes with WaveNet
Autoencoders" (2017).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from timbrel.constants import SAMPLE_RATE

NOTE_SECONDS = 4  # of which the key is held for three
NOTE_SAMPLES = NOTE_SECONDS * SAMPLE_RATE
SPLITS = ("train", "valid", "test")
VELOCITIES = (25, 50, 75, 100, 127)

FAMILIES = (
    *("bass", "brass", "flute", "guitar", "keyboard", "mallet"),
    *("organ", "reed", "string", "synth_lead", "vocal"),
)
SOURCES = ("acoustic", "electronic", "synthetic")
QUALITIES = (
    *("bright", "dark", "distortion", "fast_decay", "long_release"),
    *("multiphonic", "nonlinear_env", "percussive", "reverb", "tempo-synced"),
)

# Parsed from the right, because the family `synth_lead` contains an underscore.
_NAME = re.compile(r"(?P<family>.+)_(?P<source>[a-z]+)_(?P<number>\d{3})-(\d{3})-(\d{3})")


@dataclass(frozen=True)
class NoteName:
    """What a name such as ``synth_lead_synthetic_003-060-100`` says."""

    family: str
    source: str
    number: int  # of the instrument among those of its family and source
    pitch: int  # MIDI number
    velocity: int

    @property
    def instrument(self) -> str:
        return f"{self.family}_{self.source}_{self.number:03d}"

    def __str__(self) -> str:
        return f"{self.instrument}-{self.pitch:03d}-{self.velocity:03d}"


def parse_name(text: str) -> NoteName | None:
    """Take a note's name apart; None if it is not one."""
    found = _NAME.fullmatch(text)
    if found is None:
        return None
    family, source, number, pitch, velocity = found.groups()
    return NoteName(family, source, int(number), int(pitch), int(velocity))


@dataclass(frozen=True)
class Note:
    """The published fields of a note; `qualities` are ten zeros and ones."""

    note: int
    note_str: str
    instrument: int  # one number for each instrument of the data set; not that of its name
    instrument_str: str
    pitch: int
    velocity: int
    sample_rate: int
    qualities: tuple[int, ...]
    qualities_str: tuple[str, ...]
    instrument_family: int
    instrument_family_str: str
    instrument_source: int
    instrument_source_str: str


def make_note(name: NoteName, *, number: int, instrument: int, qualities: tuple[int, ...]) -> Note:
    """All fields of a note, of what decides them."""
    return Note(
        note=number,
        note_str=str(name),
        instrument=instrument,
        instrument_str=name.instrument,
        pitch=name.pitch,
        velocity=name.velocity,
        sample_rate=SAMPLE_RATE,
        qualities=qualities,
        qualities_str=tuple(q for q, is_set in zip(QUALITIES, qualities, strict=True) if is_set),
        instrument_family=FAMILIES.index(name.family),
        instrument_family_str=name.family,
        instrument_source=SOURCES.index(name.source),
        instrument_source_str=name.source,
    )

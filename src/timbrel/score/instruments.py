"""General MIDI programs: their names, and how far their sounds are from each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

from timbrel.errors import InputError

# General MIDI Level 1, in the order of the program numbers, counted from 0.
PROGRAM_NAMES = (
    *("Acoustic Grand Piano", "Bright Acoustic Piano", "Electric Grand Piano", "Honky-tonk Piano"),
    *("Electric Piano 1", "Electric Piano 2", "Harpsichord", "Clavinet"),
    *("Celesta", "Glockenspiel", "Music Box", "Vibraphone"),
    *("Marimba", "Xylophone", "Tubular Bells", "Dulcimer"),
    *("Drawbar Organ", "Percussive Organ", "Rock Organ", "Church Organ"),
    *("Reed Organ", "Accordion", "Harmonica", "Bandoneon"),
    *("Acoustic Guitar (nylon)", "Acoustic Guitar (steel)", "Electric Guitar (jazz)"),
    *("Electric Guitar (clean)", "Electric Guitar (muted)", "Overdriven Guitar"),
    *("Distortion Guitar", "Guitar Harmonics"),
    *("Acoustic Bass", "Electric Bass (finger)", "Electric Bass (pick)", "Fretless Bass"),
    *("Slap Bass 1", "Slap Bass 2", "Synth Bass 1", "Synth Bass 2"),
    *("Violin", "Viola", "Cello", "Contrabass"),
    *("Tremolo Strings", "Pizzicato Strings", "Orchestral Harp", "Timpani"),
    *("String Ensemble 1", "String Ensemble 2", "Synth Strings 1", "Synth Strings 2"),
    *("Choir Aahs", "Voice Oohs", "Synth Voice", "Orchestra Hit"),
    *("Trumpet", "Trombone", "Tuba", "Muted Trumpet"),
    *("French Horn", "Brass Section", "Synth Brass 1", "Synth Brass 2"),
    *("Soprano Sax", "Alto Sax", "Tenor Sax", "Baritone Sax"),
    *("Oboe", "English Horn", "Bassoon", "Clarinet"),
    *("Piccolo", "Flute", "Recorder", "Pan Flute"),
    *("Blown Bottle", "Shakuhachi", "Whistle", "Ocarina"),
    *("Lead 1 (square)", "Lead 2 (sawtooth)", "Lead 3 (calliope)", "Lead 4 (chiff)"),
    *("Lead 5 (charang)", "Lead 6 (voice)", "Lead 7 (fifths)", "Lead 8 (bass + lead)"),
    *("Pad 1 (new age)", "Pad 2 (warm)", "Pad 3 (polysynth)", "Pad 4 (choir)"),
    *("Pad 5 (bowed)", "Pad 6 (metallic)", "Pad 7 (halo)", "Pad 8 (sweep)"),
    *("FX 1 (rain)", "FX 2 (soundtrack)", "FX 3 (crystal)", "FX 4 (atmosphere)"),
    *("FX 5 (brightness)", "FX 6 (goblins)", "FX 7 (echoes)", "FX 8 (sci-fi)"),
    *("Sitar", "Banjo", "Shamisen", "Koto", "Kalimba", "Bagpipe", "Fiddle", "Shanai"),
    *("Tinkle Bell", "Agogo", "Steel Drums", "Woodblock"),
    *("Taiko Drum", "Melodic Tom", "Synth Drum", "Reverse Cymbal"),
    *("Guitar Fret Noise", "Breath Noise", "Seashore", "Bird Tweet"),
    *("Telephone Ring", "Helicopter", "Applause", "Gunshot"),
)

PROGRAMS_OF_A_FAMILY = 8
# In the order of their programs.
FAMILY_NAMES = (
    *("Piano", "Chromatic Percussion", "Organ", "Guitar", "Bass", "Strings", "Ensemble", "Brass"),
    *("Reed", "Pipe", "Synth Lead", "Synth Pad", "Synth Effects", "Ethnic", "Percussive"),
    "Sound Effects",
)
KIT_FAMILY = "Drum Kits"

# Programs that make noises: a transcriber does not try to hear their keys.
UNPITCHED_PROGRAMS = (113, *range(115, 128))

# The ten instruments of Kim et al. (2019), by the names that users type.
TEN_INSTRUMENTS = {
    "grand piano": 0,
    "electric piano": 4,
    "vibraphone": 11,
    "church organ": 19,
    "acoustic guitar": 24,
    "pizzicato strings": 45,
    "harp": 46,
    "string ensemble": 48,
    "trumpet": 56,
    "synth lead": 80,
}

INSTRUMENT_SETS = {"ten": TEN_INSTRUMENTS}

# What people call some programs, beside the names above and any words of these that name one.
EVERYDAY_NAMES = {
    **TEN_INSTRUMENTS,
    "piano": 0,
    "guitar": 24,
    "electric guitar": 27,
    "bass": 33,
    "double bass": 43,
    "strings": 48,
    "sax": 65,
    "cor anglais": 69,
}
SAME_WORDS = {"saxophone": "sax", "synthesizer": "synth", "synthesiser": "synth"}

# A row for each program: distances of the others that play the keys of its natural range in its
# stead. Made by tools/instrument_distances.py.
DISTANCES_FILE = Path(__file__).with_name("distances.csv")


STANDARD_KIT, KITS_OF_A_KIND = 0, 8  # as Roland's GS and General MIDI 2 number kits


def nearest_kit(program: int, available: list[int]) -> int:
    """The one of the `available` drum kits that stands for a kit's program.

    The kit itself where it is available; else the first of its eight, of which the others are
    variations; else the standard kit, or the one with the nearest number.
    """
    for candidate in (program, program // KITS_OF_A_KIND * KITS_OF_A_KIND, STANDARD_KIT):
        if candidate in available:
            return candidate
    return min(available, key=lambda other: (abs(other - program), other))


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, however it is typed: without case, brackets and other signs."""
    words = re.findall(r"[^\W_]+", name.lower())
    return tuple(SAME_WORDS.get(word, word) for word in words)


def program_named(name: str) -> int | None:
    """The General MIDI program of a number, 0–127, or of a name as in `PROGRAM_NAMES`.

    Raises
    ------
    InputError
        If it is a number beyond 127.
    """
    if name.strip().isdecimal():
        if int(name) >= len(PROGRAM_NAMES):
            raise InputError(f"there is no General MIDI program {int(name)}; they are 0 to 127")
        return int(name)
    return _programs_by_words().get(words_of(name))


def first_with_words(name: str, candidates: Iterable[str]) -> str | None:
    """The first of some names that has all the words of `name`."""
    wanted = set(words_of(name))
    having = (other for other in candidates if wanted <= set(words_of(other)))
    return next(having, None) if any(not word.isdecimal() for word in wanted) else None


def distance(program: int, other: int) -> int:
    """How far `other` is from `program` in sound, where it plays its notes: 0 (itself) to 255."""
    return int(_distances()[program, other])


def nearest_program(program: int, available: Iterable[int]) -> int:
    """The one of the `available` programs whose sound is nearest to `program`'s."""
    return min(available, key=lambda other: (distance(program, other), other))


@cache
def _programs_by_words() -> dict[tuple[str, ...], int]:
    everyday = {words_of(name): program for name, program in EVERYDAY_NAMES.items()}
    return everyday | {words_of(name): program for program, name in enumerate(PROGRAM_NAMES)}


@cache
def _distances() -> np.ndarray:
    return np.loadtxt(DISTANCES_FILE, delimiter=",", dtype=np.uint8)


def family_of(program: int) -> str:
    """The family of General MIDI that a program belongs to."""
    return FAMILY_NAMES[program // PROGRAMS_OF_A_FAMILY]

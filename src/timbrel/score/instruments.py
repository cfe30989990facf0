"""General MIDI programs, and the ten instruments of the default models."""

from __future__ import annotations

# General MIDI Level 1, in order of the program numbers, which are counted from 0.
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

# For each General MIDI program, the programs whose sound is near, nearest first, as ranges of
# programs → candidates. What excites the sound counts most (struck, plucked, bowed, blown), then
# how it decays, then how bright it is.
NEAREST = (
    (range(0, 4), (0, 4, 46)),
    (range(4, 6), (4, 11, 0)),
    (range(6, 8), (24, 46, 0)),
    (range(8, 12), (11, 4, 46)),
    (range(12, 14), (45, 11, 24)),
    (range(14, 15), (11, 46, 0)),
    (range(15, 16), (46, 24, 0)),
    (range(16, 24), (19, 48, 80)),
    (range(24, 29), (24, 46, 0)),
    (range(29, 31), (80, 24, 56)),
    (range(31, 32), (46, 24, 11)),
    (range(32, 40), (24, 45, 0)),
    (range(40, 45), (48, 56, 19)),
    (range(45, 46), (45, 46, 24)),
    (range(46, 47), (46, 24, 0)),
    (range(47, 48), (45, 46, 0)),
    (range(48, 56), (48, 19, 56)),
    (range(56, 64), (56, 80, 48)),
    (range(64, 72), (56, 80, 48)),
    (range(72, 80), (80, 19, 48)),
    (range(80, 88), (80, 56, 19)),
    (range(88, 104), (48, 19, 80)),
    (range(104, 108), (24, 46, 45)),
    (range(108, 109), (11, 46, 45)),
    (range(109, 112), (56, 48, 80)),
    (range(112, 116), (11, 45, 4)),
    (range(116, 128), (45, 0, 24)),
)


_STANDARD_KIT, _KITS_OF_A_KIND = 0, 8  # as Roland's GS and General MIDI 2 number kits


def nearest_kit(program: int, available: list[int]) -> int:
    """The one of the `available` drum kits that stands for a kit's program.

    The kit itself where it is available; else the first of its eight, of which the others are
    variations; else the standard kit, or the one with the nearest number.
    """
    for candidate in (program, program // _KITS_OF_A_KIND * _KITS_OF_A_KIND, _STANDARD_KIT):
        if candidate in available:
            return candidate
    return min(available, key=lambda other: (abs(other - program), other))


def nearest_program(program: int, available: list[int]) -> int:
    """The one of the `available` programs whose sound is nearest to `program`'s.

    The program itself where it is available; else the first of its table row that is, and where
    none is, the one with the nearest number (General MIDI orders programs by family).
    """
    if program in available:
        return program
    row = next(candidates for programs, candidates in NEAREST if program in programs)
    for candidate in row:
        if candidate in available:
            return candidate
    return min(available, key=lambda other: (abs(other - program), other))

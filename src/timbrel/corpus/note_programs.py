"""General MIDI programs mapped to NSynth's families and sources.

Programs that belong to none of the eleven families (pads, effects, drums, noises) have no entry.
"""

from __future__ import annotations

_RANGES: tuple[tuple[range, str, str], ...] = (
    (range(0, 4), "keyboard", "acoustic"),
    (range(4, 6), "keyboard", "electronic"),
    (range(6, 7), "keyboard", "acoustic"),
    (range(7, 8), "keyboard", "electronic"),
    (range(8, 16), "mallet", "acoustic"),
    (range(16, 19), "organ", "electronic"),
    (range(19, 21), "organ", "acoustic"),
    (range(21, 24), "reed", "acoustic"),  # accordion, harmonica, bandoneon
    (range(24, 26), "guitar", "acoustic"),
    (range(26, 32), "guitar", "electronic"),
    (range(32, 33), "bass", "acoustic"),
    (range(33, 38), "bass", "electronic"),
    (range(38, 40), "bass", "synthetic"),
    (range(40, 47), "string", "acoustic"),
    (range(47, 48), "mallet", "acoustic"),  # timpani
    (range(48, 50), "string", "acoustic"),
    (range(50, 52), "string", "synthetic"),
    (range(52, 54), "vocal", "acoustic"),
    (range(54, 55), "vocal", "synthetic"),
    (range(56, 62), "brass", "acoustic"),
    (range(62, 64), "brass", "synthetic"),
    (range(64, 72), "reed", "acoustic"),
    (range(72, 80), "flute", "acoustic"),
    (range(80, 88), "synth_lead", "synthetic"),
    (range(91, 92), "vocal", "synthetic"),  # the choir pad
    (range(104, 108), "guitar", "acoustic"),  # sitar, banjo, shamisen, koto
    (range(108, 109), "mallet", "acoustic"),  # kalimba
    (range(109, 110), "reed", "acoustic"),  # bagpipe
    (range(110, 111), "string", "acoustic"),  # fiddle
    (range(111, 112), "reed", "acoustic"),  # shanai
    (range(112, 113), "mallet", "acoustic"),  # tinkle bell
    (range(114, 115), "mallet", "acoustic"),  # steel drums
)

FAMILY_AND_SOURCE: dict[int, tuple[str, str]] = {
    program: (family, source) for programs, family, source in _RANGES for program in programs
}

"""Which of a model's instruments a name means: the model's own names, or those of General MIDI."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import NamedTuple

from timbrel.bundles.bundle import Instrument
from timbrel.errors import InputError
from timbrel.score.instruments import (
    PROGRAM_NAMES,
    first_with_words,
    nearest_kit,
    nearest_program,
    program_named,
)

# Names that a misspelt one may have meant, and how alike they must be to it: of all that are known,
# or, where none of these is, of the model's own.
MOST_MEANT = 3
ALIKE, OWN_ALIKE = 0.6, 0.4
WORD_SHARE = 0.98  # that a word which is alike counts of a whole name that is


class Found(NamedTuple):
    """The instrument that a name means."""

    instrument: Instrument
    stands_for: str = ""  # General MIDI's name of what was meant, where the model lacks it


def find_instrument(name: str, instruments: Sequence[Instrument]) -> Found:
    """Find an instrument by the model's name, or by General MIDI's name or number.

    In this order: a name of the model's, whole; a number, 0–127, or a name of General MIDI, whole,
    or an everyday one; a few words of a name of the model's, or of General MIDI, as in "french".
    Where the model lacks the program that is meant, its instrument that sounds nearest stands for
    it; where there are kits alone, a name of General MIDI's is refused.

    Raises
    ------
    InputError
        If the name means no instrument; says which may have been meant.
    """
    whole = " ".join(name.lower().split())
    for instrument in instruments:
        if instrument.name.lower() == whole:
            return Found(instrument)
    program = program_named(name)
    if program is None:
        by_program = sorted(instruments, key=lambda instrument: instrument.program)
        part = first_with_words(name, (instrument.name for instrument in by_program))
        if part is not None:
            return Found(next(i for i in instruments if i.name == part))
        part = first_with_words(name, PROGRAM_NAMES)
        if part is None:
            meant = nearest_names(whole, instruments)
            hint = f"did you mean {' or '.join(meant)}?" if meant else "see 'timbrel timbres'"
            raise InputError(f"there is no instrument '{whole}'; {hint}")
        program = PROGRAM_NAMES.index(part)
    drums = all(instrument.is_kit for instrument in instruments)
    if drums and not whole.isdigit():
        raise InputError(f"'{whole}' is no drum kit, and drums need one; see 'timbrel timbres'")
    instrument = nearest_instrument(program, instruments)
    if instrument.program == program and instrument.is_kit == drums:
        return Found(instrument)
    return Found(instrument, f"drum kit {program}" if drums else PROGRAM_NAMES[program])


def named_instruments(names: Sequence[str], instruments: Sequence[Instrument]) -> list[Instrument]:
    """The instruments that some names mean, in their order; all of them where there is no name.

    Raises
    ------
    InputError
        If a name means none of them.
    """
    found = []
    for name in names:
        one = find_instrument(name, instruments)
        if one.stands_for:
            known = ", ".join(instrument.name for instrument in instruments)
            raise InputError(f"there is no instrument '{name}'; known: {known}")
        found.append(one.instrument)
    return list(dict.fromkeys(found)) or list(instruments)


def nearest_instrument(program: int, instruments: Sequence[Instrument]) -> Instrument:
    """The first of a model's instruments for a General MIDI program, or that sounds nearest.

    Drum kits count only where there is nothing else; see `nearest_kit`.
    """
    melodic = [instrument for instrument in instruments if not instrument.is_kit]
    nearest = nearest_program if melodic else nearest_kit
    known = melodic or instruments
    chosen = nearest(program, [instrument.program for instrument in known])
    return next(instrument for instrument in known if instrument.program == chosen)


def nearest_names(name: str, instruments: Sequence[Instrument]) -> list[str]:
    """Names that a user may have meant by one that is misspelt, best first."""
    name = name.lower()
    own = [instrument.name.lower() for instrument in instruments]
    known = list(dict.fromkeys([*own, *(other.lower() for other in PROGRAM_NAMES)]))
    close = _alike(name, known, ALIKE)[:MOST_MEANT] or _alike(name, own, OWN_ALIKE)[:1]
    words = [other for other in own if set(name.split()) & set(other.split())]
    return list(dict.fromkeys(close + words))[:MOST_MEANT]


def _alike(name: str, others: Sequence[str], cutoff: float) -> list[str]:
    """Names that are so alike to another one, the most alike first."""
    likeness = {other: _likeness(name, other) for other in others}
    found = [other for other in others if likeness[other] >= cutoff]
    return sorted(found, key=lambda other: -likeness[other])


def _likeness(name: str, other: str) -> float:
    """How alike two names are, or a single word and any word of the other."""
    whole = difflib.SequenceMatcher(None, other, name).ratio()
    if len(name.split()) > 1:
        return whole
    words = (difflib.SequenceMatcher(None, word, name).ratio() for word in other.split())
    return max(whole, WORD_SHARE * max(words, default=0.0))

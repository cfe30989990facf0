"""Spellings of timbres, and what Python reads of them, for the page to agree with."""

from __future__ import annotations

import math
from typing import Any

from timbrel.bundles.bundle import Instrument
from timbrel.errors import InputError
from timbrel.score.instruments import PROGRAM_NAMES, TEN_INSTRUMENTS
from timbrel.timbre.timbre import parse_timbre

GOLDEN_FILE = "timbres.json"
# What Python adds where it can say nothing better: the page has no commands.
COMMAND_HINT = "; see 'timbrel timbres'"


def _somewhere(number: int, size: int) -> tuple[float, ...]:
    """A place of its own for an instrument, with few digits."""
    return tuple(round(math.sin(1 + 7 * number + 3 * d), 3) for d in range(size))


TEN = tuple(
    Instrument(name, program, _somewhere(program, 2)) for name, program in TEN_INSTRUMENTS.items()
)
KITS = tuple(
    Instrument(name, program, _somewhere(200 + program, 3), keys=(36, 38, 42))
    for name, program in {"Standard Kit": 0, "TR-808 Kit": 25, "Jazz Kit": 32}.items()
)
ALL = (
    *(Instrument(name, number, _somewhere(number, 3)) for number, name in enumerate(PROGRAM_NAMES)),
    *KITS,
)
MODELS = {"ten": TEN, "all": ALL, "kits": KITS}

SPELLINGS: dict[str, tuple[str, ...]] = {
    "ten": (
        *("harp", "  Church   ORGAN ", "violin", "40", "Orchestral Harp", "orchestral harp", "46"),
        *("piano", "double bass", "cor anglais", "alto saxophone", "soprano-sax", "french"),
        *("flute", "organ", "string", "Acoustic Guitar (nylon)", "lead 8", "synth", "000"),
        *("harp:1, trumpet:3", "harp, harp, trumpet", "harp + trumpet", "harp+trumpet"),
        *("70% harp + 30% trumpet", "harp 70%, trumpet 30 %", "harp: 25%, trumpet:75%"),
        *("harp:+1e+0, trumpet:1_0", "harp:.5, trumpet:5.", "flute + piccolo"),
        *("Lead 8 (bass + lead):2, harp", "harp:2, trumpet:-1", "harp:-1, trumpet:1.5"),
        *("@0.25,-1.5", "@ 1 , 1e-1", "@9,9", "0s harp; 8s trumpet:2, harp", "3 s violin"),
        *("0s flute; 1.5s @9,9;2s 50% harp+ 50% piano",),
        # Faults.
        *(
            "kazoo",
            "trumpte",
            "chruch organ",
            "xqzw",
            "hapr",
            "pinao",
            "128",
            "99999999999999999999",
            "",
            "  ",
        ),
        *("@1", "@1,x", "@1,inf", "@", "@1,nan", "harp:x", "harp:", ":2", "harp:0", "harp:inf"),
        *("50% harp, trumpet", "harp:1, trumpet:-1", "0s harp; 0s trumpet", "0s harp; trumpet"),
        *("harp;", "1e5.2s harp", "harp,", "harp + ", "harp:1:2", "0x10", "12.5", "%", "harp 5..%"),
        *("@1,0x10", "harp ½", "1", "grand piano grand"),
    ),
    "all": (
        *("standard kit", "kit", "tr 808", "jazz", "violin", "127", "Violin + Standard Kit"),
        *("pad", "fx 3", "lead", "echo drops", "viola 50% + cello 50%", "electric piano", "sax"),
    ),
    "kits": ("piano", "25", "33", "standard", "jazz kit:1, standard kit:1", "brush kit"),
}


def timbre_golden() -> dict[str, Any]:
    """The instruments of some models, and what spellings mean for them."""
    models = {
        name: [
            {
                "name": one.name,
                "program": one.program,
                "embedding": list(one.embedding),
                **({"keys": list(one.keys)} if one.keys else {}),
            }
            for one in instruments
        ]
        for name, instruments in MODELS.items()
    }
    read = [
        {"model": model, "text": text, **_read(text, MODELS[model])}
        for model, texts in SPELLINGS.items()
        for text in texts
    ]
    return {"models": models, "spellings": read}


def _read(text: str, instruments: tuple[Instrument, ...]) -> dict[str, Any]:
    try:
        found = parse_timbre(text, instruments)
    except InputError as error:
        return {"error": str(error).removesuffix(COMMAND_HINT)}
    return {
        "times": list(found.times_s),
        "points": [list(point) for point in found.points],
        "remarks": list(found.remarks),
    }

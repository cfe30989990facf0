"""Timbrel: a neural music synthesizer that renders scores and timbres as audio.

>>> from timbrel import Synthesizer
>>> audio = Synthesizer.load().render("song.mid", timbre="church organ:0.7, trumpet:0.3")
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in `typing`, whose import would take most of the time
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "PianoRoll",
    "RenderOptions",
    "Score",
    "Synthesizer",
    "Timbre",
    "TimbrelError",
    "mel_spectrogram",
    "parse_timbre",
    "read_midi",
]

# Loaded on first use, so that `import timbrel` costs next to nothing.
_HOMES = {
    "PianoRoll": "timbrel.score.piano_roll",
    "RenderOptions": "timbrel.render_options",
    "Score": "timbrel.score.score",
    "Synthesizer": "timbrel.synthesizer",
    "Timbre": "timbrel.timbre.timbre",
    "TimbrelError": "timbrel.errors",
    "mel_spectrogram": "timbrel.mel.spectrogram",
    "parse_timbre": "timbrel.timbre.timbre",
    "read_midi": "timbrel.score.midi",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name == "__version__":
        from importlib.metadata import version

        return version("timbrel")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'timbrel' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

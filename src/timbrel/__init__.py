"""Timbrel: a neural music synthesizer that renders scores and timbres as audio.

>>> from timbrel import Synthesizer, write_audio
>>> synthesizer = Synthesizer.load()
>>> audio = synthesizer.render("song.mid", timbre="70% church organ + 30% trumpet")
>>> write_audio("song.wav", audio, synthesizer.sample_rate)
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in `typing`, whose import would take most of the time
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "AudioStream",
    "Block",
    "FoundTimbre",
    "InputError",
    "Note",
    "PianoRoll",
    "RenderOptions",
    "Score",
    "Synthesizer",
    "Timbre",
    "TimbreEncoder",
    "TimbrelError",
    "Track",
    "mel_spectrogram",
    "parse_timbre",
    "read_midi",
    "timbre_from_audio",
    "write_audio",
]

# Loaded on first use, so that `import timbrel` costs next to nothing.
_HOMES = {
    "AudioStream": "timbrel.audio_stream",
    "Block": "timbrel.audio_stream",
    "FoundTimbre": "timbrel.hearing.from_audio",
    "InputError": "timbrel.errors",
    "Note": "timbrel.score.score",
    "PianoRoll": "timbrel.score.piano_roll",
    "RenderOptions": "timbrel.render_options",
    "Score": "timbrel.score.score",
    "Synthesizer": "timbrel.synthesizer",
    "Timbre": "timbrel.timbre.timbre",
    "TimbreEncoder": "timbrel.hearing.from_audio",
    "TimbrelError": "timbrel.errors",
    "Track": "timbrel.score.score",
    "mel_spectrogram": "timbrel.mel.spectrogram",
    "parse_timbre": "timbrel.timbre.timbre",
    "read_midi": "timbrel.score.midi",
    "timbre_from_audio": "timbrel.fitting.closer",
    "write_audio": "timbrel.sound",
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

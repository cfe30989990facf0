"""A small data set of notes in the published layout, made of sines."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from timbrel.notes.note import NOTE_SAMPLES, NoteName, make_note
from timbrel.sound import write_audio

# (family, source, number among its kind) → instrument number, by split.
INSTRUMENTS = {
    "train": {("bass", "electronic", 0): 0, ("synth_lead", "synthetic", 3): 1},
    "valid": {("flute", "acoustic", 0): 2},
    "test": {("organ", "electronic", 1): 3},
}
PITCHES = (48, 60, 64)
BRIGHT = (1, *[0] * 9)


def sine(pitch: int, harmonics: int, samples: int = NOTE_SAMPLES) -> np.ndarray:
    """A tone of some harmonics that fades away."""
    time_s = np.arange(samples) / 16_000
    hz = 440 * 2 ** ((pitch - 69) / 12)
    tone = sum(np.sin(2 * np.pi * k * hz * time_s) / k for k in range(1, harmonics + 1))
    return (0.3 * tone * np.exp(-time_s)).astype(np.float32)


def write_notes(folder: Path) -> Path:
    """Write twelve notes of four instruments; gives the folder."""
    number = 0
    for split, instruments in INSTRUMENTS.items():
        audio_folder = folder / f"nsynth-{split}" / "audio"
        audio_folder.mkdir(parents=True)
        content = {}
        for kind, instrument in instruments.items():
            for pitch in PITCHES:
                name = NoteName(*kind, pitch=pitch, velocity=100)
                qualities = BRIGHT if instrument % 2 else (0,) * 10
                note = make_note(name, number=number, instrument=instrument, qualities=qualities)
                content[note.note_str] = asdict(note)
                tone = sine(pitch, 1 + 2 * instrument)
                write_audio(audio_folder / f"{name}.wav", tone, 16_000)
                number += 1
        (audio_folder.parent / "examples.json").write_text(json.dumps(content))
    return folder

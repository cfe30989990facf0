"""Bends: is a glide of two semitones followed, as an independent pitch tracker hears it."""

from __future__ import annotations

from dataclasses import dataclass

import mido
import numpy as np

from timbrel.bundles.bundle import Instrument
from timbrel.constants import A4_PITCH
from timbrel.evaluation.programs.pairs import TICKS_PER_BEAT, Pairs

PROGRAMS = (19, 40, 56, 65, 73)  # whose notes are held: organ, violin, trumpet, sax, flute
PITCH = A4_PITCH
BEFORE_S, GLIDE_S, AFTER_S = 0.5, 1.0, 0.5
SEMITONES = 2.0
_HOP = 256


@dataclass(frozen=True)
class BendMeasures:
    """How far the pitch is from the score's curve, in cents."""

    name: str
    program: int
    median: float
    largest: float  # the 95th percentile
    median_original: float  # the same of the original's sound
    largest_original: float


def measure_bend(pairs: Pairs, instrument: Instrument) -> BendMeasures:
    """Compare the pitch of a note that glides up with the score's, for the model and the font."""
    midi = glide(instrument.program)
    found = []
    for sound in reversed(pairs.of_midi(midi, instrument)):
        errors = pitch_errors_cents(sound, pairs.sample_rate)
        found += [float(np.median(errors)), float(np.percentile(errors, 95))]
    return BendMeasures(instrument.name, instrument.program, *found)


def glide(program: int) -> mido.MidiFile:
    """A note that rises by two semitones over a second, in steps of 5 ms."""
    track = mido.MidiTrack([mido.Message("program_change", program=program)])
    track.append(mido.Message("note_on", note=PITCH, velocity=90))
    track.append(mido.Message("pitchwheel", pitch=0, time=round(BEFORE_S * 1000)))
    step_ms = 5
    steps = round(GLIDE_S * 1000) // step_ms
    for step in range(1, steps + 1):
        track.append(
            mido.Message("pitchwheel", pitch=min(8192 * step // steps, 8191), time=step_ms)
        )
    track.append(mido.Message("note_off", note=PITCH, time=round(AFTER_S * 1000)))
    return mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track])


def pitch_errors_cents(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """Distances of the pitch that YIN hears from the glide's, in cents, between its steady ends."""
    import librosa

    low, high = (float(librosa.midi_to_hz(pitch)) for pitch in (PITCH - 5, PITCH + 7))
    heard = librosa.yin(
        sound.astype(np.float32), fmin=low, fmax=high, sr=sample_rate, hop_length=_HOP
    )
    times_s = np.arange(len(heard)) * _HOP / sample_rate
    shares = np.clip((times_s - BEFORE_S) / GLIDE_S, 0, 1)
    played = librosa.midi_to_hz(PITCH + SEMITONES * shares)
    inside = (times_s > BEFORE_S / 2) & (times_s < BEFORE_S + GLIDE_S + AFTER_S / 2)
    return np.abs(1200 * np.log2(heard[inside] / played[inside]))

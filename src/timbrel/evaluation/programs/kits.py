"""Drum kits: are the strokes heard, in time, and is each key the kit's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrel.bundles.bundle import Instrument
from timbrel.corpus.etudes import etude
from timbrel.corpus.presets import Preset
from timbrel.corpus.soundfont import KIT_BANK
from timbrel.evaluation.programs.pairs import Pairs, strokes
from timbrel.geometry import MelConfig
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.measures.notes_heard import ONSET_TOLERANCE_S
from timbrel.measures.sound import level_db, level_error_db
from timbrel.mel.spectrogram import mel_spectrogram

GROOVE_S = 30.0
BEFORE_S = 0.005  # in which a stroke's attack must not be heard
BELOW_PEAK_DB = 60.0  # levels before a stroke are compared down to so far below its peak
_VELOCITY = 100
_FIRST_S, _APART_S, _HOLD_S = 0.25, 1.0, 0.5


@dataclass(frozen=True)
class KitMeasures:
    """What was found of one kit."""

    name: str
    program: int
    onset_f1: float  # against the onsets that the same detector finds in the original
    own_keys: int  # keys that are nearer to their own original than to any other key's
    keys: int
    early_db: float  # energy before strokes, the model's above the original's: the keys' 95th %
    level_db: float  # of strokes, the model's above the original's, mean over keys


def measure_kit(pairs: Pairs, kit: Instrument) -> KitMeasures:
    """Compare a kit with the original: each key alone, and music that training has not heard."""
    preset = Preset(kit.name, kit.program, KIT_BANK, kit.keys)
    groove = etude(preset, 0, split="test", longest_s=GROOVE_S)
    original, made = pairs.of_midi(groove, kit)
    f1 = onset_f1(original, made, pairs.sample_rate)
    hits = [(_FIRST_S + _APART_S * i, key, _VELOCITY) for i, key in enumerate(kit.keys)]
    midi = strokes(hits, is_kit=True, hold_s=_HOLD_S, program=kit.program)
    first, length = (round(s * pairs.sample_rate) for s in (_FIRST_S, _APART_S))
    before = round(BEFORE_S * pairs.sample_rate)
    sounds = []  # of each key: original and made, from shortly before the stroke
    alone = pairs.of_midi(midi, kit)
    for i in range(len(kit.keys)):
        start = first + i * length - before
        sounds.append([sound[start : start + length] for sound in alone])
    sounding = [pair for pair in sounds if level_db(pair[0]) > -BELOW_PEAK_DB]
    return KitMeasures(
        name=kit.name,
        program=kit.program,
        onset_f1=f1,
        own_keys=_own_keys(sounding, pairs.synthesizer.model.mel),
        keys=len(sounding),
        early_db=float(
            np.percentile([_early_db(pair[0], pair[1], before) for pair in sounding], 95)
        ),
        level_db=float(np.mean([level_error_db(a, b) for a, b in sounding])),
    )


def onset_f1(original: np.ndarray, made: np.ndarray, sample_rate: int) -> float:
    """F1 of the onsets in a sound against those in the original, by librosa's detector."""
    import librosa
    from mir_eval.onset import f_measure

    found = [
        librosa.onset.onset_detect(y=sound.astype(np.float32), sr=sample_rate, units="time")
        for sound in (original, made)
    ]
    if not len(found[0]) and not len(found[1]):
        return 1.0
    if not len(found[0]) or not len(found[1]):
        return 0.0
    return float(f_measure(*found, window=ONSET_TOLERANCE_S)[0])


def _own_keys(sounds: list[list[np.ndarray]], mel: MelConfig) -> int:
    """How many made sounds are nearest to their own original, by the mean log-mel distance.

    Spectra are compared down to 60 dB below the kit's loudest: what lies below is not heard.
    """
    originals, made = (
        np.stack([mel_spectrogram(pair[i], mel).ravel() for pair in sounds]) for i in (0, 1)
    )
    floor = originals.max() - BELOW_PEAK_DB / DB_PER_NEPER
    originals, made = (np.maximum(one, floor) for one in (originals, made))
    distances = np.stack([np.abs(originals - one).mean(axis=1) for one in made])
    # Some kits have one sample on several keys, which are then equally near.
    return int((np.diag(distances) <= distances.min(axis=1) * (1 + 1e-6)).sum())


def _early_db(original: np.ndarray, made: np.ndarray, before: int) -> float:
    """How much more there is before the stroke, down to 60 dB below the original's peak."""
    floor = np.abs(original).max() * 10 ** (-BELOW_PEAK_DB / 20)
    levels = [
        20 * np.log10(max(np.sqrt(np.square(sound[:before], dtype=np.float64).mean()), floor))
        for sound in (original, made)
    ]
    return float(levels[1] - levels[0])

"""Measure how far General MIDI's programs are from each other in sound; writes distances.csv.

    python tools/instrument_distances.py /usr/share/sounds/sf3/MuseScore_General_Lite.sf3

Each program of the SoundFont plays some keys alone, holds them for two seconds and lets them go.
Where a score asks for a program that a model lacks, another will play the same keys in its stead;
so the distance of a candidate from a program is taken over the keys of the program's natural range.
It is the root of the mean square of the differences in dB between two mel spectrograms, each key at
the same loudness, and of those between the levels over time, on which it depends whether a sound is
struck or sustained.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from timbrel.corpus.etudes import natural_range
from timbrel.corpus.presets import Preset, find_instruments
from timbrel.corpus.sheet import Sheet
from timbrel.corpus.soundfont import as_preset, render_parts
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.instruments import DISTANCES_FILE

KEYS = range(24, 109, 6)
VELOCITY = 90
HELD_S, HEARD_S, PROBE_S = 2.0, 2.2, 2.6  # of a key: held, listened to, and until the next one
BANDS_RANGE_DB, LEVELS_RANGE_DB = 60.0, 40.0  # below the loudest of a key nothing is compared
MEL = MelConfig(sample_rate=24_000, hop_length=480, n_fft=2048, n_mels=64, f_max_hz=12_000.0)
LARGEST = 255  # of the numbers written; the largest distance measured


def measured(soundfont: Path) -> np.ndarray:
    """Distances from each program to each, (128, 128), in dB."""
    presets = sorted(find_instruments("gm", soundfont), key=lambda preset: preset.program)
    return distances(sounds([preset for preset in presets if not preset.is_kit], soundfont))


def sounds(presets: list[Preset], soundfont: Path) -> np.ndarray:
    """Powers of what some presets play, (presets, keys, frames, bands)."""
    parts = []
    for preset in presets:
        sheet = Sheet(0)
        for i, key in enumerate(KEYS):
            sheet.note(i * PROBE_S, HELD_S, key, VELOCITY)
        midi = as_preset(sheet.midi(preset.name, preset.program), *preset[1:3], tail_s=PROBE_S)
        parts.append((midi, round(len(KEYS) * PROBE_S * MEL.sample_rate)))
    audio = render_parts(parts, soundfont, sample_rate=MEL.sample_rate)
    mels = [mel_spectrogram(key, MEL) for one in audio for key in one.reshape(len(KEYS), -1)]
    powers = np.exp(2 * np.reshape(mels, (len(presets), len(KEYS), -1, MEL.n_mels)))
    return powers[:, :, : round(HEARD_S * MEL.frame_rate)]


def distances(powers: np.ndarray) -> np.ndarray:
    """Distances of General MIDI's programs, in dB, from their sounds, of which each is a row."""
    bands = _relative_db(powers, (2, 3), BANDS_RANGE_DB)
    levels = _relative_db(powers.sum(axis=3), (2,), LEVELS_RANGE_DB)
    rows = []
    for program in range(len(powers)):
        low, high = natural_range(program)
        keys = [i for i, key in enumerate(KEYS) if low <= key <= high]
        squares = [(db[:, keys] - db[program, keys]) ** 2 for db in (bands, levels)]
        rows.append(
            np.sqrt(sum(square.reshape(len(powers), -1).mean(axis=1) for square in squares))
        )
    return np.array(rows)


def _relative_db(powers: np.ndarray, axes: tuple[int, ...], range_db: float) -> np.ndarray:
    """Levels of which the loudest along some axes is 0 dB, and the softest −`range_db`."""
    levels_db = 10 * np.log10(powers)
    return np.maximum(levels_db - levels_db.max(axis=axes, keepdims=True), -range_db)


def text(distances_db: np.ndarray) -> str:
    """A line for each program, with its distances to all programs, 0 to `LARGEST`."""
    rounded = np.round(distances_db / distances_db.max() * LARGEST).astype(int)
    return "".join(",".join(map(str, row)) + "\n" for row in rounded.tolist())


if __name__ == "__main__":
    DISTANCES_FILE.write_text(text(measured(Path(sys.argv[1]))))

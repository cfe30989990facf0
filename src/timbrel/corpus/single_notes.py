"""Generated scores in which every key of an instrument sounds alone, and rings out.

From them a network of single notes learns what each note sounds like, at random velocities and
lengths; some are bent throughout. The same instrument, number and seed give the same score.
"""

from __future__ import annotations

import hashlib

import mido
import numpy as np

from timbrel.constants import HIGHEST_PITCH, LOWEST_PITCH
from timbrel.corpus.presets import Preset
from timbrel.corpus.sheet import DEFAULT_BEND_RANGE, Sheet
from timbrel.score.channels import DRUM_CHANNEL
from timbrel.score.keys import ALL_SOUND_OFF
from timbrel.score.sounding import RING_S

_LENGTHS_S = (0.03, 3.0)  # of notes; their logarithms are equally likely
_SHORT_S, _SHORT_SHARE = 0.8, 0.4  # so many notes are no longer than that
_SILENCE_S = 0.1  # between that and the next note
_BENT_SHARE = 0.4
# Beside the keys of a piano, some of these.
_EXTRA_KEYS = (*range(6, LOWEST_PITCH), *range(HIGHEST_PITCH + 1, 122))
_N_EXTRA = 6
_PLAYED_VELOCITIES, _PLAYED_SHARE = (25, 118), 0.75  # the others are any


def single_notes(
    preset: Preset, number: int, *, seed: int = 0, split: str = "train"
) -> mido.MidiFile:
    """Write one such score.

    Parameters
    ----------
    preset
        Kits play the keys that they have; all others, those of a piano and a few beyond.
    number
        From 0; different numbers are different scores.
    seed, split
        As of `timbrel.corpus.etudes.etude`.
    """
    words = f"single notes {seed} {preset.bank} {preset.program} {split} {number}"
    key = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "little")
    random = np.random.default_rng(key)
    sheet = Sheet(DRUM_CHANNEL if preset.is_kit else 0)
    keys = list(preset.keys)
    if not preset.is_kit:
        keys = [*range(LOWEST_PITCH, HIGHEST_PITCH + 1), *random.choice(_EXTRA_KEYS, _N_EXTRA)]
    position = _SILENCE_S
    for pitch in random.permutation(keys).tolist():
        low, high = np.log(_LENGTHS_S)
        if random.random() < _SHORT_SHARE:
            high = np.log(_SHORT_S)
        velocities = _PLAYED_VELOCITIES if random.random() < _PLAYED_SHARE else (1, 128)
        length_s = float(np.exp(random.uniform(low, high)))
        bend = 0.0
        if not preset.is_kit and random.random() < _BENT_SHARE:
            bend = float(random.uniform(-DEFAULT_BEND_RANGE, DEFAULT_BEND_RANGE))
        if not preset.is_kit:
            sheet.bend(position - _SILENCE_S / 2, bend)
        sheet.note(position, length_s, pitch, int(random.integers(*velocities)))
        position += length_s + RING_S  # what still rings then is cut off
        sheet.control(position, ALL_SOUND_OFF, 0)
        position += _SILENCE_S + float(random.uniform(0, 0.016))
    return sheet.midi(f"{preset.name}, single notes {number + 1}", preset.program, preset.bank)

"""Phrases that show an instrument in a few seconds: its range, soft and loud, short and held.

They are what a player would record of an instrument that is to be fitted. The same instrument,
number and seed give the same phrase.
"""

from __future__ import annotations

import hashlib

import mido
import numpy as np

from timbrel.corpus.composing import MAJOR, MINOR, Player, in_scale
from timbrel.corpus.etudes import natural_range
from timbrel.corpus.presets import Preset
from timbrel.corpus.sheet import Sheet

_SHORTEST_S, _LONGEST_S = 0.12, 1.5
_REST_S = 0.4  # at the end


def phrase(
    preset: Preset, number: int, *, seed: int = 0, duration_s: float = 10.0
) -> mido.MidiFile:
    """Write one phrase for an instrument: notes and small chords all over its natural range."""
    words = f"phrase {seed} {preset.bank} {preset.program} {number}"
    key = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "little")
    player = Player(Sheet(0), np.random.default_rng(key), *natural_range(preset.program))
    scale = in_scale(player.integer(0, 11), player.pick((MAJOR, MINOR)), player.low, player.high)
    position, end_s = 0.1, duration_s - _REST_S
    while position < end_s - _REST_S:
        length = float(np.exp(player.between(np.log(_SHORTEST_S), np.log(_LONGEST_S))))
        lowest, loud = player.integer(0, len(scale) - 1), player.between(20, 120)
        for third in range(player.pick((1, 1, 1, 2, 3))):
            pitch = scale[min(lowest + 2 * third, len(scale) - 1)]
            held = min(length, end_s - position)
            player.sheet.note(position, held, pitch, loud + player.between(-6, 6))
        position += length * player.pick((0.6, 1.0, 1.0, 1.2)) + 0.03
    return player.sheet.midi(f"{preset.name}, phrase {number + 1}", preset.program, preset.bank)

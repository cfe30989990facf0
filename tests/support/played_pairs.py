"""Music played twice by simple tones, in place of a SoundFont and a model."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import mido
import numpy as np

from timbrel.geometry import MelConfig

RATE = 16_000


class PlayedPairs:
    """Plays each note as a tone that decays; the second sound is of other pitches and levels.

    Parameters
    ----------
    pitch
        The pitch that is played in a note's stead.
    gain
        Of the second sound.
    early_s
        Begin notes earlier.
    """

    def __init__(
        self,
        *,
        pitch: Callable[[int], int] = lambda pitch: pitch,
        gain: float = 1.0,
        early_s: float = 0.0,
    ) -> None:
        self._pitch, self._gain, self._early_s = pitch, gain, early_s
        self.sample_rate = RATE
        self.synthesizer = SimpleNamespace(model=SimpleNamespace(mel=MelConfig()))

    def of_midi(self, midi: mido.MidiFile, instrument: Any) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002
        strokes, now = [], 0.0
        for message in midi:
            now += message.time
            if message.type == "note_on" and message.velocity:
                strokes.append((now, message.note, message.velocity / 127))
        length = round(midi.length * RATE)
        original = _tones(strokes, length)
        others = [(time - self._early_s, self._pitch(pitch), v) for time, pitch, v in strokes]
        return original, self._gain * _tones(others, length)


def _tones(strokes: list[tuple[float, int, float]], length: int) -> np.ndarray:
    sound = np.zeros(length, np.float32)
    for time_s, pitch, loud in strokes:
        start = round(time_s * RATE)
        t = np.arange(max(min(length - start, RATE // 2), 0)) / RATE
        hz = 440 * 2 ** ((pitch - 69) / 12)
        tone = loud * 0.3 * np.exp(-12 * t) * np.sin(2 * np.pi * hz * t)
        sound[start : start + len(t)] += tone.astype(np.float32)
    return sound

"""How vocoders read mels: natural-log mels brought to about [-1, 1]."""

from __future__ import annotations

from typing import Any, TypeVar

from timbrel.mel.spectrogram import MelConfig

N_AROUND = 4  # frames that a sample of WaveNet mixes: one before its own, two after

Array = TypeVar("Array")  # of NumPy or PyTorch


def normalised(mel: Array, config: MelConfig) -> Array:
    """Scale natural-log mels so that the floor is −1 and 0 dB of magnitude is 1."""
    scaled: Any = mel
    return scaled / (-config.log_floor / 2) + 1

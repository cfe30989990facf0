"""A small Mel2Mel of the two instruments of the small data."""

from __future__ import annotations

from pathlib import Path

import torch

from support.small_data import TWO_INSTRUMENTS
from timbrel.geometry import MelConfig
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig


def two_instruments_bundle(folder: Path) -> Path:
    """Write its bundle, with random weights, into a folder."""
    torch.manual_seed(1)
    path = folder / "two"
    write_mel2mel_bundle(
        Mel2Mel(Mel2MelConfig(n_instruments=len(TWO_INSTRUMENTS), hidden_size=8)),
        path,
        name="two",
        mel=MelConfig(),
        gain=0.5,
        instruments=TWO_INSTRUMENTS,
        license="MIT",
        attribution="Not trained.",
        training={},
    )
    return path

"""A small pair of models that plays kits and bends at 48 kHz, by chance instead of training."""

from __future__ import annotations

from pathlib import Path

import torch

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.geometry import MelConfig
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig
from timbrel.vocoder.parallel import ParallelVocoder, ParallelVocoderConfig
from timbrel.vocoder.parallel_export import write_parallel_bundle

MEL = MelConfig(sample_rate=48_000, hop_length=384, n_fft=3072, n_mels=32, f_max_hz=20_000)
ABOUT = {"gain": 0.5, "license": "CC0", "attribution": "Made by chance.", "training": {}}
INSTRUMENTS = {"piano": 0, "flute": 73, "standard kit": 0, "jazz kit": 32}
KITS = {"standard kit": [36, 38, 42, 46], "jazz kit": [36, 38]}


def small_mel2mel(folder: Path, roll: str = "performance") -> Bundle:
    """Write a Mel2Mel that reads a kind of piano roll."""
    torch.manual_seed(1)
    network = Mel2Mel(Mel2MelConfig(4, timbre_size=3, roll=roll, hidden_size=8, n_mels=32))
    with torch.no_grad():
        network.output.bias.fill_(-3.0)
    write_mel2mel_bundle(
        network,
        folder,
        name=folder.name,
        mel=MEL,
        instruments=INSTRUMENTS,
        kits=KITS,
        window={"hop": 8, "context": 8},
        **ABOUT,
    )
    return load_bundle(folder, kind="mel2mel")


def small_vocoder(folder: Path, conditioning: str = "performance") -> Path:
    """Write a parallel vocoder for its mels."""
    torch.manual_seed(2)
    sizes = ParallelVocoderConfig(
        conditioning=conditioning,
        n_mels=32,
        sample_rate=48_000,
        hop_length=384,
        n_fft=1536,
        width=8,
        n_blocks=1,
        lookahead=1,
        onset_grid_s=64 / 48_000,
    )
    write_parallel_bundle(ParallelVocoder(sizes, MEL), folder, mel=MEL, name=folder.name, **ABOUT)
    return folder

"""A small timbre encoder with random weights, of the small Mel2Mel's kind of space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.geometry import MelConfig
from timbrel.hearing.encoder import Encoder
from timbrel.hearing.export import write_encoder_bundle
from timbrel.hearing.sizes import EncoderConfig
from timbrel.score.instruments import TEN_INSTRUMENTS

SMALL_SIZES = {"channels": (4, 4, 6, 6), "hidden_size": 16, "n_blocks": 1, "head_size": 12}


def small_encoder_bundle(path: Path, *, calibration: dict | None = None, seed: int = 3) -> Bundle:
    """Write one for ten instruments in three dimensions, with windows of a second."""
    random = np.random.default_rng(seed)
    points = random.standard_normal((10, 3))
    instruments = [
        {"name": name, "program": program, "embedding": point.tolist()}
        for (name, program), point in zip(TEN_INSTRUMENTS.items(), points, strict=True)
    ]
    torch.manual_seed(seed)
    centred = (points - points.mean(axis=0)) / points.std(axis=0)
    model = Encoder(EncoderConfig(10, 3, MelConfig().n_mels, **SMALL_SIZES), centred).eval()
    write_encoder_bundle(
        model,
        path,
        name="small",
        mel=MelConfig(),
        mel2mel="small-mel2mel",
        instruments=instruments,
        window_s=1.0,
        calibration=calibration or {},
        license="MIT",
        attribution="Not trained.",
        training={},
    )
    return load_bundle(path)

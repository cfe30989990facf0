"""A transcriber of few weights, by chance, and bundles of it."""

from __future__ import annotations

from pathlib import Path

import torch

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.transcription.decoding import Thresholds
from timbrel.transcription.export import write_transcriber_bundle
from timbrel.transcription.network import Transcriber
from timbrel.transcription.sizes import TranscriberConfig

SMALL_SIZES = {
    "stem_size": 6,
    "hidden_size": 8,
    "head_size": 4,
    "kernel_keys": 5,
    "dilations": (1, 3),
    "ahead": (3, 1),
    "context_size": 4,
    "context_before": 1,
    "reader_size": 6,
}


def small_transcriber() -> Transcriber:
    """Make a network all of whose weights do something, and are exact in half precision."""
    torch.manual_seed(2)
    model = Transcriber(TranscriberConfig(**SMALL_SIZES)).eval()
    with torch.no_grad():
        for block in model.blocks:
            block.contract.weight.normal_(std=0.3)
        assert model.context is not None
        model.context.tell.weight.normal_(std=0.3)
        assert model.reader is not None
        model.reader.tell.weight.normal_(std=0.3)
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    return model


def small_transcriber_bundle(path: Path, thresholds: Thresholds | None = None) -> Bundle:
    """Write its bundle."""
    write_transcriber_bundle(
        small_transcriber(),
        path,
        name="small",
        sample_rate=16_000,
        thresholds=(thresholds or Thresholds()).as_dict(),
        license="MIT",
        attribution="Not trained.",
        training={},
    )
    return load_bundle(path, kind="transcriber")

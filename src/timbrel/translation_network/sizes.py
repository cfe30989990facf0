"""Sizes of the translation network; this file needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

from timbrel.notes.sizes import AutoencoderConfig


@dataclass(frozen=True)
class TranslationNetworkConfig(AutoencoderConfig):
    """Sizes of the encoder, and of each decoder; the defaults are the published ones.

    The layers of the published decoders have two taps, where those of the notes' decoder have
    three: with as many layers, twice as much of the past is heard.
    """

    code_size: int = 64
    hop_length: int = 800  # 50 ms
    decoder_layers: int = 40
    residual_size: int = 128
    skip_size: int = 128
    n_domains: int = 6

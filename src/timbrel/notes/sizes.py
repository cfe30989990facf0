"""Sizes of the autoencoder of notes, and values derived from them; this file needs no PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from timbrel.geometry import MelConfig

KERNEL_SIZE = 3
SPECTRUM_REACH = 2  # codes to each side of one that tell its mel
SPECTRUM_MEL = MelConfig()  # of that mel


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes of both networks; the defaults are the published ones."""

    code_size: int = 16
    hop_length: int = 512  # samples that share a code
    encoder_layers: int = 30
    encoder_cycle: int = 10  # layers until the dilation starts again at 1
    encoder_size: int = 128
    decoder_layers: int = 30
    decoder_cycle: int = 10
    residual_size: int = 512
    skip_size: int = 256
    # Beside each code the decoder is given which of so many learnt prototypes it is nearest to.
    # None was published. What is linear in 16 numbers does not single out a pitch; this can.
    n_prototypes: int = 0

    @property
    def condition_size(self) -> int:
        """Numbers that the decoder is given for each frame."""
        return self.code_size + self.n_prototypes

    @property
    def encoder_dilations(self) -> list[int]:
        return [2 ** (layer % self.encoder_cycle) for layer in range(self.encoder_layers)]

    @property
    def decoder_dilations(self) -> list[int]:
        return [2 ** (layer % self.decoder_cycle) for layer in range(self.decoder_layers)]

    @property
    def encoder_reach(self) -> int:
        """Samples to each side that the encoder's features depend on: 3,070 as published."""
        return sum(self.encoder_dilations) + 1

    @property
    def context_frames(self) -> int:
        """Frames to each side that make a chunk's codes equal to the whole's."""
        return math.ceil(self.encoder_reach / self.hop_length)

    @property
    def receptive_field(self) -> int:
        """Samples that a prediction depends on, those of the input convolution included."""
        return (KERNEL_SIZE - 1) * (sum(self.decoder_dilations) + 1) + 1


@dataclass(frozen=True)
class NoteAutoencoderConfig(AutoencoderConfig):
    """Sizes of the autoencoder of notes."""

    # Units of each layer of what tells a mel from the codes, to which the decoder's sound is held
    # (`timbrel.vocoder.post_filter`); 0: there is none. None was published.
    spectrum_size: int = 0

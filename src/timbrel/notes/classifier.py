"""The judge of reconstructions: a network that recognises a note's pitch and qualities.

As published, it is the baseline's encoder with two heads, trained on original notes only.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from timbrel.notes.baseline import N_PITCHES, BaselineConfig, SpectralEncoder
from timbrel.notes.note import QUALITIES


@dataclass(frozen=True)
class ClassifierConfig:
    """Sizes; the defaults are those of the published baseline's encoder."""

    width: float = 1.0
    code_size: int = 1984


class NoteClassifier(nn.Module):
    """Log spectra → logits of 128 pitches and ten qualities."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SpectralEncoder(BaselineConfig(config.width, config.code_size))
        self.pitch = nn.Linear(config.code_size, N_PITCHES)
        self.qualities = nn.Linear(config.code_size, len(QUALITIES))

    def forward(self, spectra: Tensor) -> tuple[Tensor, Tensor]:
        """From (batch, 512, 256) to logits (batch, 128) and (batch, 10)."""
        codes = self.encoder(spectra)
        return self.pitch(codes), self.qualities(codes)

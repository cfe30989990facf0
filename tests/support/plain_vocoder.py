"""A vocoder whose sound is the mel itself, quickly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timbrel.geometry import MelConfig
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder.vocoder import VocoderStream


class PlainVocoder:
    """Writes the magnitudes of each frame as its samples; remembers nothing."""

    def __init__(self, mel: MelConfig) -> None:
        self.mel = mel
        self.roll: str | None = None

    def stream(
        self,
        rolls: Sequence[PianoRoll],  # noqa: ARG002
        *,
        seed: int = 0,  # noqa: ARG002
        numbers: Sequence[int] | None = None,  # noqa: ARG002
    ) -> VocoderStream:
        return self

    def restart(self, frame: int) -> None:
        """There is nothing to forget."""

    def process(self, mel: np.ndarray, *, last: bool = False) -> np.ndarray:  # noqa: ARG002
        samples = np.arange(self.mel.hop_length) % self.mel.n_mels
        return np.exp(mel[..., samples]).reshape(len(mel), -1)

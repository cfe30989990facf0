"""The geometry of a mel spectrogram: what every model states and nothing reads from a global."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrel import constants


@dataclass(frozen=True)
class MelConfig:
    """The geometry of a mel spectrogram; part of every model's configuration."""

    sample_rate: int = constants.SAMPLE_RATE
    hop_length: int = constants.HOP_LENGTH
    n_fft: int = constants.N_FFT
    n_mels: int = constants.N_MELS
    f_min_hz: float = constants.F_MIN_HZ
    f_max_hz: float = constants.F_MAX_HZ
    floor: float = constants.MEL_FLOOR  # magnitude

    @property
    def frame_rate(self) -> float:
        return self.sample_rate / self.hop_length

    @property
    def log_floor(self) -> float:
        return float(np.log(self.floor))

    def __str__(self) -> str:
        return (
            f"{self.sample_rate} Hz, hop {self.hop_length}, window {self.n_fft}, "
            f"{self.n_mels} mels from {self.f_min_hz:g} to {self.f_max_hz:g} Hz"
        )

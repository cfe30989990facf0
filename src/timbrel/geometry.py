"""The geometry of a mel spectrogram, which every model states; no code reads it from a global."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrel import constants
from timbrel.errors import InputError


@dataclass(frozen=True)
class MelConfig:
    """The geometry of a mel spectrogram; part of every model's configuration.

    Raises
    ------
    InputError
        If the hop does not divide the sample rate: piano rolls have a whole number of frames a
        second, and so that frames fall on samples, mels have as many.
    """

    sample_rate: int = constants.SAMPLE_RATE
    hop_length: int = constants.HOP_LENGTH
    n_fft: int = constants.N_FFT
    n_mels: int = constants.N_MELS
    f_min_hz: float = constants.F_MIN_HZ
    f_max_hz: float = constants.F_MAX_HZ
    floor: float = constants.MEL_FLOOR  # magnitude

    def __post_init__(self) -> None:
        for name in ("sample_rate", "hop_length", "n_fft", "n_mels"):
            if getattr(self, name) < 1:
                raise InputError(f"'{name}' is {getattr(self, name)}; it must be at least 1")
        if self.sample_rate % self.hop_length:
            raise InputError(
                f"a hop of {self.hop_length} samples does not divide the sample rate of "
                f"{self.sample_rate} Hz into whole frames a second; take a hop of "
                f"{' or '.join(map(str, self._hops_nearby()))}"
            )

    def _hops_nearby(self) -> list[int]:
        """The nearest hops below and above that divide the sample rate."""
        hops = [hop for hop in range(1, self.sample_rate + 1) if self.sample_rate % hop == 0]
        below = [hop for hop in hops if hop < self.hop_length][-1:]
        return below + [hop for hop in hops if hop > self.hop_length][:1]

    @property
    def frame_rate(self) -> int:
        """Frames a second, of mels and of the piano rolls that they are made of."""
        return self.sample_rate // self.hop_length

    @property
    def log_floor(self) -> float:
        return float(np.log(self.floor))

    def log_amplitude(self, amplitude: float) -> float:
        """What a sine of so much amplitude is in the mel, where it lies in the middle of a band."""
        return float(np.log(amplitude * self.n_fft / 4))  # a Hann window adds up to n_fft / 2

    def __str__(self) -> str:
        return (
            f"{self.sample_rate} Hz, hop {self.hop_length}, window {self.n_fft}, "
            f"{self.n_mels} mels from {self.f_min_hz:g} to {self.f_max_hz:g} Hz"
        )

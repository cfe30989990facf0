"""The sizes of a transcriber: of its front end, which NumPy computes, and of its network."""

from __future__ import annotations

from dataclasses import dataclass

from timbrel.constants import HIGHEST_PITCH, LOWEST_PITCH, N_PITCHES, SAMPLE_RATE
from timbrel.errors import InputError

KIND = "transcriber"
# What a network says of each key and frame, in the order of its outputs.
ONSET, FRAME, OFFSET, VELOCITY, BEND = range(5)
HEADS = ("onset", "frame", "offset", "velocity", "bend")
MAX_BEND_CENTS = 60.0  # a bend is told within these limits; beyond, the next key sounds


@dataclass(frozen=True)
class TranscriberConfig:
    """Sizes of a transcriber.

    Raises
    ------
    InputError
        If a block has no reach, or reaches further into the future than its kernel.
    """

    sample_rate: int = SAMPLE_RATE
    hop_length: int = 256  # samples between frames
    windows: tuple[int, ...] = (4096, 1024)  # samples; a long one tells pitches, a short one times
    bands_per_semitone: int = 3
    # What is stacked of the spectrum for each key: its own frequency times these.
    harmonics: tuple[float, ...] = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
    scale: float = 10_000.0  # a magnitude x is seen as log(1 + scale · x)
    stem_size: int = 32
    hidden_size: int = 48
    expansion: int = 3
    head_size: int = 24
    kernel_frames: int = 7  # of the blocks
    kernel_keys: int = 25
    # For each block: frames between the taps of its kernel, and how many taps lie in the future.
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 1)
    ahead: tuple[int, ...] = (3, 3, 2, 1, 0, 3)
    # What is heard of the sound of all keys together: numbers of a memory, none if 0, and before
    # which of the blocks it speaks.
    context_size: int = 0
    context_before: int = 3
    # What reads how hard a key was struck off its own spectrum: the width of its layers, none if 0.
    reader_size: int = 0

    def __post_init__(self) -> None:
        for name in ("windows", "harmonics", "dilations", "ahead"):  # JSON and YAML give lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.dilations) != len(self.ahead):
            raise InputError("'dilations' and 'ahead' must have a number for each block")
        if not all(0 <= taps < self.kernel_frames for taps in self.ahead):
            raise InputError(f"'ahead' must be from 0 to {self.kernel_frames - 1} for each block")
        if self.context_size and not 0 <= self.context_before <= len(self.dilations):
            raise InputError("'context_before' must be the number of a block, counted from 0")
        if self.sample_rate % 2 or any(window % 2 for window in self.windows):
            raise InputError("the sample rate and the windows must be even")

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop_length

    @property
    def n_bands(self) -> int:
        """Bands of the spectra that the front end gives."""
        low, high = min(self.shifts), max(self.shifts)
        return N_PITCHES * self.bands_per_semitone + high - low

    @property
    def shifts(self) -> tuple[int, ...]:
        """How many bands each harmonic lies above a key's own."""
        from math import log2

        octave = 12 * self.bands_per_semitone
        return tuple(round(octave * log2(harmonic)) for harmonic in self.harmonics)

    def band_pitches(self) -> list[float]:
        """The centre of each band, as a MIDI pitch; each key lies in the middle of its bands."""
        step = 1 / self.bands_per_semitone
        first = LOWEST_PITCH - (self.bands_per_semitone - 1) / 2 * step + min(self.shifts) * step
        return [first + band * step for band in range(self.n_bands)]

    @property
    def frames_ahead(self) -> int:
        """How many frames the network hears beyond the one that it speaks of."""
        blocks = zip(self.dilations, self.ahead, strict=True)
        return STEM_AHEAD + sum(dilation * taps for dilation, taps in blocks)

    @property
    def latency_s(self) -> float:
        """How long after a sound the network can speak of it."""
        samples = self.frames_ahead * self.hop_length + max(self.windows) // 2
        return samples / self.sample_rate


STEM_AHEAD = 2  # frames, of the two convolutions before the blocks
KEYS = range(LOWEST_PITCH, HIGHEST_PITCH + 1)

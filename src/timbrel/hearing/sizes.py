"""The sizes of a timbre encoder, and what its numbers mean; without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timbrel.bundles.bundle import Instrument
from timbrel.errors import InputError

KIND = "encoder"
# A window of audio is reduced to its level and the shape of its mel down to so many nats below.
FLOOR_NATS = 8.0
TINY_POWER = 1e-12  # that of silence in a mel spectrogram is 1e-10
SMALLEST_DEVIATION = 0.03  # in normalised coordinates: nobody is surer than that


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of the network.

    Raises
    ------
    InputError
        If a size is not possible.
    """

    n_instruments: int
    timbre_size: int
    n_mels: int
    channels: tuple[int, ...] = (32, 48, 64, 96)  # of the convolutions over time and bands
    hidden_size: int = 256
    n_blocks: int = 2
    attention_heads: int = 2
    head_size: int = 192

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))  # JSON and YAML give lists
        numbers = (*self.channels, *(v for v in vars(self).values() if isinstance(v, int)))
        if len(self.channels) != len(STRIDES) or min(numbers) < 1:
            raise InputError(
                f"an encoder has {len(STRIDES)} numbers of channels, and no size is below 1"
            )

    @property
    def n_bands(self) -> int:
        """Bands that are left after the convolutions."""
        n_bands = self.n_mels
        for _, stride in STRIDES:
            n_bands = -(-n_bands // stride)
        return n_bands

    @property
    def n_triangle(self) -> int:
        """Numbers in the lower triangle of a covariance's Cholesky factor."""
        return self.timbre_size * (self.timbre_size + 1) // 2


# Of the convolutions, over frames and bands.
STRIDES = ((2, 2), (1, 2), (2, 2), (1, 2))


@dataclass(frozen=True)
class Calibration:
    """What was found on the validation split, so that a stated doubt is the true one."""

    # The factor of the covariance of one window.
    temperature: float = 1.0
    # The factor of what is added to it: the spread of the instruments as far as they are likely.
    spread: float = 0.0
    # The share of a window's variance that all windows of a clip have in common: however long a
    # clip is, this much of the doubt stays.
    shared: float = 0.5
    # The factor of the logits of one window.
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        if not (
            self.temperature > 0
            and self.spread >= 0
            and 0 <= self.shared <= 1
            and self.sharpness > 0
        ):
            raise InputError(f"{self} is not possible")


def normalisation(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The centre of some instruments and their deviation from it: each (timbre_size,).

    The network speaks of points as (point − centre) / deviation.
    """
    return embeddings.mean(axis=0), np.maximum(embeddings.std(axis=0), 1e-6)


def embeddings_of(instruments: Sequence[Instrument]) -> np.ndarray:
    """The points of some instruments, (instruments, timbre_size)."""
    return np.array([instrument.embedding for instrument in instruments])


def normalised_points(instruments: Sequence[Instrument]) -> np.ndarray:
    """The points of some instruments in normalised coordinates, (instruments, timbre_size)."""
    points = embeddings_of(instruments)
    centre, deviation = normalisation(points)
    return ((points - centre) / deviation).astype(np.float32)


def neighbour_distance(instruments: Sequence[Instrument]) -> float:
    """The median distance of instruments from their nearest neighbours."""
    points = embeddings_of(instruments)
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(distances, np.inf)
    return float(np.median(distances.min(axis=1)))

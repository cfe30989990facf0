"""Measurements of a model's timbre space: how a short phrase sounds at points of it.

Only the model's mel is measured, so no vocoder influences the result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrel.bundles.bundle import Bundle, Instrument
from timbrel.geometry import MelConfig
from timbrel.mel.generator import MelGenerator
from timbrel.mel.spectrogram import mel_filters
from timbrel.score.performance_roll import roll_of
from timbrel.score.score import Note, Track
from timbrel.timbre.timbre import Timbre

# C3, C4 and C5 in succession, held for half a second each.
PHRASE = tuple(Note(pitch, 90, 0.6 * i, 0.6 * i + 0.5) for i, pitch in enumerate((48, 60, 72)))
# What drum kits play instead: bass drum, closed hi-hat, snare, low tom, open hi-hat, crash cymbal.
STROKES = tuple(
    Note(key, 100, 0.25 * i, 0.25 * i + 0.2) for i, key in enumerate((36, 42, 38, 45, 46, 49))
)
_PHRASE_S = 1.92
_MARGIN = 0.15  # of the map, beyond the outermost instruments
_TRACKS_AT_ONCE = 32


@dataclass(frozen=True)
class TimbreMap:
    """The plane through a model's instruments, and what sounds there."""

    axes: tuple[np.ndarray, np.ndarray]  # the grid's coordinates, (columns,) and (rows,)
    centroid_hz: np.ndarray  # (rows, columns)
    energy_db: np.ndarray  # (rows, columns)
    instruments: np.ndarray  # (instruments, 2), in the plane; see `melodic`
    instrument_centroid_hz: np.ndarray  # (instruments,)
    instrument_energy_db: np.ndarray  # (instruments,)
    explained: float  # share of the instruments' variance that lies in the plane; 1 in 2 dimensions


@dataclass(frozen=True)
class TimbreLine:
    """What sounds along the straight line between two instruments."""

    names: tuple[str, str]
    share: np.ndarray  # (points,) of the second instrument
    spectra_db: np.ndarray  # (points, n_mels), of the phrase's loudest half
    centroid_hz: np.ndarray  # (points,)
    energy_db: np.ndarray  # (points,)


def timbre_map(bundle: Bundle, *, size: int = 13) -> TimbreMap:
    """Measure a grid of `size` · `size` points of the plane through the instruments.

    In two dimensions the plane is the space itself; in more it is that of the first two principal
    components of the instruments' points.
    """
    points = np.array([instrument.embedding for instrument in melodic(bundle)])
    centre, basis, explained = _plane(points)
    flat = (points - centre) @ basis.T  # (instruments, 2)
    low, high = flat.min(axis=0), flat.max(axis=0)
    margin = np.maximum(_MARGIN * (high - low), 1e-3)
    axes = [np.linspace(a, b, size) for a, b in zip(low - margin, high + margin, strict=True)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    mels = phrase_mels(bundle, np.concatenate([grid @ basis + centre, points]))
    centroid_hz, energy_db = centroids_hz(mels, bundle.mel), energies_db(mels)
    return TimbreMap(
        axes=(axes[0], axes[1]),
        centroid_hz=centroid_hz[: len(grid)].reshape(size, size),
        energy_db=energy_db[: len(grid)].reshape(size, size),
        instruments=flat,
        instrument_centroid_hz=centroid_hz[len(grid) :],
        instrument_energy_db=energy_db[len(grid) :],
        explained=explained,
    )


def timbre_line(bundle: Bundle, *, size: int = 17) -> TimbreLine:
    """Measure the line between the two instruments that lie farthest from each other."""
    known = melodic(bundle)
    points = np.array([instrument.embedding for instrument in known])
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    first, second = sorted(np.unravel_index(distances.argmax(), distances.shape))
    share = np.linspace(0, 1, size)
    mels = phrase_mels(bundle, points[first] + share[:, None] * (points[second] - points[first]))
    magnitudes = np.exp(mels.astype(np.float64))
    spectra = np.sqrt(np.square(magnitudes).mean(axis=1))
    return TimbreLine(
        names=(known[first].name, known[second].name),
        share=share,
        spectra_db=20 * np.log10(spectra),
        centroid_hz=centroids_hz(mels, bundle.mel),
        energy_db=energies_db(mels),
    )


def melodic(bundle: Bundle) -> list[Instrument]:
    """The instruments of a model that can play the phrase: all but drum kits."""
    return [instrument for instrument in bundle.instruments if not instrument.is_kit]


def phrase_mels(
    bundle: Bundle, points: np.ndarray, phrase: tuple[Note, ...] = PHRASE, *, is_kit: bool = False
) -> np.ndarray:
    """The model's mels of a phrase at some points: (points, frames, n_mels)."""
    generator = MelGenerator(bundle)
    frame_rate = bundle.mel.frame_rate
    track = Track("phrase", 0, 0, phrase, is_kit=is_kit)
    roll = roll_of(bundle.roll, track, phrase, frame_rate)
    n_frames = round(_PHRASE_S * frame_rate)
    mels = []
    for start in range(0, len(points), _TRACKS_AT_ONCE):
        timbres = [Timbre.constant(point) for point in points[start : start + _TRACKS_AT_ONCE]]
        blocks = list(generator.stream([roll] * len(timbres), timbres, n_frames))
        mels.append(np.concatenate(blocks, axis=1))
    return np.concatenate(mels)


def centroids_hz(mels: np.ndarray, config: MelConfig) -> np.ndarray:
    """Spectral centroid of clips, weighted by magnitude: (clips, frames, n_mels) → (clips,)."""
    filters = mel_filters(config)
    bins_hz = np.arange(len(filters)) * config.sample_rate / config.n_fft
    centres_hz = bins_hz @ filters / np.maximum(filters.sum(axis=0), 1e-9)
    magnitudes = np.exp(mels.astype(np.float64)).sum(axis=1)
    return magnitudes @ centres_hz / magnitudes.sum(axis=1)


def energies_db(mels: np.ndarray) -> np.ndarray:
    """Mean energy of clips, of the mel's magnitudes: (clips, frames, n_mels) → (clips,)."""
    return 10 * np.log10(np.square(np.exp(mels.astype(np.float64))).mean(axis=(1, 2)))


def _plane(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """A point of a plane, two unit vectors in it (2, size), and the variance that it explains."""
    size = points.shape[1]
    if size <= 2:
        basis = np.eye(2, size)
        return np.zeros(size), basis, 1.0
    centre = points.mean(axis=0)
    _, weights, directions = np.linalg.svd(points - centre, full_matrices=False)
    variances = np.square(weights)
    return centre, directions[:2], float(variances[:2].sum() / variances.sum())

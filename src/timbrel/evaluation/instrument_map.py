"""The map of all instruments of a model whose timbre space has more than two dimensions.

Instruments whose timbres are alike lie close together: t-SNE (van der Maaten and Hinton 2008) of
their embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrel.bundles.bundle import Bundle
from timbrel.errors import MissingToolError
from timbrel.evaluation.timbre_space import (
    PHRASE,
    STROKES,
    centroids_hz,
    energies_db,
    phrase_mels,
)

# About so many neighbours of each instrument count. Of a few instruments fewer do.
_PERPLEXITY = 15.0
_MOST_PERPLEXITY = 1 / 3  # of the other instruments


@dataclass(frozen=True)
class InstrumentMap:
    """Places of a model's instruments, and how they sound, in the order of the bundle's.

    Instruments play three notes, drum kits a beat; both are measured on the model's mel.
    """

    places: np.ndarray  # (instruments, dimensions), of which the farthest from the origin is at 1
    centroid_hz: np.ndarray  # (instruments,)
    energy_db: np.ndarray  # (instruments,)


def instrument_map(bundle: Bundle, *, dimensions: int) -> InstrumentMap:
    """Measure all instruments of a model and lay them out in 2 or 3 dimensions.

    Raises
    ------
    MissingToolError
        If scikit-learn is not installed.
    """
    points = np.array([instrument.embedding for instrument in bundle.instruments])
    places = arranged(points, dimensions=dimensions)
    is_kit = np.array([instrument.is_kit for instrument in bundle.instruments])
    centroid_hz, energy_db = np.zeros((2, len(points)))
    for those, phrase in ((~is_kit, PHRASE), (is_kit, STROKES)):
        if those.any():
            mels = phrase_mels(bundle, points[those], phrase, is_kit=phrase is STROKES)
            centroid_hz[those] = centroids_hz(mels, bundle.mel)
            energy_db[those] = energies_db(mels)
    return InstrumentMap(places, centroid_hz, energy_db)


def arranged(points: np.ndarray, *, dimensions: int) -> np.ndarray:
    """Places for points of a space, (n, size) → (n, dimensions), by t-SNE.

    They are the same each time. The places' centre of gravity is the origin, their principal axes
    are the coordinates' in order, and more of the places' weight lies on the positive sides.

    Raises
    ------
    MissingToolError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise MissingToolError(
            "the map needs scikit-learn; install it with: pip install 'timbrel[train]'"
        ) from None
    perplexity = min(_PERPLEXITY, _MOST_PERPLEXITY * (len(points) - 1))
    layout = TSNE(
        dimensions, perplexity=perplexity, init="pca", method="exact", random_state=0, n_jobs=1
    )
    places = layout.fit_transform(points.astype(np.float64)).astype(np.float64)
    places -= places.mean(axis=0)
    _, _, axes = np.linalg.svd(places, full_matrices=False)
    places = places @ axes.T
    places *= np.where((places**3).sum(axis=0) < 0, -1.0, 1.0)
    return places / np.linalg.norm(places, axis=1).max()

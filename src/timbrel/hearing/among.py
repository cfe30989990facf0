"""Which of some instruments is heard, where no other can be: what an orchestra's list narrows down.

An encoder tells all of its instruments apart. Where only some are possible, one that is not says
nothing by its name, but much by its place: what sounds like Electric Piano 2 is, among a harp and
an electric piano, the electric piano.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timbrel.bundles.bundle import Instrument
from timbrel.hearing.sizes import embeddings_of, neighbour_distance

# The deviation of the places of what is heard as one instrument, in distances between neighbours:
# where it is half of one, two neighbours are told apart half way between them.
_DEVIATION = 0.5
_LEAST_DEVIATION = 1e-6  # where all instruments lie in one place


def likely_among(
    probabilities: np.ndarray, instruments: Sequence[Instrument], chosen: Sequence[int]
) -> np.ndarray:
    """How likely each of some instruments is, where a sound may be no other.

    Each instrument that is not possible speaks for those near it, by a Gaussian of its distance.

    Parameters
    ----------
    probabilities
        Of all instruments, (…, instruments).
    instruments
        All that an encoder knows.
    chosen
        The places of those that are possible.

    Returns
    -------
    numpy.ndarray
        (…, chosen). What is missing to 1 is unlike all of them.
    """
    points = embeddings_of(instruments)
    distances = np.linalg.norm(points[:, None] - points[list(chosen)], axis=-1)
    deviation = max(_DEVIATION * neighbour_distance(instruments), _LEAST_DEVIATION)
    shares = np.exp(-np.square(distances / deviation) / 2)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    shares[list(chosen)] = np.eye(len(chosen))  # those that are possible speak for themselves
    return probabilities @ shares

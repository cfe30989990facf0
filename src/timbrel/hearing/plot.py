"""Pictures of a timbre that was heard, among the instruments of its model."""

from __future__ import annotations

import os

import numpy as np

from timbrel.bundles.bundle import Bundle
from timbrel.hearing.from_audio import FoundTimbre
from timbrel.hearing.sizes import embeddings_of
from timbrel.pictures import new_figure, save_figure

_REGION = 2.146  # radii of a plane's Gaussian that hold 90 %: the root of −2 ln(0.1)
_NAMED = 12  # of the instruments, those that lie nearest


def plot_found(found: FoundTimbre, bundle: Bundle, path: str | os.PathLike) -> None:
    """Draw the 90 % region of a timbre in the plane that shows the model's instruments best.

    Parameters
    ----------
    found
        What was heard.
    bundle
        The encoder that heard it.
    path
        A PNG or SVG file to write.

    Raises
    ------
    MissingToolError
        If matplotlib is not installed.
    InputError
        If the extension is not that of a picture.
    """
    figure = new_figure(path, figsize=(9, 7))
    from matplotlib.patches import Ellipse

    points = embeddings_of(bundle.instruments)
    centre = points.mean(axis=0)
    basis = np.linalg.svd(points - centre, full_matrices=False)[2][:2]
    flat = (points - centre) @ basis.T
    place = (np.array(found.point) - centre) @ basis.T
    sizes, directions = np.linalg.eigh(basis @ found.covariance @ basis.T)
    width, height = 2 * _REGION * np.sqrt(sizes[::-1])
    angle = np.degrees(np.arctan2(directions[1, 1], directions[0, 1]))
    axes = figure.subplots()
    is_kit = np.array([instrument.is_kit for instrument in bundle.instruments])
    for chosen, marker, label in ((~is_kit, "o", "instruments"), (is_kit, "s", "drum kits")):
        if chosen.any():
            axes.scatter(
                flat[chosen, 0], flat[chosen, 1], s=12, marker=marker, color="0.6", label=label
            )
    distances = np.linalg.norm(points - np.array(found.point), axis=1)
    for index in np.argsort(distances)[:_NAMED]:
        axes.annotate(bundle.instruments[index].name, flat[index], fontsize=8)
    region = Ellipse(tuple(place), width, height, angle=angle, alpha=0.25, label="90 % region")
    axes.add_patch(region)
    axes.plot(*place, "x", color="C3", markersize=10, label="heard")
    axes.set(xlabel="first principal component", ylabel="second principal component")
    axes.set_title(f"{found.model}: the {_NAMED} nearest of all its coordinates are named")
    axes.legend()
    save_figure(figure, path, dpi=120)

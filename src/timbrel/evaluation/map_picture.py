"""A picture of a model's timbre map: its instruments, by families, with their names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from timbrel.bundles.bundle import Bundle
from timbrel.evaluation.instrument_map import arranged
from timbrel.pictures import new_figure, save_figure
from timbrel.score.instruments import FAMILY_NAMES, KIT_FAMILY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

_FEW = 20  # instruments, of which the names stand in larger letters
_DPI = 150
# Where a name may stand, in points from its dot: the best places first, then farther around it.
_DIRECTIONS = (
    *((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)),
    *((0.8, 0.7), (0.8, -0.7), (-0.8, 0.7), (-0.8, -0.7)),
)
_OFFSETS = [(r * x, r * y) for r in (5, 9, 14, 20, 28, 38) for x, y in _DIRECTIONS]


def plot_timbre_map(bundle: Bundle, path: str | os.PathLike) -> None:
    """Draw the instruments of a model, coloured by family and named, to a file.

    A timbre space of two dimensions is drawn as it is; of more, a t-SNE in two.

    Raises
    ------
    MissingToolError
        If matplotlib, or scikit-learn where it is needed, is not installed.
    InputError
        If the extension is not that of a picture.
    """
    points = np.array([instrument.embedding for instrument in bundle.instruments])
    is_space = points.shape[1] == 2
    places = points if is_space else arranged(points, dimensions=2)
    side = 8 if len(points) <= _FEW else 15
    figure = new_figure(path, figsize=(side, 0.8 * side), dpi=_DPI)
    axes = figure.subplots()
    _draw_dots(axes, bundle, places)
    if is_space:
        axes.set(xlabel="first coordinate", ylabel="second coordinate")
        axes.set_title(f"Timbre map of {bundle.name}")
    else:
        axes.set(xticks=[], yticks=[])
        size = points.shape[1]
        axes.set_title(f"Timbre map of {bundle.name}: t-SNE of its {size}-dimensional space")
    axes.margins(0.08)
    _name_dots(figure, axes, bundle, places)
    save_figure(figure, path, dpi=_DPI)


def _draw_dots(axes: Axes, bundle: Bundle, places: np.ndarray) -> None:
    from matplotlib import colormaps

    families = [instrument.family for instrument in bundle.instruments]
    colours = (*colormaps["tab20"].colors, *colormaps["Dark2"].colors)  # type: ignore[attr-defined]
    for colour, family in zip(colours, (*FAMILY_NAMES, KIT_FAMILY), strict=False):
        those = places[[one == family for one in families]]
        if len(those):
            x, y = those.T
            axes.scatter(x, y, s=36, color=colour, edgecolors="black", linewidths=0.5, label=family)
    axes.legend(fontsize=8, ncols=1, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _name_dots(figure: Figure, axes: Axes, bundle: Bundle, places: np.ndarray) -> None:
    """Write each name where it covers no other name and no dot, as near to its dot as can be."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    size = 9 if len(places) <= _FEW else 6
    figure.draw_without_rendering()  # lays out, so that what is measured stays
    renderer = FigureCanvasAgg(figure).get_renderer()
    frame = axes.get_window_extent(renderer)
    dots = axes.transData.transform(places)
    taken: list[Bbox] = [_around(dot) for dot in dots]
    for instrument, place in zip(bundle.instruments, places, strict=True):
        label = axes.annotate(
            instrument.name, place, xytext=(0, 0), textcoords="offset points", fontsize=size,
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "grey", "shrinkA": 0},
        )  # fmt: skip
        taken.append(_settled(label, taken, frame, renderer))


def _around(dot: np.ndarray) -> Bbox:
    from matplotlib.transforms import Bbox

    x, y = dot
    return Bbox.from_bounds(x - 6, y - 6, 12, 12)


def _settled(label: Annotation, taken: list[Bbox], frame: Bbox, renderer: RendererAgg) -> Bbox:
    """Move a name to where it covers least, and say which part of the picture it takes."""
    from matplotlib.text import Text  # an annotation's own extent has its arrow

    def moved(offset: tuple[float, float]) -> Bbox:
        x, y = offset
        label.set_position(offset)
        label.set_horizontalalignment("left" if x > 0 else "right" if x < 0 else "center")
        label.set_verticalalignment("bottom" if y > 0 else "top" if y < 0 else "center")
        label.update_positions(renderer)
        return Text.get_window_extent(label, renderer)

    best, least = _OFFSETS[0], np.inf
    for offset in _OFFSETS:
        box = moved(offset)
        outside = box.width * box.height - _common(box, frame)
        covered = outside + sum(_common(box, other) for other in taken)
        if covered < least:
            best, least = offset, covered
        if not covered:
            break
    return moved(best)


def _common(one: Bbox, other: Bbox) -> float:
    """The area that two boxes share."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(width, 0.0) * max(height, 0.0)

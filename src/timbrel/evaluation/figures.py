"""The figures of an evaluation report."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib import rc_context, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from timbrel.bundles.bundle import Bundle
from timbrel.evaluation.conditions import ORIGINAL
from timbrel.evaluation.measuring import sound
from timbrel.evaluation.originals import Excerpt
from timbrel.evaluation.results import CORRELATION, Results
from timbrel.evaluation.run import Evaluation
from timbrel.evaluation.tables import PUBLISHED
from timbrel.evaluation.timbre_space import melodic, timbre_line, timbre_map
from timbrel.measures.correlation import DB_PER_NEPER, N_CQT_BINS
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.progress import Progress, silent

C1_HZ = 32.703
_MEL_SECONDS = 5.0
_GAP_FRAMES = 12  # between two mels
_DARK = {**style.library["dark_background"], "savefig.transparent": True}


@dataclass(frozen=True)
class Picture:
    """A figure, drawn."""

    name: str  # for a file
    title: str
    caption: str
    suffix: str  # "svg", or "png" for what is no drawing of lines
    content: bytes  # on white
    dark: bytes  # for a dark page, without a background


def draw_all(evaluation: Evaluation, *, progress: Progress = silent) -> list[Picture]:
    """Every picture of a report."""
    results = evaluation.results
    work: list[Callable[[], Picture]] = [
        partial(correlation_by_frequency, results),
        partial(correlation_by_instrument, results),
        partial(spectrograms, evaluation),
    ]
    for bundle in evaluation.bundles:
        work += [partial(timbre_space, bundle), partial(between_instruments, bundle)]
    return [draw() for draw in progress(work, len(work), "drawing")]


def correlation_by_frequency(results: Results) -> Picture:
    """The paper's figure: the correlation of each bin, in all conditions."""

    def draw() -> Figure:
        figure = Figure(figsize=(10, 5), layout="constrained")
        axes = figure.subplots()
        frequencies_hz = C1_HZ * 2 ** (np.arange(N_CQT_BINS) / 12)
        for condition in results.syntheses:
            line = "-" if condition.model else "--"
            by_bin = results.pooled(condition.name).by_bin()
            axes.plot(frequencies_hz, by_bin, line, label=condition.name, linewidth=1.2)
        centres_hz = C1_HZ * 2 ** (np.arange(7) + 0.5)
        for (name, (_, octaves)), marker in zip(PUBLISHED.items(), "xo^s*", strict=True):
            axes.plot(
                centres_hz, octaves, f"{marker}:", color="grey", linewidth=0.6, markersize=4,
                label=f"published: {name}",
            )  # fmt: skip
        axes.set(xscale="log", xlabel="pitch", ylabel="correlation with the original")
        axes.set_xticks(C1_HZ * 2.0 ** np.arange(8), [f"C{i}" for i in range(1, 9)])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
        return figure

    return _svg(
        draw,
        "correlation-by-frequency",
        "Correlation by frequency",
        "Log-CQT correlation with the original for each semitone, all tracks and instruments "
        "pooled. Grey: the octave means of Kim et al. (2019).",
    )


def correlation_by_instrument(results: Results) -> Picture:
    """The correlation of each instrument, in all conditions."""

    def draw() -> Figure:
        figure = Figure(figsize=(10, 0.42 * len(results.instruments) + 1.6), layout="constrained")
        axes = figure.subplots()
        rows = np.arange(len(results.instruments))
        for condition in results.syntheses:
            marker = "o" if condition.model else "s"
            means = results.by_instrument(CORRELATION, condition.name)
            axes.plot(means, rows, marker, label=condition.name, alpha=0.8, markersize=5)
        axes.set_yticks(rows, results.instruments)
        axes.invert_yaxis()
        axes.set(xlabel="correlation with the original")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
        return figure

    return _svg(
        draw,
        "correlation-by-instrument",
        "Correlation by instrument",
        "Log-CQT correlation with the original, all tracks of an instrument pooled.",
    )


def spectrograms(evaluation: Evaluation) -> Picture:
    """Mels of one excerpt of each instrument: original, models' mels, and what vocoders make."""
    conditions = evaluation.results.conditions
    columns = [c for c in conditions if c.name == ORIGINAL or c.vocoder]
    models = {c.model_key: f"mel of {c.source}" for c in conditions if c.model}
    names = [condition.name for condition in columns] + list(models.values())
    chosen = chosen_clips(evaluation)
    n_frames = round(_MEL_SECONDS * columns[0].mel.frame_rate)
    gap = np.full((_GAP_FRAMES, columns[0].mel.n_mels), np.nan)
    strips = []
    for key in chosen:
        work = evaluation.works[key]
        mels = [mel_spectrogram(sound(work, condition), condition.mel) for condition in columns]
        mels += [np.load(work.mel_path(model_key)) for model_key in models]
        strips.append(np.concatenate([x for mel in mels for x in (_cut(mel, n_frames), gap)][:-1]))
    middles = (n_frames + _GAP_FRAMES) * np.arange(len(names)) + n_frames / 2

    def draw() -> Figure:
        size = (2.2 * len(names) + 1, 1.3 * len(chosen) + 0.6)
        figure = Figure(figsize=size, layout="constrained")
        rows = figure.subplots(len(chosen), 1, squeeze=False)[:, 0]
        for (_, instrument), strip, axes in zip(chosen, strips, rows, strict=True):
            _draw_mels(axes, strip)
            axes.set_ylabel(instrument, fontsize=8)
            axes.set_xticks([])
        rows[0].set_xticks(middles, names)
        return figure

    return _png(
        draw,
        "spectrograms",
        "Spectrograms",
        f"The first {_MEL_SECONDS:g} s of one excerpt of each instrument as log-mel spectrograms, "
        "80 mels up to 8 kHz, −90 to 10 dB: the original, the sound of each condition, and the "
        "models' own mels.",
    )


def chosen_clips(evaluation: Evaluation) -> list[tuple[Excerpt, str]]:
    """One clip of each instrument, of as many different excerpts as there are."""
    excerpts = evaluation.results.excerpts
    chosen = []
    for i, instrument in enumerate(evaluation.results.instruments):
        in_turn = [excerpts[(i + k) % len(excerpts)] for k in range(len(excerpts))]
        chosen += [(e, instrument) for e in in_turn if (e, instrument) in evaluation.works][:1]
    return chosen


def timbre_space(bundle: Bundle) -> Picture:
    """The map of a model's timbres, by brightness and by energy."""
    found = timbre_map(bundle)

    def draw() -> Figure:
        figure = Figure(figsize=(11, 4.6), layout="constrained")
        for axes, field, values, label in zip(
            figure.subplots(1, 2),
            (found.centroid_hz, found.energy_db),
            (found.instrument_centroid_hz, found.instrument_energy_db),
            ("spectral centroid (Hz)", "mean energy (dB)"),
            strict=True,
        ):
            limits = {"vmin": field.min(), "vmax": field.max(), "cmap": "viridis"}
            shown = axes.pcolormesh(*found.axes, field, shading="gouraud", **limits)
            x, y = found.instruments.T
            axes.scatter(x, y, c=values, edgecolors="white", s=60, **limits)
            for instrument, point in zip(melodic(bundle), found.instruments, strict=True):
                axes.annotate(
                    instrument.name, point, xytext=(5, 4), textcoords="offset points", fontsize=7,
                    color="white",
                )  # fmt: skip
            figure.colorbar(shown, ax=axes, label=label)
        return figure

    share = "" if found.explained == 1 else (
        f" The plane of the first two principal components, with {100 * found.explained:.0f} % of "
        "the instruments' variance."
    )  # fmt: skip
    return _png(
        draw,
        f"timbre-space-{bundle.name}",
        f"The timbre space of {bundle.name}",
        "What the notes C3, C4 and C5 sound like at each point, measured on the model's mel."
        + share,
    )


def between_instruments(bundle: Bundle) -> Picture:
    """How the sound changes on the way from one instrument to another."""
    found = timbre_line(bundle)

    def draw() -> Figure:
        figure = Figure(figsize=(10, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        shown = left.pcolormesh(
            found.share, np.arange(found.spectra_db.shape[1]), found.spectra_db.T, cmap="magma"
        )
        figure.colorbar(shown, ax=left, label="dB")
        left.set(ylabel="mel bin")
        right.plot(found.share, found.centroid_hz, "C0")
        right.set_ylabel("spectral centroid (Hz)", color="C0")
        other = right.twinx()
        other.plot(found.share, found.energy_db, "C1")
        other.set_ylabel("mean energy (dB)", color="C1")
        for axes in (left, right):
            axes.set_xlabel(f"share of {found.names[1]}")
        return figure

    return _png(
        draw,
        f"between-instruments-{bundle.name}",
        f"From {found.names[0]} to {found.names[1]}, {bundle.name}",
        "Mean spectrum, brightness and energy of the same three notes along the straight line "
        "between the two instruments that lie farthest from each other.",
    )


def _cut(mel: np.ndarray, n_frames: int) -> np.ndarray:
    """The beginning of a natural-log mel (frames, n_mels), in dB; what is missing is empty."""
    shown = mel[:n_frames].astype(np.float32) * DB_PER_NEPER
    return np.pad(shown, ((0, n_frames - len(shown)), (0, 0)), constant_values=np.nan)


def _draw_mels(axes: Axes, mels: np.ndarray) -> None:
    """Mels in dB, (frames, n_mels)."""
    axes.imshow(mels.T, aspect="auto", origin="lower", cmap="magma", vmin=-90, vmax=10)
    axes.set_yticks([])
    axes.tick_params(axis="x", labelsize=8, length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)


def _svg(draw: Callable[[], Figure], name: str, title: str, caption: str) -> Picture:
    return _drawn(draw, name, title, caption, "svg")


def _png(draw: Callable[[], Figure], name: str, title: str, caption: str) -> Picture:
    return _drawn(draw, name, title, caption, "png")


def _drawn(draw: Callable[[], Figure], name: str, title: str, caption: str, suffix: str) -> Picture:
    """Drawn twice, as colours of text and lines are chosen when they are drawn."""
    light = _saved(draw(), suffix)
    with rc_context(_DARK):
        dark = _saved(draw(), suffix)
    return Picture(name, title, caption, suffix, light, dark)


def _saved(figure: Figure, suffix: str) -> bytes:
    file = io.BytesIO()
    # Without the date, so that the same results are the same file.
    metadata = {"Date": None} if suffix == "svg" else {}
    figure.savefig(file, format=suffix, dpi=110, metadata=metadata)
    return file.getvalue()

"""A picture of a fit: the clip's mel beside the fitted timbre's, and the error along the way."""

from __future__ import annotations

import os
from pathlib import Path

from timbrel.errors import InputError, need_packages
from timbrel.fitting.fit import FittedTimbre
from timbrel.geometry import MelConfig
from timbrel.pictures import new_figure, save_figure

_EXTENSIONS = (".png", ".svg", ".pdf")


def check_plot(path: str | os.PathLike) -> None:
    """Refuse, before any work is done, a picture that could not be drawn."""
    if Path(path).suffix.lower() not in _EXTENSIONS:
        raise InputError(f"{path}: pictures end in {', '.join(_EXTENSIONS)}")
    need_packages("train", "drawing", "matplotlib")


def plot_fit(found: FittedTimbre, mel: MelConfig, path: str | os.PathLike, *, title: str) -> None:
    """Draw a fit to a file."""
    check_plot(path)
    figure = new_figure(path, figsize=(12, 4))
    first, second, errors = figure.subplots(1, 3)
    extent = (0, len(found.mel) / mel.frame_rate, 0, mel.n_mels)
    loudest = found.clip_mel.max()
    words = (f"the clip ({title})", f"the fitted timbre, {found.error_db:.1f} dB off")
    for axes, shown, said in zip((first, second), (found.clip_mel, found.mel), words, strict=True):
        axes.imshow(
            shown.T,
            aspect="auto",
            origin="lower",
            extent=extent,
            cmap="magma",
            vmin=mel.log_floor,
            vmax=loudest,
        )
        axes.set(xlabel="time (s)", ylabel="mel band", title=said)
    steps = [check.step for check in found.checks]
    errors.plot(steps, [check.seen_db for check in found.checks], label="seen")
    errors.plot(steps, [check.held_out_db for check in found.checks], label="held out")
    errors.axhline(found.nearest_error_db, color="gray", label=found.nearest)
    errors.set(xlabel="step", ylabel="log-mel error (dB)", title="error along the fit")
    errors.legend()
    save_figure(figure, path, dpi=110)

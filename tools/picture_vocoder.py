"""Draw what the parallel vocoder makes of one excerpt of each instrument beside the original.

The sounds are taken from the cache of `make results`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from timbrel.constants import SAMPLE_RATE, SMALL_MODEL
from timbrel.evaluation.conditions import ORIGINAL
from timbrel.evaluation.figures import chosen_clips
from timbrel.evaluation.measuring import sound
from timbrel.evaluation.originals import choose_excerpts
from timbrel.evaluation.run import Evaluation, evaluate
from timbrel.mel.spectrogram import stft

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs/images/vocoder.jpg"
SECONDS = 3.0
N_FFT, HOP = 1024, 128
FLOOR_DB, TOP_DB = -90.0, 10.0


def main(midi: Path, soundfont: Path, cache: Path) -> None:
    """Write docs/images/vocoder.jpg."""
    found = evaluated(midi, soundfont, cache)
    chosen = chosen_clips(found)
    conditions = [c for c in found.results.conditions if c.name == ORIGINAL or c.vocoder]
    figure = Figure(figsize=(4 * len(conditions), 1.7 * len(chosen)), layout="constrained")
    grid = figure.subplots(len(chosen), len(conditions), sharex=True, sharey=True)
    for row, (excerpt, instrument) in zip(grid, chosen, strict=True):
        work = found.works[excerpt, instrument]
        for axes, condition in zip(row, conditions, strict=True):
            audio = sound(work, condition)[: round(SECONDS * SAMPLE_RATE)]
            magnitude = np.abs(stft(audio, n_fft=N_FFT, hop_length=HOP))
            axes.imshow(
                20 * np.log10(np.maximum(magnitude, 1e-9)).T,
                aspect="auto",
                origin="lower",
                cmap="magma",
                vmin=FLOOR_DB,
                vmax=TOP_DB,
                extent=(0, SECONDS, 0, SAMPLE_RATE / 2000),
            )
        row[0].set_ylabel(f"{instrument}\nkHz")
    for axes, condition in zip(grid[0], conditions, strict=True):
        axes.set_title(condition.name)
    for axes in grid[-1]:
        axes.set_xlabel("s")
    figure.savefig(TARGET, dpi=60, pil_kwargs={"quality": 80})


def evaluated(midi: Path, soundfont: Path, cache: Path) -> Evaluation:
    """The parallel vocoder on true mels and on those of the small model."""
    return evaluate(
        midi,
        soundfont,
        choose_excerpts(midi),
        models=[SMALL_MODEL],
        vocoders=["parallel"],
        cache=cache,
        judges=(),
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

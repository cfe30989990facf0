"""Draw how a WaveNet learnt: likelihood and log-CQT correlation over the samples that it has seen.

The likelihood is the training's log; the correlation is that of bundles exported on the way, on
every third of the excerpts and every third instrument, with Griffin-Lim's beside it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from timbrel.bundles.bundle import load_bundle
from timbrel.constants import SMALL_MODEL
from timbrel.evaluation.conditions import TRUE_MEL
from timbrel.evaluation.originals import choose_excerpts
from timbrel.evaluation.results import CORRELATION
from timbrel.evaluation.run import evaluate
from timbrel.training.log import read_log
from timbrel.training.loop import RECIPE_FILE
from timbrel.training.recipe import read_recipe
from timbrel.vocoder.catalog import GRIFFIN_LIM

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs/images/wavenet-training.png"
EVERY = 3


def main(midi: Path, soundfont: Path, cache: Path, run: Path, bundles: Sequence[Path]) -> None:
    """Write docs/images/wavenet-training.png, and print its numbers as JSON."""
    recipe = read_recipe(run / RECIPE_FILE)
    samples = recipe.batch_size * recipe.options["crop_frames"] * recipe.mel.hop_length
    nll = [(samples * r["step"], r["nll"]) for r in read_log(run) if r["kind"] == "valid"]
    names = [instrument.name for instrument in load_bundle(SMALL_MODEL).instruments]
    results = evaluate(
        midi,
        soundfont,
        choose_excerpts(midi)[::EVERY],
        models=[SMALL_MODEL],
        vocoders=[*map(str, bundles), GRIFFIN_LIM],
        cache=cache,
        instruments=names[::EVERY],
        judges=(),
    ).results
    found = {
        source: [
            (
                samples * load_bundle(bundle).training["steps"],
                results.estimate(CORRELATION, f"{source}, {bundle.name}").mean,
            )
            for bundle in bundles
        ]
        for source in (TRUE_MEL, SMALL_MODEL)
    }
    figure = Figure(figsize=(9, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(*zip(*nll, strict=True), marker=".")
    left.set(xlabel="samples seen", ylabel="validation, nats a sample")
    for source, points in found.items():
        (line,) = right.plot(*zip(*points, strict=True), marker="o", label=source)
        level = results.estimate(CORRELATION, f"{source}, {GRIFFIN_LIM}").mean
        right.axhline(level, color=line.get_color(), ls=":", label=f"{source}, {GRIFFIN_LIM}")
    right.set(xlabel="samples seen", ylabel=CORRELATION)
    right.legend()
    figure.savefig(TARGET, dpi=100)
    print(json.dumps({"nll": nll, CORRELATION: found}, indent=2))


if __name__ == "__main__":
    *paths, run = map(Path, sys.argv[1:5])
    main(*paths, run, [Path(bundle) for bundle in sys.argv[5:]])

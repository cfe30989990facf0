"""Say how far the parallel vocoder's spectrum is from the original's, by how loud that is.

Points of the log constant-Q spectrum are sorted by the original's level below the loudest point of
its excerpt. Two independent noises of one level differ by 7.9 dB (standard deviation): where the
vocoder's error is as large, the level is right and the rest is chance. The last lines say what the
correlation would be if all points below, or above, a level were exact.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from picture_vocoder import evaluated

from timbrel.evaluation.conditions import ORIGINAL, TRUE_MEL
from timbrel.evaluation.measuring import sound
from timbrel.measures.correlation import LogCqtCorrelation, log_cqt

EDGES_DB = range(-90, 0, 10)
SPLIT_DB = -50


def main(midi: Path, soundfont: Path, cache: Path) -> None:
    """Print the table."""
    found = evaluated(midi, soundfont, cache)
    names = {ORIGINAL, f"{TRUE_MEL}, parallel"}
    conditions = {c.name: c for c in found.results.conditions if c.name in names}
    levels, errors = [], []
    pools = {words: LogCqtCorrelation() for words in ("as it is", "exact below", "exact above")}
    for work in found.works.values():
        original, made = (log_cqt(sound(work, condition)) for condition in conditions.values())
        level = original - original.max()
        levels.append(level.ravel())
        errors.append((made - original).ravel())
        is_low = level < SPLIT_DB
        pools["as it is"].add_spectra(original, made)
        pools["exact below"].add_spectra(original, np.where(is_low, original, made))
        pools["exact above"].add_spectra(original, np.where(is_low, made, original))
    level, error = np.concatenate(levels), np.concatenate(errors)
    print("level, dB | share of points | mean error, dB | standard deviation, dB")
    for low in EDGES_DB:
        here = error[(level >= low) & (level < low + EDGES_DB.step)]
        share = len(here) / len(level)
        print(f"{low:9d} | {100 * share:13.1f} % | {here.mean():+14.1f} | {here.std():.1f}")
    for words, pool in pools.items():
        where = "" if words == "as it is" else f" {SPLIT_DB} dB"
        print(f"correlation, {words}{where}: {pool.mean():.3f}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))

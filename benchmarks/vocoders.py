"""Speed of the vocoders on one core: alone, with Mel2Mel, and to the first block. Writes JSON.

The bundled examples are rendered in blocks as `timbrel render` does, with models that are loaded.
Times are medians of several runs; a real-time factor is for one track.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import report

from timbrel.bundles.bundle import load_bundle
from timbrel.constants import SMALL_MODEL
from timbrel.mel.generator import MelGenerator
from timbrel.score.midi import read_midi
from timbrel.score.piano_roll import PianoRoll
from timbrel.synthesizer import Synthesizer
from timbrel.timbre.timbre import parse_timbre
from timbrel.vocoder.catalog import load_vocoder, vocoder_names

EXAMPLES = Path(__file__).parents[1] / "src" / "timbrel" / "examples"
BLOCK_FRAMES = 128


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out/vocoders.json"))
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()

    names = vocoder_names(load_bundle(SMALL_MODEL).mel)
    report(arguments.output, results=[_measure(name, arguments.runs) for name in names])


def _measure(name: str, runs: int) -> dict[str, float | str]:
    bundle = load_bundle(SMALL_MODEL)
    generator = MelGenerator(bundle)
    vocoder = load_vocoder(name, bundle.mel)
    score = read_midi(EXAMPLES / "prelude.mid").merged()
    roll = PianoRoll(score.notes, bundle.mel.frame_rate)
    timbre = parse_timbre("grand piano", bundle.instruments)
    n_frames = len(roll) // BLOCK_FRAMES * BLOCK_FRAMES
    sound_s = n_frames / bundle.mel.frame_rate

    def mels() -> list[np.ndarray]:
        blocks = generator.stream([roll], [timbre], n_frames, block_frames=BLOCK_FRAMES)
        return list(blocks)

    made = mels()

    def vocode() -> None:
        stream = vocoder.stream([roll])
        for block in made:
            stream.process(block)

    mel_s, vocoder_s = _median(mels, runs), _median(vocode, runs)
    synthesizer = Synthesizer.load(vocoder=name)
    first_s = _median(lambda: next(synthesizer.stream(score)), 4 * runs)
    return {
        "vocoder": name,
        "threads": 1,
        "block_frames": BLOCK_FRAMES,
        "real_time_factor": round(vocoder_s / sound_s, 4),
        "with_mel2mel": round((vocoder_s + mel_s) / sound_s, 4),
        "first_block_ms": round(1000 * first_s, 1),
    }


def _median(action: Callable[[], object], runs: int) -> float:
    """Seconds of an action, the median of several runs after one that warms up."""
    action()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    main()

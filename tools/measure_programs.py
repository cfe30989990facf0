"""Compare a model with FluidSynth, program by program. Prints a table and writes JSON.

    python tools/measure_programs.py MIDI_DIR SOUNDFONT --model mel2mel-studio -o out/programs.json

Excerpts of the published test tracks are played with each of the model's melodic instruments, dry
and without normalisation, and compared with FluidSynth's rendering: the log-CQT correlation (at 16
kHz, pooled over programs and by program), that of the octave from 8.4 to 16.7 kHz, and the level.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soxr

from timbrel.bundles.bundle import Instrument
from timbrel.constants import SAMPLE_RATE
from timbrel.corpus.soundfont import render_score
from timbrel.evaluation.originals import read_excerpts
from timbrel.measures.correlation import N_CQT_BINS, LogCqtCorrelation, correlation_of_sums
from timbrel.score.midi import read_midi
from timbrel.score.score import Score
from timbrel.synthesizer import Synthesizer

EFFECTS = range(120, 128)  # programs that are no instruments
HIGH_HZ, HIGH_BINS = 8_372.0, 12  # the octave from C9


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("midi", type=Path)
    parser.add_argument("soundfont", type=Path)
    parser.add_argument("--model", default="mel2mel-studio")
    parser.add_argument("--vocoder")
    parser.add_argument("--excerpts", type=int, default=3, help="for each program")
    parser.add_argument("--every", type=int, default=1, help="only each so-many-th program")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()

    synthesizer = Synthesizer.load(arguments.model, vocoder=arguments.vocoder)
    excerpts = read_excerpts()
    pools = {"programs": LogCqtCorrelation(), "effects": LogCqtCorrelation()}
    high = np.zeros((6, HIGH_BINS))
    rows = []
    melodic = [one for one in synthesizer.instruments if not one.is_kit]
    for number, instrument in enumerate(melodic[:: arguments.every]):
        own, levels = LogCqtCorrelation(), []
        for k in range(arguments.excerpts):
            excerpt = excerpts[(number + k * len(excerpts) // arguments.excerpts) % len(excerpts)]
            whole = read_midi(arguments.midi / excerpt.file).merged()
            score = whole.excerpt(excerpt.start_s, excerpt.duration_s)
            pair = sounds(synthesizer, instrument, score, arguments.soundfont, excerpt.duration_s)
            low = [soxr.resample(sound, synthesizer.sample_rate, SAMPLE_RATE) for sound in pair]
            own.add(*low)
            if instrument.program not in EFFECTS:
                high += high_sums(*pair, synthesizer.sample_rate)
            levels.append(level_db(pair[1]) - level_db(pair[0]))
        pools["effects" if instrument.program in EFFECTS else "programs"] += own
        rows.append(
            {
                "program": instrument.program,
                "name": instrument.name,
                "correlation": round(own.mean(), 4),
                "level_db": round(float(np.mean(levels)), 2),
            }
        )
        print(
            f"{instrument.program:4} {instrument.name:28} {own.mean():.3f} {rows[-1]['level_db']:+.1f}"
        )
    found = summary(rows, pools, high)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps({"summary": found, "programs": rows}, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def sounds(
    synthesizer: Synthesizer,
    instrument: Instrument,
    score: Score,
    soundfont: Path,
    duration_s: float,
) -> tuple[np.ndarray, np.ndarray]:
    """FluidSynth's sound and the model's, (samples,) each."""
    rate = synthesizer.sample_rate
    length = round(duration_s * rate)
    original = render_score(
        score, instrument.program, soundfont, sample_rate=rate, gain=synthesizer.model.gain
    )[:length]
    made = synthesizer.render(
        score,
        timbre=instrument.name,
        duration_s=duration_s,
        channels=1,
        normalize=False,
    )[:length, 0]
    return original, np.pad(made, (0, length - len(made)))


def high_sums(original: np.ndarray, made: np.ndarray, sample_rate: int) -> np.ndarray:
    """Sums of the octave that 16 kHz does not hold; none where the model does not, either."""
    if sample_rate < 4 * HIGH_HZ:
        return np.zeros((6, HIGH_BINS))
    spectra = [
        librosa.cqt(sound.astype(np.float32), sr=sample_rate, fmin=HIGH_HZ, n_bins=HIGH_BINS)
        for sound in (original, made)
    ]
    pool = LogCqtCorrelation(np.zeros((6, HIGH_BINS)))
    pool.add_spectra(*(20 * np.log10(np.maximum(np.abs(one), 1e-5)) for one in spectra))
    return pool.sums


def level_db(sound: np.ndarray) -> float:
    """Mean power."""
    return float(10 * np.log10(np.square(sound, dtype=np.float64).mean() + 1e-12))


def summary(
    rows: list[dict[str, Any]], pools: dict[str, LogCqtCorrelation], high: np.ndarray
) -> dict[str, Any]:
    """The measures over all programs."""
    own = {row["name"]: row["correlation"] for row in rows if row["program"] not in EFFECTS}
    levels = np.array([row["level_db"] for row in rows if row["program"] not in EFFECTS])
    return {
        "pooled correlation": round(pools["programs"].mean(), 4),
        "mean of the programs' own": round(float(np.mean(list(own.values()))), 4),
        "programs below .6": [name for name, value in own.items() if value < 0.6],
        "octave from 8.4 kHz": round(float(correlation_of_sums(high).mean()), 4),
        "mean level error, dB": round(float(np.abs(levels).mean()), 2),
        "by octave": pools["programs"].by_octave().round(3).tolist(),
        "bins": N_CQT_BINS,
    }


if __name__ == "__main__":
    main()

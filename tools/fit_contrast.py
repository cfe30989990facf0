"""Find the contrast of a parallel vocoder with a Mel2Mel, and write its bundle with it.

    python tools/fit_contrast.py MIDI_DIR --soundfont MuseScore_General_Lite.sf3 -o my-vocoder/

See `timbrel.vocoder.contrast`. Excerpts of the corpus's validation split are played in every fourth
program by FluidSynth and by the models, and so are patterns by every fourth drum kit. The vocoder
has to be one without a contrast.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.bundles.weights import with_weights
from timbrel.corpus.soundfont import check_soundfont
from timbrel.evaluation.originals import choose_excerpts
from timbrel.evaluation.programs.contrast_fit import fitted, kits_offset
from timbrel.evaluation.programs.pairs import Pairs
from timbrel.evaluation.programs.run import EFFECTS
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.midi import read_midi
from timbrel.score.score import Score
from timbrel.vocoder.contrast import KEY as CONTRAST
from timbrel.vocoder.contrast import Contrast
from timbrel.vocoder.parallel import ParallelVocoder, ParallelVocoderConfig
from timbrel.vocoder.parallel_export import write_parallel_bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("midi", type=Path, help="the piano-midi.de corpus")
    parser.add_argument("--splits", type=Path, help="its splits.csv, if it lies elsewhere")
    parser.add_argument("--soundfont", type=Path, required=True, help="that of the training")
    parser.add_argument("--model", default="mel2mel-studio")
    parser.add_argument("--vocoder", default="parallel-studio")
    parser.add_argument("--every", type=int, default=4, help="take every so-many-th program")
    parser.add_argument(
        "--variance", type=float, default=1.0, help="by the originals'; 1 is as much"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()

    vocoder = load_bundle(arguments.vocoder, kind="parallel")
    if CONTRAST in vocoder.config:
        raise SystemExit(f"{vocoder.path}: has a contrast already; take the vocoder without it")
    splits = arguments.splits or arguments.midi / "splits.csv"
    excerpts = choose_excerpts(arguments.midi, splits=splits, split="valid")
    font = check_soundfont(arguments.soundfont)
    model = load_bundle(arguments.model, kind="mel2mel")
    music = [i for i in model.instruments if not i.is_kit and i.program not in EFFECTS]
    chosen = music[:: arguments.every]

    def pairs_with(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
        pairs, found = Pairs(arguments.model, str(path), font), []
        for i, instrument in enumerate(chosen):
            excerpt = excerpts[i % len(excerpts)]
            whole = read_midi(arguments.midi / excerpt.file).merged()
            score: Score = whole.excerpt(excerpt.start_s, excerpt.duration_s)
            sounds = pairs.of_score(score, instrument, excerpt.duration_s)
            first, second = (mel_spectrogram(sound, model.mel) for sound in sounds)
            found.append((first, second))
        return found

    with tempfile.TemporaryDirectory() as folder:
        turns = iter(range(100))

        def play(contrast: Contrast) -> list[np.ndarray]:
            path = Path(folder, str(next(turns)))
            write_with(vocoder, contrast, path)
            return [made for _, made in pairs_with(path)]

        originals = [original for original, _ in pairs_with(vocoder.path)]
        found = fitted(originals, play, print, variance=arguments.variance)
    kits = [i for i in model.instruments if i.is_kit][:: arguments.every]
    louder = kits_offset(Pairs(arguments.model, str(vocoder.path), font), kits)
    print(f"kits: {DB_PER_NEPER * louder:+.2f} dB")
    write_with(vocoder, replace(found, kits=round(louder, 4)), arguments.output)


def write_with(vocoder: Bundle, contrast: Contrast, output: Path) -> None:
    """Write a vocoder's bundle with a contrast."""
    sizes = ParallelVocoderConfig(**vocoder.model)
    network = with_weights(ParallelVocoder(sizes, vocoder.mel), vocoder)
    about = {key: vocoder.config[key] for key in ("name", "license", "attribution", "gain")}
    training = {k: v for k, v in vocoder.config["training"].items() if k != "parameters"}
    write_parallel_bundle(
        network, output, mel=vocoder.mel, contrast=contrast, training=training, **about
    )


if __name__ == "__main__":
    main()

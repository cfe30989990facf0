"""Find the contrast of a parallel vocoder with a Mel2Mel, and write its bundle with it.

    python tools/fit_contrast.py MIDI_DIR --soundfont MuseScore_General_Lite.sf3 -o my-vocoder/

See `timbrel.vocoder.contrast`. Excerpts of the corpus's validation split are played in every fourth
program by FluidSynth and by the models, and so are patterns by every fourth drum kit, and single
notes at four velocities. A contrast that the vocoder has is given up.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.corpus.soundfont import check_soundfont
from timbrel.evaluation.originals import choose_excerpts
from timbrel.evaluation.programs.contrast_fit import fitted, kits_offset, notes_offset
from timbrel.evaluation.programs.pairs import Pairs
from timbrel.evaluation.programs.run import EFFECTS
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.midi import read_midi
from timbrel.vocoder.contrast import Contrast
from timbrel.vocoder.parallel import load_parallel
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
    splits = arguments.splits or arguments.midi / "splits.csv"
    excerpts = choose_excerpts(arguments.midi, splits=splits, split="valid")
    font = check_soundfont(arguments.soundfont)
    model = load_bundle(arguments.model, kind="mel2mel")
    music = [i for i in model.instruments if not i.is_kit and i.program not in EFFECTS]
    kits = [i for i in model.instruments if i.is_kit]
    passages = []
    for i, instrument in enumerate(music[:: arguments.every]):
        excerpt = excerpts[i % len(excerpts)]
        whole = read_midi(arguments.midi / excerpt.file).merged()
        score = whole.excerpt(excerpt.start_s, excerpt.duration_s)
        passages.append((score, instrument, excerpt.duration_s))

    @contextmanager
    def pairs_with(contrast: Contrast) -> Iterator[Pairs]:
        with tempfile.TemporaryDirectory() as folder:
            write_with(vocoder, contrast, Path(folder, "vocoder"))
            yield Pairs(arguments.model, str(Path(folder, "vocoder")), font)

    def play(contrast: Contrast) -> list[np.ndarray]:
        with pairs_with(contrast) as pairs:
            return [mel_spectrogram(pairs.made(*passage), model.mel) for passage in passages]

    by_font = Pairs(arguments.model, str(vocoder.path), font)
    originals = [mel_spectrogram(by_font.original(*passage), model.mel) for passage in passages]
    found = fitted(originals, play, print, variance=arguments.variance)
    with pairs_with(found) as pairs:
        moved = notes_offset(pairs, music[:: arguments.every])
        louder = kits_offset(pairs, kits[:: arguments.every])
    print(f"single notes: {DB_PER_NEPER * moved:+.2f} dB; kits: {DB_PER_NEPER * louder:+.2f} dB")
    offset = tuple(round(one + moved, 4) for one in found.offset)
    write_with(vocoder, replace(found, offset=offset, kits=round(louder, 4)), arguments.output)


def write_with(vocoder: Bundle, contrast: Contrast, output: Path) -> None:
    """Write a vocoder's bundle with a contrast."""
    about = {key: vocoder.config[key] for key in ("name", "license", "attribution", "gain")}
    training = {k: v for k, v in vocoder.config["training"].items() if k != "parameters"}
    write_parallel_bundle(
        load_parallel(vocoder),
        output,
        mel=vocoder.mel,
        contrast=contrast,
        training=training,
        **about,
    )


if __name__ == "__main__":
    main()

"""Draw how the models of notes learnt, and rainbowgrams of what they make.

The sounds are those of a report of `timbrel notes evaluate`, the curves the trainings' logs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from timbrel.notes.dataset import NoteSplit, read_split
from timbrel.notes.rainbowgram import draw_rainbowgrams
from timbrel.sound import read_audio
from timbrel.training.log import read_log

ROOT = Path(__file__).parents[1]
CURVES, RAINBOWS, MORPHS = (
    ROOT / f"docs/images/notes-{name}.png" for name in ("training", "rainbowgrams", "morphs")
)
N_NOTES = 2


def main(notes: Path, report: Path, runs: Sequence[Path]) -> None:
    """Write the pictures of docs/notes.md."""
    draw_curves(runs)
    test = read_split(notes, "test")
    draw_reconstructions(test, report / "audio")
    draw_morphs(test, report / "audio")


def draw_curves(runs: Sequence[Path]) -> None:
    """Loss of training and of validation by step, a panel for each run."""
    figure = Figure(figsize=(4 * len(runs), 2.6), layout="constrained")
    for axes, run in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs, strict=True):
        lines = read_log(run)
        for kind in ("train", "valid"):
            points = [line for line in lines if line["kind"] == kind]
            values = [line.get("loss", line.get("nll")) for line in points]
            axes.plot([line["step"] for line in points], values, label=kind)
        axes.set(title=run.name, xlabel="step", ylabel="loss", yscale="log")
        axes.legend()
    figure.savefig(CURVES, dpi=100)


def draw_reconstructions(test: NoteSplit, audio: Path) -> None:
    """Rainbowgrams of notes of different families and what the two models make of them."""
    folders = [(name, _folder(audio, name)) for name in ("autoencoder", "baseline")]
    made = {path.stem for path in folders[0][1].glob("*.wav")}
    sounds, families = [], set()
    for i, note in enumerate(test.notes):
        if note.note_str not in made or note.instrument_family in families:
            continue
        families.add(note.instrument_family)
        sounds.append((f"{note.note_str}\noriginal", test.audio(i)))
        for name, folder in folders:
            sound, _ = read_audio(folder / f"{note.note_str}.wav")
            sounds.append((f"{note.note_str}\n{name}", sound))
        if len(families) == N_NOTES:
            break
    draw_rainbowgrams(sounds, RAINBOWS)


def draw_morphs(test: NoteSplit, audio: Path) -> None:
    """Rainbowgrams of morphs half way between their ends."""
    places = {note.note_str: i for i, note in enumerate(test.notes)}
    sounds = []
    for path in sorted(_folder(audio, "morphs").glob("*.wav"))[:N_NOTES]:
        first, second = path.stem.split("--")
        sounds += [
            (first, test.audio(places[first])),
            ("half way", read_audio(path)[0]),
            (second, test.audio(places[second])),
        ]
    draw_rainbowgrams(sounds, MORPHS)


def _folder(audio: Path, name: str) -> Path:
    """The sounds of a model; the newest, where a report was made with several."""
    return max(audio.glob(f"{name}-*"), key=lambda folder: folder.stat().st_mtime)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(run) for run in sys.argv[3:]])

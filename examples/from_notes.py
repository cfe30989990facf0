"""Make a score in Python and hear it between two instruments: a rising scale in five timbres.

python examples/from_notes.py vibraphone trumpet morphs/
"""

from __future__ import annotations

import argparse
from pathlib import Path

from timbrel import Score, Synthesizer
from timbrel.score.score import Note, Track
from timbrel.sound import write_audio

SCALE = (60, 62, 64, 65, 67, 69, 71, 72)
STEPS = 5


def main() -> None:
    """Write one file for each step from the first instrument to the second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()

    notes = tuple(
        Note(pitch, velocity=90, start_s=0.25 * i, end_s=0.25 * (i + 1))
        for i, pitch in enumerate(SCALE)
    )
    score = Score(tracks=(Track("scale", program=0, channel=0, notes=notes),))
    synthesizer = Synthesizer.load()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for step in range(STEPS):
        share = step / (STEPS - 1)
        timbre = f"{arguments.first}:{1 - share}, {arguments.second}:{share}"
        audio = synthesizer.render(score, timbre=timbre)
        path = arguments.folder / f"{step}.wav"
        write_audio(path, audio, synthesizer.sample_rate)
        print(f"{path}: {timbre}")


if __name__ == "__main__":
    main()

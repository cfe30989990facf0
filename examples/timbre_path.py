"""Render a MIDI file with a timbre that moves while it plays.

python examples/timbre_path.py song.mid song.wav
"""

from __future__ import annotations

import argparse

from timbrel import Synthesizer
from timbrel.sound import write_audio


def main() -> None:
    """Render what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("midi")
    parser.add_argument("output")
    parser.add_argument("--timbre", default="0s grand piano; 8s church organ:0.6, harp:0.4")
    parser.add_argument("--duration", type=float, help="seconds; by default to the end")
    arguments = parser.parse_args()

    synthesizer = Synthesizer.load()
    audio = synthesizer.render(
        arguments.midi, timbre=arguments.timbre, duration_s=arguments.duration
    )
    write_audio(arguments.output, audio, synthesizer.sample_rate)
    print(f"{arguments.output}: {len(audio) / synthesizer.sample_rate:.1f} s")


if __name__ == "__main__":
    main()

"""Play a MIDI file while it is rendered, block by block.

python examples/stream.py song.mid                      (needs: pip install sounddevice)
python examples/stream.py song.mid --output song.flac   (needs nothing else)
"""

from __future__ import annotations

import argparse

import soundfile

from timbrel import Synthesizer


def main() -> None:
    """Play what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("midi")
    parser.add_argument("--timbre", help="by default each track's own instrument")
    parser.add_argument("--output", help="a file instead of the loudspeaker")
    parser.add_argument("--duration", type=float, help="seconds; by default to the end")
    arguments = parser.parse_args()

    stream = Synthesizer.load().stream(
        arguments.midi, timbre=arguments.timbre, duration_s=arguments.duration
    )
    if arguments.output:
        with soundfile.SoundFile(
            arguments.output, "w", samplerate=stream.sample_rate, channels=stream.channels
        ) as file:
            for block in stream:
                file.write(block.mix)
        return
    import sounddevice

    with sounddevice.OutputStream(stream.sample_rate, channels=stream.channels) as device:
        for block in stream:
            device.write(block.mix)


if __name__ == "__main__":
    main()

"""Write web/src/constants.json: what the page shares with Python, from where Python has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from timbrel import constants, ensemble, mixer, synthesizer
from timbrel.evaluation import timbre_space
from timbrel.score import instruments, midi
from timbrel.timbre import timbre
from timbrel.vocoder import excitation, wavenet_stream

OUTPUT = Path(__file__).parents[1] / "web" / "src" / "constants.json"


def shared() -> dict[str, Any]:
    """All of them, by the names that the page uses."""
    return {
        "lowestPitch": constants.LOWEST_PITCH,
        "highestPitch": constants.HIGHEST_PITCH,
        "nPitches": constants.N_PITCHES,
        "maxFileBytes": midi.MAX_FILE_BYTES,
        "maxDurationS": midi.MAX_DURATION_S,
        "drumChannel": midi.DRUM_CHANNEL,
        "defaultTempo": midi.DEFAULT_TEMPO,
        "pedalThreshold": midi.PEDAL_THRESHOLD,
        "defaultVolume": midi.DEFAULT_VOLUME,
        "defaultExpression": midi.DEFAULT_EXPRESSION,
        "defaultPan": midi.DEFAULT_PAN,
        "programNames": instruments.PROGRAM_NAMES,
        "nearestPrograms": [
            {"from": programs.start, "to": programs.stop, "candidates": candidates}
            for programs, candidates in instruments.NEAREST
        ],
        # A decay that never ends is null: JSON has no infinity.
        "envelopes": [
            [seconds if seconds != float("inf") else None for seconds in envelope]
            for envelope in excitation.ENVELOPES
        ],
        "silentAfterS": excitation.SILENT_AFTER_S,
        "bandShare": excitation.BAND_SHARE,
        "a4Hz": excitation.A4_HZ,
        "wavenetFramesBefore": wavenet_stream.FRAMES_BEFORE,
        "ceiling": mixer.CEILING,
        "limiterLookaheadS": mixer.LOOKAHEAD_S,
        "limiterReleaseS": mixer.RELEASE_S,
        "limiterNegligible": mixer.NEGLIGIBLE,
        "smoothingBlockS": mixer.SMOOTHING_BLOCK_S,
        "preRollS": ensemble.PRE_ROLL_S,
        "releaseS": synthesizer.RELEASE_S,
        "timbreFileFormat": timbre.FILE_FORMAT,
        "phrase": [note._asdict() for note in timbre_space.PHRASE],
    }


def text() -> str:
    """The file's content."""
    return json.dumps(shared(), indent=1) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(text())

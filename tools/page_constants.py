"""Write web/src/constants.json: what the page shares with Python, from where Python has it."""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path
from typing import Any

from typer.main import get_command

from timbrel import (
    constants,
    ensemble,
    expected_loudness,
    limiter,
    loudness,
    mastering,
    mixer,
    render_options,
    room,
    synthesizer,
    voices,
)
from timbrel.commands import recognise, timbre_from
from timbrel.commands.app import app
from timbrel.evaluation import timbre_space
from timbrel.hearing import from_audio
from timbrel.mel import film
from timbrel.score import (
    channels,
    container,
    instruments,
    keys,
    midi,
    pitch,
    placement,
    smf,
    sounding,
    timeline,
)
from timbrel.score.score import DEFAULT_REVERB_SEND, UNPLAYABLE
from timbrel.timbre import lookup, timbre
from timbrel.transcription import decoding, front_end, recording, sizes
from timbrel.transcription import midi as transcription_midi
from timbrel.transcription.heard import TRACK_NAME
from timbrel.vocoder import excitation, post_filter, pre_echo, sources, strokes, wavenet_stream

# Of `timbrel render`: what the command that the page offers to copy makes use of.
RENDER_OPTIONS = ("timbre", "model", "vocoder", "dry")
OUTPUT = Path(__file__).parents[1] / "web" / "src" / "constants.json"


def shared() -> dict[str, Any]:
    """All of them, by the names that the page uses."""
    return {
        "defaultModel": constants.DEFAULT_MODEL,
        "lowestPitch": constants.LOWEST_PITCH,
        "highestPitch": constants.HIGHEST_PITCH,
        "nPitches": constants.N_PITCHES,
        "timbreFrames": sounding.STRETCH,
        "noteBeforeS": sounding.BEFORE_S,
        "noteRingS": sounding.RING_S,
        "noteFilms": film.NOTE_FILMS,
        "maxFileBytes": container.MAX_FILE_BYTES,
        "maxRiffChunks": container.MAX_RIFF_CHUNKS,
        "maxDurationS": midi.MAX_DURATION_S,
        "longestHoldS": midi.LONGEST_HOLD_S,
        "maxCurvePoints": midi.MAX_CURVE_POINTS,
        "maxExclusiveBytes": smf.MAX_EXCLUSIVE_BYTES,
        "maxWarnings": smf.MAX_WARNINGS,
        "drumChannel": channels.DRUM_CHANNEL,
        "drumBanks": channels.DRUM_BANKS,
        "melodyBank": channels.MELODY_BANK,
        "defaultTempo": timeline.DEFAULT_BEAT_US,
        "legatoOverlapS": keys.LEGATO_OVERLAP_S,
        "strayAfterStrokes": keys.STRAY_AFTER_STROKES,
        "strayAfterS": keys.STRAY_AFTER_S,
        "pedalThreshold": channels.PEDAL_THRESHOLD,
        "defaultVolume": channels.DEFAULT_VOLUME,
        "defaultExpression": channels.DEFAULT_EXPRESSION,
        "defaultPan": channels.DEFAULT_PAN,
        "vibratoDepth": channels.VIBRATO_DEPTH,
        "defaultReverbSend": DEFAULT_REVERB_SEND,
        "seats": placement.SEATS,
        "basses": [placement.BASSES.start, placement.BASSES.stop],
        "room": {
            "decayS": room.DECAY_S,
            "shortestLineS": room.SHORTEST_LINE_S,
            "longestLineS": room.LONGEST_LINE_S,
            "nLines": room.N_LINES,
            "damping": room.DAMPING,
            "silentAfterS": room.SILENT_AFTER_S,
            "reverbLevel": room.REVERB_LEVEL,
            "chorusLevel": room.CHORUS_LEVEL,
            "chorusDelayS": room.CHORUS_DELAY_S,
            "chorusDepthS": room.CHORUS_DEPTH_S,
            "chorusHz": room.CHORUS_HZ,
            "nChorusVoices": room.N_CHORUS_VOICES,
        },
        "unplayableControls": [
            {"number": number, "kind": kind, "neutral": [neutral.start, neutral.stop]}
            for number, (kind, neutral) in channels.UNPLAYABLE_CONTROLS.items()
        ],
        "unplayable": UNPLAYABLE,
        "programNames": instruments.PROGRAM_NAMES,
        "familyNames": instruments.FAMILY_NAMES,
        "everydayNames": instruments.EVERYDAY_NAMES,
        "sameWords": instruments.SAME_WORDS,
        "mostMeant": lookup.MOST_MEANT,
        "alike": lookup.ALIKE,
        "ownAlike": lookup.OWN_ALIKE,
        "wordShare": lookup.WORD_SHARE,
        "standardKit": instruments.STANDARD_KIT,
        "kitsOfAKind": instruments.KITS_OF_A_KIND,
        # A row for each program.
        "programDistances": instruments.DISTANCES_FILE.read_text().splitlines(),
        # Of each program, its rate in Hz and its delay in seconds.
        "vibratos": [pitch.vibrato_of(program) for program in range(128)],
        "wantedRolls": sources.ROLLS,
        "piano": constants.PIANO,
        "performance": constants.PERFORMANCE,
        # A decay that never ends is null: JSON has no infinity.
        "envelopes": [
            [seconds if seconds != float("inf") else None for seconds in envelope]
            for envelope in excitation.ENVELOPES
        ],
        "strokes": _strokes(),
        "preEcho": {
            "reachS": pre_echo.REACH_S,
            "referenceS": pre_echo.REFERENCE_S,
            "blocksPerHop": pre_echo.BLOCKS_PER_HOP,
        },
        "silentAfterS": excitation.SILENT_AFTER_S,
        "bandShare": excitation.BAND_SHARE,
        "a4Hz": excitation.A4_HZ,
        "wavenetFramesBefore": wavenet_stream.FRAMES_BEFORE,
        "postFilterMostGainDb": post_filter.MOST_GAIN_DB,
        "loudness": _loudness(),
        "limiter": _limiter(),
        "smoothingBlockS": mixer.SMOOTHING_BLOCK_S,
        "preRollS": ensemble.PRE_ROLL_S,
        "restS": ensemble.REST_S,
        "ringS": voices.RING_S,
        "silenceDb": ensemble.SILENCE_DB,
        "releaseS": synthesizer.RELEASE_S,
        "timbreFileFormat": timbre.FILE_FORMAT,
        "timbreFilmFileFormat": timbre.FILM_FILE_FORMAT,
        "farTimbre": timbre.FAR,
        "renderOptions": _option_names("render", RENDER_OPTIONS),
        "phrase": [note._asdict() for note in timbre_space.PHRASE],
        "drumPhrase": [note._asdict() for note in timbre_space.STROKES],
        "recording": _recording(),
        "hearing": _hearing(),
        "transcription": _transcription(),
    }


def _recording() -> dict[str, float]:
    """What a recording is looked through for."""
    return {
        "silentPeak": recording.SILENT_PEAK,
        "softPeak": recording.SOFT_PEAK,
        "wantedPeak": recording.WANTED_PEAK,
        "cancelled": recording.CANCELLED,
        "wideHz": recording.WIDE_HZ,
    }


def _hearing() -> dict[str, Any]:
    """How timbres are heard, and how that is said."""
    return {
        "nothing": from_audio.NOTHING,
        "audibleDb": from_audio.AUDIBLE_DB,
        "named": timbre_from.NAMED,
        "least": recognise.LEAST,
        "sureWords": [{"least": least, "words": words} for least, words in timbre_from.SURE_WORDS],
        "far": timbre_from.FAR,
    }


def _transcription() -> dict[str, Any]:
    """The front end, how notes are decoded, and how they are written to MIDI."""
    return {
        "a4Pitch": constants.A4_PITCH,
        "tinyPower": front_end.TINY_POWER,
        "heads": sizes.HEADS,
        "stemAhead": sizes.STEM_AHEAD,
        "gatheredFrames": decoding.GATHERED_FRAMES,
        "sureOnsetFrames": decoding.SURE_ONSET_FRAMES,
        "gatheredSlope": decoding.GATHERED_SLOPE,
        "noOnset": decoding.NO_ONSET,
        "clearOnset": decoding.CLEAR_ONSET,
        "earlyShare": decoding.EARLY_SHARE,
        "nearShare": decoding.NEAR_SHARE,
        "nearS": decoding.NEAR_S,
        "peakFrames": decoding.PEAK_FRAMES,
        "refractoryFrames": decoding.REFRACTORY_FRAMES,
        "shortestFrames": decoding.SHORTEST_FRAMES,
        "endedFrames": decoding.ENDED_FRAMES,
        "bentCents": decoding.BENT_CENTS,
        "trackName": TRACK_NAME,
        "ticksPerBeat": transcription_midi.TICKS_PER_BEAT,
        "bendChannels": transcription_midi.BEND_CHANNELS,
        "defaultRange": transcription_midi.DEFAULT_RANGE,
        "largestRange": transcription_midi.LARGEST_RANGE,
        "stepCents": transcription_midi.STEP_CENTS,
    }


def _loudness() -> dict[str, Any]:
    """The meter, what is aimed at, and what is expected of notes."""
    levels = expected_loudness.known_levels()
    return {
        "targetLufs": render_options.DEFAULT_LOUDNESS_LUFS,
        "closeLu": mastering.CLOSE_LU,
        "mostTries": mastering.MOST_TRIES,
        "maxLimitingDb": mastering.MAX_LIMITING_DB,
        "stepS": loudness.STEP_S,
        "stepsPerBlock": loudness.STEPS_PER_BLOCK,
        "absoluteGateLufs": loudness.ABSOLUTE_GATE_LUFS,
        "relativeGateLu": loudness.RELATIVE_GATE_LU,
        "offsetLu": loudness.OFFSET_LU,
        "shelf": {
            "hz": loudness.SHELF_HZ,
            "q": loudness.SHELF_Q,
            "db": loudness.SHELF_DB,
            "bandExponent": loudness.SHELF_BAND_EXPONENT,
        },
        "highPass": {"hz": loudness.HIGH_PASS_HZ, "q": loudness.HIGH_PASS_Q},
        "interpolation": loudness.interpolation_kernels().tolist(),
        "referenceKey": expected_loudness.REFERENCE_KEY,
        "referenceVelocity": expected_loudness.REFERENCE_VELOCITY,
        "releaseS": expected_loudness.RELEASE_S,
        "nearest": expected_loudness.NEAREST,
        "gain": levels.gain,
        "levels": [
            {"isKit": is_kit, "program": program, "level": astuple(level)}
            for is_kit, table in ((False, levels.programs), (True, levels.kits))
            for program, level in table.items()
        ],
    }


def _strokes() -> dict[str, Any]:
    """The sources of a drum's stroke."""
    return {
        "nSources": strokes.N_SOURCES,
        "agesS": strokes.AGES_S,
        "bodyS": strokes.BODY_S,
        "ringsS": strokes.RINGS_S,
        "attackS": strokes.ATTACK_S,
        "pulsesPerS": strokes.PULSES_PER_S,
        "gateS": strokes.GATE_S,
        "noiseSize": strokes.NOISE_SIZE,
        "noiseShift": strokes.NOISE_SHIFT,
    }


def _limiter() -> dict[str, float]:
    return {
        "ceilingDbtp": limiter.CEILING_DBTP,
        "marginDb": limiter.MARGIN_DB,
        "lookaheadS": limiter.LOOKAHEAD_S,
        "releaseS": limiter.RELEASE_S,
        "negligible": limiter.NEGLIGIBLE,
    }


def _option_names(command: str, parameters: tuple[str, ...]) -> dict[str, str]:
    """How the command line spells some parameters of a command, such as '--timbre'."""
    commands: Any = get_command(app)
    spelt = {parameter.name: parameter.opts[-1] for parameter in commands.commands[command].params}
    return {name: spelt[name] for name in parameters}


def text() -> str:
    """The file's content."""
    return json.dumps(shared(), indent=1) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(text())

"""Write tests/web/golden/: files and timbres, and what Python and the page both read of them.

Run ``PYTHONPATH=tests python tests/web/make_golden.py`` after a change of how these are read.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mido
from hearing_golden import GOLDEN_FILE as HEARING_FILE
from hearing_golden import hearing_golden
from loudness_golden import GOLDEN_FILE, loudness_golden
from mido import Message, MetaMessage, MidiFile, MidiTrack
from room_golden import ROOM_FILES
from strange_files import STRANGE_FILES
from studio_golden import GOLDEN_FILE as STUDIO_FILE
from studio_golden import SCORE, performance_golden
from timbre_golden import GOLDEN_FILE as TIMBRES_FILE
from timbre_golden import timbre_golden

from support.midi_fuzz import mutant
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.score.midi import parse_midi
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Automation, Track

FOLDER = Path(__file__).parent / "golden"
TICKS_PER_BEAT = 480


def many_tracks() -> MidiFile:
    """Seven tracks; some share a channel, one changes its program, one moves its volume and pan."""
    random.seed(1)
    midi = MidiFile(ticks_per_beat=TICKS_PER_BEAT)
    for number in range(7):
        channel = min(number, 5)
        track = [MetaMessage("track_name", name=f"Part {number} ä")]
        track.append(Message("program_change", channel=channel, program=11 * number))
        for note in range(30):
            if number == 2 and note == 15:
                track.append(Message("program_change", channel=channel, program=80))
            if number == 3:
                for control, value in ((7, 60 + note), (10, 4 * note), (11, 127 - 2 * note)):
                    track.append(
                        Message("control_change", channel=channel, control=control, value=value)
                    )
            pitch = random.randrange(15, 115)
            track.append(
                Message(
                    "note_on",
                    channel=channel,
                    note=pitch,
                    velocity=random.randrange(1, 128),
                    time=random.randrange(0, 200),
                )
            )
            track.append(
                Message("note_off", channel=channel, note=pitch, time=random.randrange(0, 700))
            )
        midi.tracks.append(MidiTrack(track))
    return midi


def pedal() -> MidiFile:
    """Sustain in a track without notes, sostenuto, half pedal, a pedal that is never released."""
    conductor = MidiTrack()
    for time, control, value in (
        (100, 64, 127), (900, 64, 63), (10, 64, 64), (1200, 64, 0), (300, 66, 127), (900, 66, 0),
        (200, 64, 100),
    ):  # fmt: skip
        conductor.append(Message("control_change", control=control, value=value, time=time))
    notes = MidiTrack()
    for i in range(24):
        notes.append(Message("note_on", note=40 + 3 * (i % 8), velocity=50 + i, time=97))
        notes.append(Message("note_off", note=40 + 3 * (i % 8), time=61))
    return MidiFile(ticks_per_beat=TICKS_PER_BEAT, tracks=[conductor, notes])


def overlapping() -> MidiFile:
    """The same key struck again while it is held, by one track and by two; missing note-offs."""
    first, second = MidiTrack(), MidiTrack()
    for i in range(12):
        first.append(Message("note_on", note=60, velocity=100 - 5 * i, time=150))
        if i % 3:
            first.append(Message("note_on", note=60, velocity=0, time=220))
        second.append(Message("note_on", note=60, velocity=40 + 5 * i, time=170))
        second.append(Message("note_off", note=60, time=400))
    # Two at one time, one of no length, one at the very end.
    for message in (
        Message("note_on", note=72, velocity=30),
        Message("note_on", note=72, velocity=90),
        Message("note_off", note=72),
        Message("note_on", note=108, velocity=127, time=33),
        Message("control_change", control=123, value=0, time=333),
    ):
        second.append(message)
    return MidiFile(ticks_per_beat=TICKS_PER_BEAT, tracks=[first, second])


def tempo_changes() -> MidiFile:
    """Tempi that change within notes, in a track of their own."""
    random.seed(2)
    tempi, notes = MidiTrack(), MidiTrack()
    for _ in range(40):
        tempo = random.randrange(150_000, 1_400_000)
        tempi.append(MetaMessage("set_tempo", tempo=tempo, time=random.randrange(1, 300)))
    for i in range(60):
        notes.append(Message("note_on", note=30 + i, velocity=64, time=random.randrange(0, 130)))
        notes.append(Message("note_off", note=30 + i, time=random.randrange(1, 150)))
    return MidiFile(ticks_per_beat=96, tracks=[tempi, notes])


def format_0() -> MidiFile:
    """One track with all channels: drums, bends, keys beyond the piano."""
    random.seed(3)
    track = MidiTrack()
    for i in range(120):
        channel = (0, 9, 3, 15)[i % 4]
        if i % 17 == 0:
            track.append(Message("pitchwheel", channel=0, pitch=i - 50))
        if i == 60:
            track.append(MetaMessage("set_tempo", tempo=333_333))
        pitch = random.randrange(10, 120)
        track.append(Message("note_on", channel=channel, note=pitch, velocity=80, time=40))
        track.append(Message("note_off", channel=channel, note=pitch, time=90))
    return MidiFile(type=0, ticks_per_beat=120, tracks=[track])


FILES: dict[str, Callable[[], MidiFile | bytes]] = {
    "many-tracks": many_tracks,
    "pedal": pedal,
    "overlapping": overlapping,
    "tempo-changes": tempo_changes,
    "format-0-drums": format_0,
    **STRANGE_FILES,
}

# Damaged files, each with the hash of what it is read as.
MUTANTS_FILE = "mutants.json"
N_MUTANTS = 50
MOST_BYTES = 3000


def midi_bytes(midi: mido.MidiFile | bytes) -> bytes:
    """The file that mido writes, if it is not written yet."""
    if isinstance(midi, bytes):
        return midi
    file = io.BytesIO()
    midi.save(file=file)
    return file.getvalue()


def reading(data: bytes) -> dict[str, Any]:
    """What Python reads: the score, and of each track's roll its size and its SHA-256."""
    score = parse_midi(data)
    return {
        "pedal_events": score.pedal_events,
        "unplayable": score.unplayable,
        "warnings": list(score.warnings),
        "tracks": [described(track) | roll_of(track) for track in score.tracks],
        "drum_tracks": [described(track) for track in score.drum_tracks],
    }


def described(track: Track) -> dict[str, Any]:
    def both(curve: Automation) -> list[list[float]]:
        return [list(curve.times_s), list(curve.values)]

    return {
        "name": track.name,
        "program": track.program,
        "port": track.port,
        "channel": track.channel,
        "is_kit": track.is_kit,
        "notes": [list(note) for note in track.notes],
        "gain": both(track.gain),
        "pan": None if track.pan is None else both(track.pan),
        "reverb": both(track.reverb),
        "chorus": both(track.chorus),
        "bend": both(track.bend),
        "tuning": both(track.tuning),
        "vibrato": both(track.vibrato),
    }


def roll_of(track: Track) -> dict[str, Any]:
    roll = PianoRoll(track.notes, MelConfig().frame_rate).whole()
    return {
        "n_frames": len(roll),
        "roll_sha256": hashlib.sha256(roll.astype("<f4").tobytes()).hexdigest(),
    }


def fingerprint(data: bytes) -> str:
    """An error, or the SHA-256 of all numbers of a score, as doubles, and of all its words."""
    try:
        score = parse_midi(data, name="")
    except InputError as error:
        # The page has no option to name.
        return str(error).removeprefix(": ").partition("; raise")[0]
    numbers, words = [score.pedal_events], list(score.warnings)
    for kind, count in score.unplayable.items():
        words.append(kind)
        numbers.append(count)
    for track in (*score.tracks, *score.drum_tracks):
        words.append(track.name)
        numbers += [track.program, track.port, track.channel, track.is_kit]
        for note in track.notes:
            numbers += note
        curves = (track.gain, track.pan, track.reverb, track.chorus)
        for curve in (*curves, track.bend, track.tuning, track.vibrato):
            numbers += curve.times_s + curve.values if curve is not None else ()
    packed = struct.pack(f"<{len(numbers)}d", *numbers)
    return hashlib.sha256(packed + "\n".join(words).encode()).hexdigest()


def mutants() -> list[dict[str, str]]:
    """Damaged files, in base 64, with their fingerprints."""
    files = (mutant(seed)[1] for seed in itertools.count())
    small = itertools.islice((data for data in files if len(data) < MOST_BYTES), N_MUTANTS)
    return [
        {"data": base64.b64encode(data).decode(), "fingerprint": fingerprint(data)}
        for data in small
    ]


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for name, make_room in ROOM_FILES.items():
        (FOLDER / name).write_text(json.dumps(make_room()) + "\n")
    (FOLDER / MUTANTS_FILE).write_text(json.dumps(mutants(), indent=0) + "\n")
    (FOLDER / GOLDEN_FILE).write_text(json.dumps(loudness_golden()) + "\n")
    studio = performance_golden(midi_bytes(FILES[SCORE]()))
    (FOLDER / STUDIO_FILE).write_text(json.dumps(studio) + "\n")
    (FOLDER / HEARING_FILE).write_text(json.dumps(hearing_golden()) + "\n")
    (FOLDER / TIMBRES_FILE).write_text(json.dumps(timbre_golden(), indent=0) + "\n")
    for name, make in FILES.items():
        data = midi_bytes(make())
        (FOLDER / f"{name}.mid").write_bytes(data)
        (FOLDER / f"{name}.json").write_text(json.dumps(reading(data)) + "\n")


if __name__ == "__main__":
    main()

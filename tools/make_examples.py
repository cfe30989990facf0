"""Write the two MIDI files that come with Timbrel: ``prelude.mid`` and ``duet.mid``.

The music is encoded here by hand, from scores in the public domain:

- ``prelude.mid``: Frédéric Chopin, Prelude in A major, Op. 28 No. 7 (1839), complete.
- ``duet.mid``: Johann Pachelbel, Canon in D (about 1690), the first five variations of the
  violin line for trumpet, over the ground bass, which is set for harp here.

A voice is a string of ``pitches/beats`` tokens: ``D4,G#4,B4/2`` is a chord of two beats and
``-/1`` a rest of one; a token without ``/`` lasts as long as the one before it, and a closing
``~`` rolls the chord upwards. Bar lines (``|``) are only for the reader. A beat is a quarter note.

Run ``python tools/make_examples.py`` to write both files again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mido import Message, MetaMessage, MidiFile, MidiTrack, bpm2tempo

OUTPUT_FOLDER = Path(__file__).resolve().parents[1] / "src" / "timbrel" / "examples"

TICKS_PER_BEAT = 480
GATE = 0.95  # the part of its written length for which a note is held
ROLL_BEATS = 0.06  # between two notes of a rolled chord
PEDAL_LAG_BEATS = 0.06  # the pedal goes down just after the note that it is to catch
TOP_NOTE_ACCENT = 8  # velocity added to the highest note of a chord

SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
EVENT_ORDER = {"note_off": 0, "control_change": 1, "note_on": 2}  # within one tick

Curve = Sequence[tuple[float, float]]  # (beat, value) points
Event = tuple[int, Message]  # an absolute time in ticks, and what happens then


class Note(NamedTuple):
    """A note of a voice, with its times in beats."""

    start: float
    length: float
    pitch: int
    is_top: bool


# Chopin, Prelude in A major, Op. 28 No. 7. Beat 0 is the upbeat; bar n begins at beat 3n - 2.

PRELUDE_RIGHT_HAND = """
    E4/1
    | C#5/.75 D5/.25 D4,G#4,B4/1 D4,G#4,B4 | D4,G#4,B4/2 D5,F#5/1
    | B#4,D#5/.75 C#5,E5/.25 C#5,A5/1 C#5,A5 | C#5,A5/2 E4,C#5/1
    | C#4,A#4/.75 B4/.25 F#4,D5/1 F#4,D5 | F#4,D5/2 D4,G#4/1
    | D4,G#4/.75 C#4,A4/.25 C#4,C#5/1 C#4,C#5 | C#4,C#5/2 -/1
    | C#5/.75 D5/.25 D4,G#4,B4/1 D4,G#4,B4 | D4,G#4,B4/2 D5,F#5/1
    | B#4,D#5/.75 -/.25 A5,C#6/1 A5,C#6 | A#4,C#5,E5,A#5,C#6/2~ A#4,C#5/1
    | A#4,C#5/.75 B4,D5/.25 B4,F#5/1 A4,F#5 | G#4,F#5/2 D4,G#4/1
    | D4,B4/.75 C#4,A4/.25 -/.1 C#5,A5/.9 C#5,A5/1 | C#5,A5/2
"""

PRELUDE_HELD_NOTES = (  # (first beat, voice): what the right hand holds below the melody
    (13.75, "D4/4.25"),
    (24, "E4/2"),
    (25, "G#4/1"),
    (31.75, "C#5,E5/2.25"),
    (44, "A4/4"),  # the grace note of bar 15, on the beat, and its tie
)

PRELUDE_LEFT_HAND = """
    -/1
    | E2 E3,E4 E3,E4 | E3,E4/2 -/1
    | A2 A3,E4 A3,E4 | A3,E4/2 -/1
    | E2 E3,B3 E3,B3 | E3,B3/2 -/1
    | A1 E3,A3,E4 E3,A3,E4 | E3,A3,E4/2 -/1
    | E2 E3,E4 E3,E4 | E3,E4/2 -/1
    | A2 A3,E4,A4 A3,E4,A4 | F#3,C#4,E4,F#4/2 -/1
    | B1 F#3,D4 F#3,B3,D4 | E3,B3,D4/2 -/1
    | A1 E3,A3,E4 A3,E4 | A3,E4/2
"""

PRELUDE_DYNAMICS = (  # a line for each two-bar phrase
    *((0, 46), (2, 58), (3, 52), (5.9, 44)),
    *((6, 48), (8, 62), (9, 55), (11.9, 46)),
    *((12, 50), (14, 60), (15, 53), (17.9, 45)),
    *((18, 46), (20, 56), (21, 50), (23.9, 42)),
    *((24, 48), (26, 60), (27, 54), (29.9, 50)),
    *((30, 55), (32, 68), (34, 80), (35.9, 64)),
    *((36, 58), (38, 64), (39, 60), (41.9, 46)),
    *((42, 46), (44, 54), (45, 48), (48, 42)),
)

PRELUDE_PEDAL = (  # (beat down, beat up)
    *((1, 6), (7, 12), (13, 18), (19, 24), (25, 30)),
    *((31, 34), (34, 36), (37, 40), (40, 42), (43, 48.5)),
)

PRELUDE_TEMPI = (
    *((0, 63), (1, 66), (32, 63), (33, 58), (34, 52), (35, 58), (36, 63), (37, 66)),
    *((41, 63), (43, 60), (44, 56), (45, 52), (46, 46), (47, 42)),
)

# Pachelbel, Canon in D, written so that a beat is a note of the ground bass: two bars each round.

DUET_MELODY = """
    F#5/1 E5 D5 C#5 | B4 A4 B4 C#5
    | D5 C#5 B4 A4 | G4 F#4 G4 E4
    | D4/.5 F#4 A4 G4 F#4 D4 F#4 E4 | D4 B3 D4 A4 G4 B4 A4 G4
    | F#4 D4 E4 C#5 D5 F#5 A5 A4 | B4 G4 A4 F#4 D4 D5 D5/.75 C#5/.25
    | D5 C#5 D5 D4 C#4 A4 E4 F#4 D4 D5 C#5 B4 C#5 F#5 A5 B5
    | G5 F#5 E5 G5 F#5 E5 D5 C#5 B4 A4 G4 F#4 E4 G4 F#4 E4
    | D4/3
"""

DUET_GROUND = """
    | D3/.25 F#3 A3 D4   A2 E3 A3 C#4   B2 D3 F#3 B3   F#2 C#3 F#3 A3
    | G2 D3 G3 B3   D2 D3 F#3 A3   G2 D3 G3 B3   A2 E3 A3 C#4
"""

DUET_ACCOMPANIMENT = DUET_GROUND * 5 + "| D2,A2,D3,F#3,A3,D4/3~"

DUET_MELODY_DYNAMICS = (  # a line for each round of the ground
    *((0, 66), (3, 74), (6, 68), (7.9, 74)),
    *((8, 80), (11, 74), (15.9, 66)),
    *((16, 64), (17, 76), (20, 66), (21.5, 80), (23.9, 74)),
    *((24, 74), (27, 90), (30, 78), (31.9, 84)),
    *((32, 86), (35.75, 102), (38, 84), (39.9, 68), (40, 64)),
)

DUET_ACCOMPANIMENT_DYNAMICS = ((0, 58), (8, 62), (16, 60), (28, 70), (36, 78), (39, 62), (43, 54))

DUET_PEDAL = (*((beat, beat + 1) for beat in range(40)), (40, 43.2))  # at each change of harmony

DUET_TEMPI = ((0, 66), (16, 69), (36, 66), (38, 60), (39, 54), (39.5, 48), (40, 50))


def parse_pitch(name: str) -> int:
    """Return the MIDI pitch of a note name.

    Parameters
    ----------
    name : str
        A letter, any number of sharps and an octave, such as ``C#5``; ``C4`` is middle C.

    Returns
    -------
    int
        The MIDI pitch, 60 for ``C4``.
    """
    return SEMITONES[name[0]] + name.count("#") + 12 * (int(name[-1]) + 1)


def parse_voice(text: str, start: float = 0.0) -> list[Note]:
    """Read a voice from its tokens.

    Parameters
    ----------
    text : str
        The voice, in the notation that the module describes.
    start : float, optional
        The beat of the first token.

    Returns
    -------
    list of Note
        The notes in the order in which they are written, each chord from the bottom.
    """
    notes = []
    length = 1.0
    for token in text.replace("|", " ").split():
        names, _, beats = token.rstrip("~").partition("/")
        length = float(beats) if beats else length
        pitches = [] if names == "-" else sorted(map(parse_pitch, names.split(",")))
        step = ROLL_BEATS if token.endswith("~") else 0.0
        for index, pitch in enumerate(pitches):
            delay = index * step
            notes.append(Note(start + delay, length - delay, pitch, pitch == pitches[-1]))
        start += length
    return notes


def value_at(curve: Curve, beat: float) -> float:
    """Interpolate a curve linearly, holding its last value.

    Parameters
    ----------
    curve : sequence of (float, float)
        Points as (beat, value), in order of beat; the first is at or before every beat asked for.
    beat : float
        Where to read the curve.

    Returns
    -------
    float
        The value at that beat.
    """
    left = max(point for point in curve if point[0] <= beat)
    right = min((point for point in curve if point[0] > beat), default=None)
    if right is None:
        return left[1]
    return left[1] + (right[1] - left[1]) * (beat - left[0]) / (right[0] - left[0])


def to_ticks(beat: float) -> int:
    """Return the MIDI tick nearest to a beat."""
    return round(beat * TICKS_PER_BEAT)


def play(notes: Iterable[Note], channel: int, dynamics: Curve, level: int = 0) -> list[Event]:
    """Turn notes into note-on and note-off events.

    Parameters
    ----------
    notes : iterable of Note
        The notes to play.
    channel : int
        The zero-based MIDI channel.
    dynamics : sequence of (float, float)
        The velocity over the piece, as (beat, velocity) points.
    level : int, optional
        What to add to the velocity of every note.

    Returns
    -------
    list of (int, Message)
        The events, two for each note.
    """
    events = []
    for note in notes:
        accent = TOP_NOTE_ACCENT if note.is_top else 0
        velocity = round(value_at(dynamics, note.start)) + level + accent
        on = Message("note_on", channel=channel, note=note.pitch, velocity=velocity)
        off = Message("note_off", channel=channel, note=note.pitch, velocity=0)
        events.append((to_ticks(note.start), on))
        events.append((to_ticks(note.start + GATE * note.length), off))
    return events


def press_pedal(spans: Iterable[tuple[float, float]], channel: int) -> list[Event]:
    """Return sustain-pedal events for spans of (beat down, beat up)."""
    events = []
    for down, up in spans:
        for beat, value in ((down + PEDAL_LAG_BEATS, 127), (up, 0)):
            message = Message("control_change", channel=channel, control=64, value=value)
            events.append((to_ticks(beat), message))
    return events


def make_track(name: str, setup: Iterable[Message], events: Iterable[Event]) -> MidiTrack:
    """Make a track from events in any order.

    Parameters
    ----------
    name : str
        The name of the track.
    setup : iterable of Message
        Messages for the beginning of the track, such as the program change.
    events : iterable of (int, Message)
        Everything else; within one tick, notes end before the pedal moves and new ones begin.

    Returns
    -------
    MidiTrack
        The track, closed by an end-of-track event.
    """
    track = MidiTrack([MetaMessage("track_name", name=name), *setup])
    now = 0
    for tick, message in sorted(events, key=lambda e: (e[0], EVENT_ORDER.get(e[1].type, 0))):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(MetaMessage("end_of_track"))
    return track


def make_tempo_track(title: str, key: str, meters: Curve, tempi: Curve) -> MidiTrack:
    """Make the track that holds the key, the meters and the tempi.

    Parameters
    ----------
    title : str
        The name of the piece, which becomes the name of the track.
    key : str
        The key signature, such as ``A``.
    meters : sequence of (float, float)
        Points as (beat, beats in a bar).
    tempi : sequence of (float, float)
        Points as (beat, beats per minute).

    Returns
    -------
    MidiTrack
        The track.
    """
    events = [
        (to_ticks(beat), MetaMessage("time_signature", numerator=int(beats), denominator=4))
        for beat, beats in meters
    ]
    events += [
        (to_ticks(beat), MetaMessage("set_tempo", tempo=bpm2tempo(bpm))) for beat, bpm in tempi
    ]
    return make_track(title, [MetaMessage("key_signature", key=key)], events)


def make_prelude() -> MidiFile:
    """Make Chopin's Prelude in A major, Op. 28 No. 7, for solo piano."""
    held = [note for start, text in PRELUDE_HELD_NOTES for note in parse_voice(text, start)]
    events = [
        *play(parse_voice(PRELUDE_RIGHT_HAND), 0, PRELUDE_DYNAMICS, level=2),
        *play(held, 0, PRELUDE_DYNAMICS, level=-12),
        *play(parse_voice(PRELUDE_LEFT_HAND), 0, PRELUDE_DYNAMICS, level=-10),
        *press_pedal(PRELUDE_PEDAL, 0),
    ]
    title = "Chopin: Prelude in A major, Op. 28 No. 7"
    tempo_track = make_tempo_track(title, "A", ((0, 1), (1, 3)), PRELUDE_TEMPI)
    piano = make_track("Piano", [Message("program_change", channel=0, program=0)], events)
    return MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, tracks=[tempo_track, piano])


def make_duet() -> MidiFile:
    """Make the opening of Pachelbel's Canon in D, for trumpet and harp."""

    def setup(channel: int, program: int, volume: int, pan: int) -> list[Message]:
        return [
            Message("program_change", channel=channel, program=program),
            Message("control_change", channel=channel, control=7, value=volume),
            Message("control_change", channel=channel, control=10, value=pan),
        ]

    melody = play(parse_voice(DUET_MELODY), 0, DUET_MELODY_DYNAMICS, level=-TOP_NOTE_ACCENT)
    harp = play(parse_voice(DUET_ACCOMPANIMENT), 1, DUET_ACCOMPANIMENT_DYNAMICS)
    harp += press_pedal(DUET_PEDAL, 1)
    tempo_track = make_tempo_track("Pachelbel: Canon in D", "D", ((0, 4),), DUET_TEMPI)
    tracks = [
        tempo_track,
        make_track("Trumpet", setup(0, program=56, volume=92, pan=52), melody),
        make_track("Harp", setup(1, program=46, volume=100, pan=76), harp),
    ]
    return MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, tracks=tracks)


def main() -> None:
    """Write both files into the package."""
    OUTPUT_FOLDER.mkdir(parents=True, exist_ok=True)
    make_prelude().save(OUTPUT_FOLDER / "prelude.mid")
    make_duet().save(OUTPUT_FOLDER / "duet.mid")


if __name__ == "__main__":
    main()

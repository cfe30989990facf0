"""Standard MIDI Files → Score.

A file is read in three steps: its tracks become one list of events in seconds (`_timeline`), the
keys, pedals and programs of its channels become notes (`_Performance`), and the notes become tracks
of one program each.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import mido

from timbrel.errors import InputError
from timbrel.score.instruments import PROGRAM_NAMES
from timbrel.score.score import Automation, Note, Score, Track, is_playable
from timbrel.score.smf import parse_smf

MAX_FILE_BYTES = 4 * 2**20
MAX_DURATION_S = 6 * 3600.0

DRUM_CHANNEL = 9  # counted from 0
DEFAULT_TEMPO = 500_000  # microseconds per beat
PEDAL_THRESHOLD = 64

SUSTAIN, SOSTENUTO, VOLUME, PAN, EXPRESSION = 64, 66, 7, 10, 11
ALL_SOUND_OFF, RESET_CONTROLLERS, ALL_NOTES_OFF = 120, 121, 123
DEFAULT_VOLUME, DEFAULT_EXPRESSION, DEFAULT_PAN = 100, 127, 64


def read_midi(path: str | os.PathLike, *, max_duration_s: float = MAX_DURATION_S) -> Score:
    """Read a Standard MIDI File of type 0, 1 or 2.

    Parameters
    ----------
    path
        The file.
    max_duration_s
        A file that says that it lasts longer is refused.

    Returns
    -------
    Score
        One track for each (MIDI track, channel, program) that has notes.

    Raises
    ------
    InputError
        If the file is missing, is not MIDI, is damaged, is larger than `MAX_FILE_BYTES` or lasts
        longer than `max_duration_s`. A file without notes is no error: its score is empty.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_FILE_BYTES:
        raise InputError(
            f"{path}: is larger than {MAX_FILE_BYTES // 2**20} MiB, up to which MIDI files are read"
        )
    return parse_midi(data, name=str(path), max_duration_s=max_duration_s)


def parse_midi(
    data: bytes, *, name: str = "MIDI data", max_duration_s: float = MAX_DURATION_S
) -> Score:
    """Read the bytes of a Standard MIDI File; `name` is what errors call it. See `read_midi`."""
    if not data:
        raise InputError(f"{name}: is empty; a MIDI file was expected")
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = data[20:]  # a MIDI file wrapped in RIFF, as old Windows programs write it
    if data[:4] != b"MThd":
        raise InputError(f"{name}: is not a MIDI file (it does not start with 'MThd')")
    try:
        midi = parse_smf(data)
    except EOFError:
        raise InputError(f"{name}: is cut off; copy or export the MIDI file again") from None
    except ValueError as error:
        raise InputError(f"{name}: is a damaged MIDI file ({error})") from None

    performance = _Performance(_keys_without_note_offs(midi))
    end_s = 0.0
    for tracks in [[i] for i in range(len(midi.tracks))] if midi.type == 2 else [None]:
        # The sequences of a type 2 file are independent pieces: they are played in turn.
        start_s = end_s
        for event in _timeline(midi, tracks, start_s):
            end_s = event.time_s
            if not end_s <= max_duration_s:
                raise InputError(
                    f"{name}: lasts longer than {max_duration_s / 3600:g} hours; "
                    "raise --max-duration if that is meant"
                )
            performance.play(event)
        performance.finish(end_s)
    return performance.score()


@dataclass(frozen=True)
class _Event:
    time_s: float
    track: int
    message: mido.Message


def _timeline(midi: mido.MidiFile, tracks: list[int] | None, start_s: float) -> Iterator[_Event]:
    """All events of some tracks (all of them where None) in the order of time, in seconds."""
    merged = []
    for index in range(len(midi.tracks)) if tracks is None else tracks:
        tick = 0
        for order, message in enumerate(midi.tracks[index]):
            tick += message.time
            merged.append((tick, index, order, message))
    merged.sort(key=lambda item: item[:3])

    division = midi.ticks_per_beat
    tempo = DEFAULT_TEMPO
    time_s, last_tick = start_s, 0
    for tick, index, _, message in merged:
        if division < 0:  # SMPTE: frames per second, negated, and ticks per frame
            frames_per_s = {29: 30 / 1.001}.get(-(division >> 8), -(division >> 8))
            seconds_per_tick = 1 / (frames_per_s * max(division & 0xFF, 1))
        else:
            seconds_per_tick = tempo * 1e-6 / division
        time_s += (tick - last_tick) * seconds_per_tick
        last_tick = tick
        if message.type == "set_tempo" and message.tempo > 0:
            tempo = message.tempo
        yield _Event(time_s, index, message)


@dataclass
class _Sounding:
    """A note that has begun; `part` is the (track, channel, program) that it belongs to."""

    part: tuple[int, int, int]
    pitch: int
    velocity: int
    start_s: float
    key_down: bool = True
    latched: bool = False  # held by the sostenuto pedal


@dataclass
class _Channel:
    """What a MIDI channel remembers."""

    program: int = 0
    sustain: bool = False
    sostenuto: bool = False
    volume: int = DEFAULT_VOLUME
    expression: int = DEFAULT_EXPRESSION
    gains: list[tuple[float, float]] = field(default_factory=list)
    pans: list[tuple[float, float]] = field(default_factory=list)
    sounding: list[_Sounding] = field(default_factory=list)


class _Performance:
    """Plays the events of a file and notes down what sounds."""

    def __init__(self, unreliable_keys: set[tuple[int, int, int]]) -> None:
        self._unreliable_keys = unreliable_keys
        self._channels: dict[int, _Channel] = defaultdict(_Channel)
        self._keys: dict[tuple[int, int, int], int] = {}
        self._parts: dict[tuple[int, int, int], list[Note]] = defaultdict(list)
        self._names: dict[int, str] = {}
        self._unplayable: Counter[str] = Counter()
        self._pedal_events = 0

    def play(self, event: _Event) -> None:
        message = event.message
        if _is_note_on(message):
            self._note_on(event)
        elif message.type in ("note_on", "note_off"):
            self._note_off(event)
        elif message.type == "control_change":
            self._control(event)
        elif message.type == "program_change":
            self._channels[message.channel].program = message.program
        elif message.type == "pitchwheel":
            self._unplayable["pitch_bends"] += message.pitch != 0
        elif message.type == "track_name":
            self._names.setdefault(event.track, message.name.strip())

    def finish(self, end_s: float) -> None:
        """End what still sounds: its note-off is missing, or the pedal was never released."""
        for channel in self._channels.values():
            for note in channel.sounding:
                self._end(note, end_s)
            channel.sounding = []
            channel.sustain = channel.sostenuto = False

    def score(self) -> Score:
        tracks = []
        for (track, channel, program), notes in sorted(self._parts.items()):
            state = self._channels[channel]
            name = self._names.get(track) or PROGRAM_NAMES[program]
            notes.sort(key=lambda note: (note.start_s, note.pitch))
            tracks.append(
                Track(
                    name=name,
                    program=program,
                    channel=channel,
                    notes=tuple(notes),
                    gain=_automation(state.gains, _gain(DEFAULT_VOLUME, DEFAULT_EXPRESSION)),
                    pan=_automation(state.pans, 0.0),
                )
            )
        unplayable = {kind: count for kind, count in sorted(self._unplayable.items()) if count}
        return Score(tuple(tracks), self._pedal_events, unplayable)

    def _note_on(self, event: _Event) -> None:
        message = event.message
        if message.channel == DRUM_CHANNEL:
            self._unplayable["drum_notes"] += 1
            return
        if not is_playable(message.note):
            self._unplayable["notes_outside_21_108"] += 1
            return
        channel = self._channels[message.channel]
        kept = []
        for note in channel.sounding:
            # A string that is struck again is a new note. Where another track still holds the key
            # on the same channel, both go on: two hands share a part.
            struck_again = note.pitch == message.note and (
                note.part[0] == event.track or not note.key_down
            )
            if struck_again:
                self._end(note, event.time_s)
            else:
                kept.append(note)
        part = (event.track, message.channel, channel.program)
        kept.append(_Sounding(part, message.note, message.velocity, event.time_s))
        channel.sounding = kept
        key = (event.track, message.channel, message.note)
        self._keys[key] = self._keys.get(key, 0) + 1

    def _note_off(self, event: _Event) -> None:
        message = event.message
        channel = self._channels[message.channel]
        key = (event.track, message.channel, message.note)
        # Where a key was struck again before its first note-off came, that note-off belongs to
        # the first note, which has ended already, and must not cut the second. But where note-offs
        # are missing in the file, waiting for them would hang the note: any one ends it.
        pressed = self._keys.get(key, 0)
        self._keys[key] = max(pressed - 1, 0)
        if pressed > 1 and key not in self._unreliable_keys:
            return
        for note in channel.sounding:
            if note.pitch == message.note and note.part[0] == event.track:
                note.key_down = False
        self._release(channel, event.time_s)

    def _control(self, event: _Event) -> None:
        message = event.message
        channel = self._channels[message.channel]
        number, value = message.control, message.value
        if number == SUSTAIN:
            self._pedal_events += 1
            channel.sustain = value >= PEDAL_THRESHOLD
        elif number == SOSTENUTO:
            if value >= PEDAL_THRESHOLD and not channel.sostenuto:
                for note in channel.sounding:
                    note.latched = note.key_down
            elif value < PEDAL_THRESHOLD:
                for note in channel.sounding:
                    note.latched = False
            channel.sostenuto = value >= PEDAL_THRESHOLD
        elif number == RESET_CONTROLLERS:
            channel.sustain = channel.sostenuto = False
            channel.expression = DEFAULT_EXPRESSION
            for note in channel.sounding:
                note.latched = False
            channel.gains.append((event.time_s, _gain(channel.volume, channel.expression)))
        elif number == ALL_SOUND_OFF or number >= ALL_NOTES_OFF:
            for note in channel.sounding:
                note.key_down = False
                note.latched &= number != ALL_SOUND_OFF
            for key in self._keys:
                if key[1] == message.channel:
                    self._keys[key] = 0
            if number == ALL_SOUND_OFF:
                self._release(channel, event.time_s, silence=True)
                return
        elif number in (VOLUME, EXPRESSION):
            if number == VOLUME:
                channel.volume = value
            else:
                channel.expression = value
            channel.gains.append((event.time_s, _gain(channel.volume, channel.expression)))
        elif number == PAN:
            channel.pans.append((event.time_s, max((value - DEFAULT_PAN) / 63, -1.0)))
        self._release(channel, event.time_s)

    def _release(self, channel: _Channel, time_s: float, *, silence: bool = False) -> None:
        """End the notes of a channel that neither a key nor a pedal holds any longer."""
        kept = []
        for note in channel.sounding:
            if not silence and (note.key_down or note.latched or channel.sustain):
                kept.append(note)
            else:
                self._end(note, time_s)
        channel.sounding = kept

    def _end(self, note: _Sounding, time_s: float) -> None:
        self._parts[note.part].append(Note(note.pitch, note.velocity, note.start_s, time_s))


def _is_note_on(message: mido.Message) -> bool:
    return message.type == "note_on" and message.velocity > 0


def _keys_without_note_offs(midi: mido.MidiFile) -> set[tuple[int, int, int]]:
    """The (track, channel, pitch) that are struck more often than they are released."""
    balance: Counter[tuple[int, int, int]] = Counter()
    for index, track in enumerate(midi.tracks):
        for message in track:
            if message.type in ("note_on", "note_off"):
                key = (index, message.channel, message.note)
                balance[key] += 1 if _is_note_on(message) else -1
    return {key for key, excess in balance.items() if excess > 0}


def _gain(volume: int, expression: int) -> float:
    """Amplitude by General MIDI's recommendation, 40·log10 dB, relative to the default volume."""
    return (volume / DEFAULT_VOLUME) ** 2 * (expression / DEFAULT_EXPRESSION) ** 2


def _automation(points: list[tuple[float, float]], initial: float) -> Automation:
    """A curve that starts at `initial`; of several points at one time, the last one stands."""
    curve = {0.0: initial}
    for time_s, value in points:
        curve[time_s] = value
    return Automation(tuple(curve), tuple(curve.values()))

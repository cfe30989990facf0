"""Standard MIDI Files → Score.

The MIDI data is taken out of its container (`container`), its bytes become events (`smf`), and the
events of all tracks are merged into one list, timed in seconds (`timeline`). The channels that
follow these events (`channels`, `keys`) produce notes, which are grouped into tracks of one program
each.
"""

from __future__ import annotations

import io
import operator
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from timbrel.errors import InputError
from timbrel.score.channels import BEND_CENTRE, SUSTAIN, Channel, Curve
from timbrel.score.container import midi_inside
from timbrel.score.exclusive import Kind, settings_of
from timbrel.score.instruments import PROGRAM_NAMES
from timbrel.score.keys import Keys, Sounding, is_note_on, strokes_with_note_offs
from timbrel.score.score import (
    DRUM_NOTES,
    OUTSIDE_KEYS,
    Automation,
    Note,
    Score,
    Track,
    is_playable,
)
from timbrel.score.smf import (
    CHANNEL_PRESSURE,
    CONTROL,
    KEY_PRESSURE,
    META,
    NOTE_OFF,
    NOTE_ON,
    PITCH_BEND,
    PROGRAM,
    SYSEX,
    TRACK_NAME,
    MidiFile,
    parse_smf,
)
from timbrel.score.text import decoded
from timbrel.score.timeline import Event, Port, Timeline

MAX_DURATION_S = 6 * 3600.0
# A key that is never released ends with the file, but at most this long after the last event.
LONGEST_HOLD_S = 10.0
MAX_CURVE_POINTS = 2**20  # of volumes and tunings of the whole device, for all channels together

_Part = tuple[int, Port, int, int, bool]  # track, port, channel, program, whether it is drums

_DRUM_TRACK_NAME = "Drums"


def read_midi(path: str | os.PathLike, *, max_duration_s: float = MAX_DURATION_S) -> Score:
    """Read a Standard MIDI File of type 0, 1 or 2, also inside a RIFF or MacBinary file.

    Parameters
    ----------
    path
        Path of the file.
    max_duration_s
        Files whose notes last longer than this are refused.

    Returns
    -------
    Score
        One track for each (MIDI track, port, channel, program) that has notes. Damaged files are
        read as far as possible; `Score.warnings` says what could not be read.

    Raises
    ------
    InputError
        If the file is missing, is not MIDI, holds more than 4 MiB of MIDI, lasts longer than
        `max_duration_s`, or is so damaged that no note can be read. An undamaged file without notes
        is not an error: its score is empty.
    """
    try:
        with open(path, "rb") as file:
            return _parsed(file, str(path), max_duration_s)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def parse_midi(
    data: bytes, *, name: str = "MIDI data", max_duration_s: float = MAX_DURATION_S
) -> Score:
    """Read the bytes of a Standard MIDI File, called `name` in errors. See `read_midi`."""
    return _parsed(io.BytesIO(data), name, max_duration_s)


def _parsed(file: BinaryIO, name: str, max_duration_s: float) -> Score:
    try:
        data, warnings = midi_inside(file)
        midi = parse_smf(data)
        performance = _Performance(midi, max_duration_s)
        performance.play()
        score = performance.score((*warnings, *midi.warnings))
        if midi.failure and not score.n_notes and not score.unplayable_notes:
            raise InputError(midi.failure)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return score


class _Performance:
    """Plays the events of a file and notes down what sounds."""

    def __init__(self, midi: MidiFile, max_duration_s: float) -> None:
        self._max_duration_s = max_duration_s
        self._timeline = Timeline(midi)
        self._answered = iter(strokes_with_note_offs(self._timeline))
        self._channels: dict[tuple[Port, int], Channel] = {}
        self._changed: set[Channel] = set()  # since the last reset of the device
        self._struck: set[Channel] = set()  # in this piece
        self._is_gs = False
        self._master_gains, self._master_tunings = Curve(1.0), Curve(0.0)
        self._master_coarse = self._master_shift = 0
        self._parts: dict[_Part, list[Note]] = defaultdict(list)
        self._names: dict[int, str] = {}
        self._unplayable: Counter[str] = Counter()
        self._detuned: set[object] = set()  # channels, and what tunes all of them
        self._pedal_events = 0
        self._n_curve_points = 0
        self._last_s = 0.0  # of what begins or ends a note

    def play(self) -> None:
        """Follow all events; pieces of a type 2 file in turn."""
        end_s = 0.0
        for index in range(len(self._timeline)):
            self._last_s = end_s
            for event in self._timeline.sequence(index, start_s=end_s):
                self._follow(event)
                end_s = event.time_s
            end_s = min(end_s, self._last_s + LONGEST_HOLD_S)
            for channel in self._struck:
                channel.keys.finish(self._last_s, end_s)
            self._struck.clear()

    def score(self, warnings: tuple[str, ...]) -> Score:
        """What was played."""
        ports = {p: i for i, p in enumerate(sorted({part[1] for part in self._parts}))}
        curves = {key: self._curves(key) for key in {(part[1], part[2]) for part in self._parts}}
        tracks: list[Track] = []
        drum_tracks: list[Track] = []
        for part, notes in sorted(self._parts.items()):
            number, port, channel, program, is_drums = part
            name = _DRUM_TRACK_NAME if is_drums else PROGRAM_NAMES[program]
            curve = curves[port, channel]
            track = Track(
                name=self._names.get(number) or name,
                program=program,
                channel=channel,
                notes=tuple(sorted(notes, key=lambda note: (note.start_s, note.pitch))),
                port=ports[port],
                is_kit=is_drums,
                **curve,
            )
            (drum_tracks if is_drums else tracks).append(track)
        if self._detuned:
            self._unplayable["fine_tunings"] = len(self._detuned)
        unplayable = {kind: count for kind, count in sorted(self._unplayable.items()) if count}
        return Score(tuple(tracks), self._pedal_events, unplayable, tuple(drum_tracks), warnings)

    def _curves(self, key: tuple[Port, int]) -> dict[str, Any]:
        """The curves of a channel, with those of the whole device, by the names of `Track`."""
        channel = self._channels[key]
        gain, tuning = channel.gains.automation(), channel.tunings.automation()
        return {
            "gain": self._with_master(gain, self._master_gains, operator.mul),
            "pan": channel.pans.automation() if channel.is_panned else None,
            "reverb": channel.reverbs.automation(),
            "chorus": channel.choruses.automation(),
            "bend": channel.bends.automation(),
            "tuning": self._with_master(tuning, self._master_tunings, operator.add),
            "vibrato": channel.vibratos.automation(),
        }

    def _with_master(
        self, curve: Automation, master: Curve, combine: Callable[..., np.ndarray]
    ) -> Automation:
        if master.is_initial:
            return curve
        of_all = master.automation()
        times_s = np.union1d(curve.times_s, of_all.times_s)
        self._n_curve_points += len(times_s)
        if self._n_curve_points > MAX_CURVE_POINTS:
            raise InputError("changes the volume or tuning of the whole device too often")
        values = combine(curve.at(times_s), of_all.at(times_s))
        return Automation(tuple(times_s.tolist()), tuple(values.tolist()))

    def _follow(self, event: Event) -> None:
        if event.status == SYSEX:
            self._exclusive(event)
            return
        if event.status == META:
            if event.first == TRACK_NAME and event.track not in self._names:
                self._names[event.track] = decoded(event.data)
            return
        channel = self._channel(event.port, event.channel)
        if is_note_on(event):
            self._note_on(event, channel)
        elif event.status in (NOTE_ON, NOTE_OFF):
            if channel.keys.release(event.track, event.first, event.time_s):
                self._reach(event.time_s)
        elif event.status == CONTROL:
            if kind := channel.unplayable(event.first, event.second):
                self._unplayable[kind] += 1
            self._pedal_events += event.first == SUSTAIN
            channel.control(event.first, event.second, event.time_s)
        elif event.status == PROGRAM:
            channel.choose_program(event.first, is_gs=self._is_gs)
        elif event.status == PITCH_BEND:
            value = (event.first | event.second << 7) - BEND_CENTRE
            self._unplayable["pitch_bends"] += value != 0
            channel.bend(value, event.time_s)
        elif event.status == KEY_PRESSURE:
            self._unplayable["key_pressure"] += event.second > 0
        elif event.status == CHANNEL_PRESSURE:
            self._unplayable["channel_pressure"] += event.first > 0

    def _channel(self, port: Port, number: int) -> Channel:
        channel = self._channels.get((port, number))
        if channel is None:
            channel = self._channels[port, number] = Channel(number, Keys(self._end))
        self._changed.add(channel)
        return channel

    def _note_on(self, event: Event, channel: Channel) -> None:
        answered = next(self._answered)
        self._reach(event.time_s)
        pitch, detune = event.first, 0.0
        if channel.is_drums:
            self._unplayable[DRUM_NOTES] += 1
        else:
            pitch += channel.coarse_tuning + channel.shift + self._master_coarse
            pitch += self._master_shift
            if not is_playable(pitch):
                self._unplayable[OUTSIDE_KEYS] += 1
                return
            detune = channel.scale[event.first % len(channel.scale)]
            if channel.fine_tuning:
                self._detuned.add(channel)
            if self._master_tunings.last:
                self._detuned.add(Kind.MASTER_FINE)
        channel.keys.strike(
            event.track,
            event.first,
            event.time_s,
            part=self._parts[
                event.track, event.port, event.channel, channel.program, channel.is_drums
            ],
            pitch=pitch,
            detune=detune,
            velocity=event.second,
            answered=answered,
        )
        self._struck.add(channel)

    def _end(self, note: Sounding, time_s: float) -> None:
        self._reach(time_s)
        note.part.append(Note(note.pitch, note.velocity, note.start_s, time_s, note.detune))

    def _reach(self, time_s: float) -> None:
        """Something begins or ends to sound."""
        if not time_s <= self._max_duration_s:
            raise InputError(
                f"lasts longer than {self._max_duration_s / 3600:g} hours; "
                "raise --max-duration if that is meant"
            )
        self._last_s = time_s

    def _exclusive(self, event: Event) -> None:
        time_s = event.time_s
        for kind, value, part, scale in settings_of(event.data):
            if kind is Kind.RESET:
                self._reset(time_s, is_gs=bool(value))
            elif kind is Kind.MASTER_VOLUME:
                self._master_gains.change(time_s, value**2)
            elif kind is Kind.MASTER_FINE:
                self._master_tunings.change(time_s, value)
            elif kind is Kind.MASTER_COARSE:
                self._master_coarse = int(value)
            elif kind is Kind.MASTER_SHIFT:
                self._master_shift = int(value)
            elif kind is Kind.SCALE and not scale:
                self._detuned.add(kind)
            else:
                port, device = event.port
                channel = self._channel((port + part // 16, device), part % 16)
                if kind is Kind.SCALE:
                    self._detuned.add(kind)
                    channel.scale = scale
                elif kind is Kind.PART_DRUMS:
                    channel.set_drums(bool(value))
                else:
                    channel.shift = int(value)

    def _reset(self, time_s: float, *, is_gs: bool) -> None:
        self._is_gs = is_gs
        for channel in self._changed:
            channel.reset(time_s)
        self._changed.clear()
        self._master_gains.change(time_s, 1.0)
        self._master_tunings.change(time_s, 0.0)
        self._master_coarse = self._master_shift = 0

"""The keys of MIDI channels: which are down, which are held by pedals, and what a note-off ends."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from timbrel.score.exclusive import resets
from timbrel.score.score import Note
from timbrel.score.smf import CONTROL, NOTE_OFF, NOTE_ON, SYSEX
from timbrel.score.timeline import Event, Port, Timeline

ALL_SOUND_OFF, ALL_NOTES_OFF = 120, 123

# If a key is struck again before its note-off and the note-off follows this soon, it belongs to the
# first stroke: hardly any note is meant to be so short.
LEGATO_OVERLAP_S = 0.02
# A note-off this long after the last stroke of its key does not answer one this many strokes back.
STRAY_AFTER_STROKES = 4
STRAY_AFTER_S = 10.0


@dataclass(slots=True)
class Sounding:
    """A note that has begun."""

    part: list[Note]  # where it goes when it ends
    pitch: int
    detune: float  # semitones
    velocity: int
    start_s: float
    stroke: int  # its number among those of the channel
    # Strokes of this key until now whose note-offs have not come; of how many they will come.
    awaited: int
    coming: int


class Keys:
    """The keys of one channel, each for itself in each track.

    Parameters
    ----------
    end
        What to do with a note that ends, and when that is.
    """

    def __init__(self, end: Callable[[Sounding, float], None]) -> None:
        self._end = end
        self._down: dict[int, Sounding] = {}  # by track and key
        # What only a pedal holds, by key: the sustain pedal, or the sostenuto pedal.
        self._sustained: dict[int, list[Sounding]] = defaultdict(list)
        self._caught: dict[int, list[Sounding]] = defaultdict(list)
        self._sustain = self._sostenuto = False
        self._n_strokes = 0
        self._caught_until = 0  # the last stroke that the sostenuto pedal may hold

    def strike(
        self,
        track: int,
        key: int,
        time_s: float,
        *,
        part: list[Note],
        pitch: int,
        detune: float,
        velocity: int,
        answered: int,
    ) -> None:
        """Begin a note; `answered` says whether a note-off of its own follows.

        A string that is struck again is a new note. Where another track still holds the key, both
        go on: two hands share a part.
        """
        for held in (self._sustained, self._caught):
            for note in held.pop(key, ()):
                self._end(note, time_s)
        awaited, coming = 1, answered
        earlier = self._down.pop(track << 7 | key, None)
        if earlier is not None:
            awaited, coming = earlier.awaited + 1, earlier.coming + answered
            self._end(earlier, time_s)
        self._n_strokes += 1
        self._down[track << 7 | key] = Sounding(
            part, pitch, detune, velocity, time_s, self._n_strokes, awaited, coming
        )

    def release(self, track: int, key: int, time_s: float) -> bool:
        """Follow a note-off; gives whether a key came up.

        Where a key was struck again before its first note-off came, that note-off belongs to the
        first note, which has ended already, and must not cut the second. But where note-offs are
        missing in the file, waiting for them would hang the note: any one ends it.
        """
        note = self._down.get(track << 7 | key)
        if note is None:
            return False
        if note.awaited > 1 and (note.coming > 1 or time_s - note.start_s < LEGATO_OVERLAP_S):
            note.awaited -= 1
            note.coming = max(note.coming - 1, 0)
            return False
        del self._down[track << 7 | key]
        self._came_up(key, note, time_s)
        return True

    def release_all(self, time_s: float) -> None:
        """Let all keys come up; what the pedals hold sounds on."""
        for where in list(self._down):
            self._came_up(where & 0x7F, self._down.pop(where), time_s)

    def silence(self, time_s: float) -> None:
        """End all notes, whatever holds them."""
        self._end_all(self._sustained, time_s)
        self._end_all(self._caught, time_s)
        for where in list(self._down):
            self._end(self._down.pop(where), time_s)

    def set_sustain(self, down: bool, time_s: float) -> None:
        """Press or lift the sustain pedal."""
        self._sustain = down
        if not down:
            self._end_all(self._sustained, time_s)

    def set_sostenuto(self, down: bool, time_s: float) -> None:
        """Press or lift the sostenuto pedal, which holds the keys that are down by then."""
        if down and not self._sostenuto:
            self._caught_until = self._n_strokes
        elif not down:
            self._caught_until = 0
            if self._sustain:
                for key, notes in self._caught.items():
                    self._sustained[key] += notes
                self._caught.clear()
            self._end_all(self._caught, time_s)
        self._sostenuto = down

    def finish(self, last_s: float, end_s: float) -> None:
        """Lift the pedals at the piece's last event; keys that are never released end with it."""
        self.set_sustain(False, last_s)
        self.set_sostenuto(False, last_s)
        self.silence(end_s)

    def _came_up(self, key: int, note: Sounding, time_s: float) -> None:
        if note.stroke <= self._caught_until:
            self._caught[key].append(note)
        elif self._sustain:
            self._sustained[key].append(note)
        else:
            self._end(note, time_s)

    def _end_all(self, held: dict[int, list[Sounding]], time_s: float) -> None:
        for notes in held.values():
            for note in notes:
                self._end(note, time_s)
        held.clear()


def strokes_with_note_offs(timeline: Timeline) -> bytearray:
    """For each note-on, in the order of time: 1 if a note-off of its own follows, else 0.

    A note-off answers the last stroke of its key that has none yet, in its track and until all
    keys are released: one that is missing in one place leaves the others as they are.
    """
    strokes = _Strokes()
    for index in range(len(timeline)):
        # By port and channel, then by track and key: the last stroke.
        last: dict[tuple[Port, int], dict[int, int]] = defaultdict(dict)
        for event in timeline.sequence(index):
            of_channel = last[event.port, event.channel]
            key = event.track << 7 | event.first
            if is_note_on(event):
                of_channel[key] = strokes.add(event.time_s, of_channel.get(key, -1))
            elif event.status in (NOTE_ON, NOTE_OFF):
                if key in of_channel:
                    strokes.answer(event.time_s, of_channel[key])
            elif event.status == CONTROL and releases_keys(event.first):
                of_channel.clear()
            elif event.status == SYSEX and resets(event.data):
                last.clear()
    return strokes.answered


class _Strokes:
    """Note-ons by number, in columns; those of a key are linked."""

    def __init__(self) -> None:
        self.answered = bytearray()
        self._starts_s = array("d")
        self._counts = array("i")  # among those of its key
        self._waiting = array("i")  # the newest of its key, up to it, that has no note-off
        self._before = array("i")  # the one that waits if that does not

    def add(self, time_s: float, last: int) -> int:
        """Number a stroke; `last` is the one of the same key before, or −1."""
        number = len(self.answered)
        self.answered.append(0)
        self._starts_s.append(time_s)
        self._counts.append(self._counts[last] + 1 if last >= 0 else 0)
        self._before.append(self._waiting[last] if last >= 0 else -1)
        self._waiting.append(number)
        return number

    def answer(self, time_s: float, last: int) -> None:
        """Follow a note-off after the stroke `last` of its key.

        One that comes long after several strokes that had their own does not belong to the one
        before them: many programs release all keys at the end of a piece, held or not.
        """
        waiting = self._waiting[last]
        if waiting < 0:
            return
        is_stray = (
            self._counts[last] - self._counts[waiting] >= STRAY_AFTER_STROKES
            and time_s - self._starts_s[last] > STRAY_AFTER_S
        )
        if not is_stray:
            self.answered[waiting] = 1
            self._waiting[last] = self._before[waiting]


def is_note_on(event: Event) -> bool:
    """Whether a key is struck; a note-on of velocity 0 is a note-off."""
    return event.status == NOTE_ON and event.second > 0


def releases_keys(control: int) -> bool:
    """Whether a controller lets all keys of its channel come up, as changes of mode do, too."""
    return control == ALL_SOUND_OFF or control >= ALL_NOTES_OFF

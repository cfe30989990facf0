"""The state of a MIDI channel: its program, whether it plays drums, controllers and tunings."""

from __future__ import annotations

from array import array

from timbrel.score.keys import ALL_SOUND_OFF, Keys, releases_keys
from timbrel.score.score import DEFAULT_REVERB_SEND, Automation

DRUM_CHANNEL = 9  # counted from 0; the others are drums only where a file says so
# Banks of drum kits (GM2 120, XG 126 and 127), and of GM2's melodic instruments.
DRUM_BANKS, MELODY_BANK = (120, 126, 127), 121
PEDAL_THRESHOLD = 64

BANK, MODULATION, DATA, VOLUME, PAN, EXPRESSION, DATA_LOW = 0, 1, 6, 7, 10, 11, 38
REVERB, CHORUS = 91, 93
SUSTAIN, PORTAMENTO, SOSTENUTO, SOFT = 64, 65, 66, 67
UNREGISTERED_LOW, UNREGISTERED, REGISTERED_LOW, REGISTERED = 98, 99, 100, 101
RESET_CONTROLLERS = 121
DEFAULT_VOLUME, DEFAULT_EXPRESSION, DEFAULT_PAN = 100, 127, 64

# Semitones of vibrato with the modulation wheel fully up: the default of the SoundFont standard.
VIBRATO_DEPTH = 0.5

# Registered parameter numbers (RPN).
_BEND_RANGE, _FINE_TUNING, _COARSE_TUNING, _NO_PARAMETER = (0, 0), (0, 1), (0, 2), (127, 127)
_DEFAULT_ENTRIES = {_BEND_RANGE: (2, 0), _FINE_TUNING: (64, 0), _COARSE_TUNING: (64, 0)}
BEND_CENTRE = 8192
_EQUAL: tuple[float, ...] = (0.0,) * 12

# Controllers that change the sound but are not played: the kind under which they are counted, and
# the values at which they change nothing.
_NONE, _OFF, _UP, _CENTRED = range(0), range(1), range(PEDAL_THRESHOLD), range(64, 65)
UNPLAYABLE_CONTROLS: dict[int, tuple[str, range]] = {
    MODULATION: ("modulation", _OFF),
    PORTAMENTO: ("portamento", _UP),
    SOFT: ("soft_pedal", _UP),
    **dict.fromkeys(range(70, 80), ("sound_controllers", _CENTRED)),
    84: ("portamento", _NONE),
    **dict.fromkeys((92, 94, 95), ("other_effect_sends", _OFF)),
    126: ("mono_mode", _NONE),
}


class Curve:
    """A value over time; of several at one time, the last one stands."""

    def __init__(self, initial: float) -> None:
        self._initial = initial
        self._times_s = array("d", [0.0])
        self._values = array("d", [initial])

    def add(self, time_s: float, value: float) -> None:
        """Set the value from a time on, which is not before the last one."""
        if time_s == self._times_s[-1]:
            self._values[-1] = value
        else:
            self._times_s.append(time_s)
            self._values.append(value)

    def change(self, time_s: float, value: float) -> None:
        """Set the value from a time on, if it is another than before."""
        if value != self.last:
            self.add(time_s, value)

    @property
    def is_initial(self) -> bool:
        """Whether it never leaves its first value."""
        return len(self._values) == 1 and self._values[0] == self._initial

    @property
    def last(self) -> float:
        """The newest value."""
        return self._values[-1]

    def automation(self) -> Automation:
        """The curve as a score holds it."""
        return Automation(tuple(self._times_s), tuple(self._values))


class Channel:
    """One of the 16 channels of a port.

    Parameters
    ----------
    number
        0–15.
    keys
        Its keys and pedals.
    """

    def __init__(self, number: int, keys: Keys) -> None:
        self.keys = keys
        self.gains, self.pans = Curve(_gain(DEFAULT_VOLUME, DEFAULT_EXPRESSION)), Curve(0.0)
        self.reverbs, self.choruses = Curve(DEFAULT_REVERB_SEND), Curve(0.0)
        self.is_panned = False  # whether a pan was ever set
        # In semitones.
        self.bends, self.tunings, self.vibratos = Curve(0.0), Curve(0.0), Curve(0.0)
        self._number = number
        self._set_defaults()

    def _set_defaults(self) -> None:
        self.program = self._bank = 0
        self.is_drums = self._number == DRUM_CHANNEL
        self._is_drums_by_bank = False
        self.shift = 0  # of the keys, by an exclusive message; semitones
        self.scale = _EQUAL  # of the notes that begin: semitones for each key of an octave, from C
        self._volume, self._expression = DEFAULT_VOLUME, DEFAULT_EXPRESSION
        self._bend = 0
        self._parameter, self._is_registered = _NO_PARAMETER, True
        self._entries = dict(_DEFAULT_ENTRIES)

    @property
    def coarse_tuning(self) -> int:
        """By the registered parameter, in semitones."""
        return self._entries[_COARSE_TUNING][0] - 64

    @property
    def fine_tuning(self) -> float:
        """By the registered parameter, in semitones."""
        high, low = self._entries[_FINE_TUNING]
        return ((high << 7 | low) - 0x2000) / 0x2000

    def reset(self, time_s: float) -> None:
        """Set everything to its default, as when the device is switched on."""
        self.keys.silence(time_s)
        self.keys.set_sustain(False, time_s)
        self.keys.set_sostenuto(False, time_s)
        self._set_defaults()
        self.gains.change(time_s, _gain(DEFAULT_VOLUME, DEFAULT_EXPRESSION))
        for curve in (self.pans, self.choruses, self.bends, self.tunings, self.vibratos):
            curve.change(time_s, 0.0)
        self.reverbs.change(time_s, DEFAULT_REVERB_SEND)

    def choose_program(self, program: int, *, is_gs: bool) -> None:
        """Follow a program change, with which the bank that was chosen before begins to count.

        GS devices have messages of their own for what is drums. On the others a bank makes a
        channel drums; channel 10 ends to be so only by GM2's bank of melody instruments, since
        many files choose bank 0 on all channels.
        """
        self.program = program
        if is_gs:
            return
        if self._bank in DRUM_BANKS:
            self._is_drums_by_bank |= not self.is_drums
            self.is_drums = True
        elif self._bank == MELODY_BANK or self._is_drums_by_bank:
            self.is_drums = self._is_drums_by_bank = False

    def set_drums(self, is_drums: bool) -> None:
        """Follow an exclusive message."""
        self.is_drums, self._is_drums_by_bank = is_drums, False

    def bend(self, value: int, time_s: float) -> None:
        """Follow a pitch bend, −8192 to 8191."""
        self._bend = value
        semitones, cents = self._entries[_BEND_RANGE]
        self.bends.add(time_s, value / BEND_CENTRE * (semitones + cents / 100))

    def unplayable(self, number: int, value: int) -> str:
        """What a controller asks for and no model plays, or nothing."""
        if number == DATA and not self._is_registered:
            return "sound_controllers"  # of the device; no two makers have the same
        kind, neutral = UNPLAYABLE_CONTROLS.get(number, ("", _NONE))
        return "" if value in neutral else kind

    def control(self, number: int, value: int, time_s: float) -> None:
        """Follow a controller."""
        if number == BANK:
            self._bank = value
        elif number == SUSTAIN:
            self.keys.set_sustain(value >= PEDAL_THRESHOLD, time_s)
        elif number == SOSTENUTO:
            self.keys.set_sostenuto(value >= PEDAL_THRESHOLD, time_s)
        elif number == ALL_SOUND_OFF:
            self.keys.silence(time_s)
        elif releases_keys(number):
            self.keys.release_all(time_s)
        elif number == RESET_CONTROLLERS:
            self._reset_controllers(time_s)
        elif number in (VOLUME, EXPRESSION):
            if number == VOLUME:
                self._volume = value
            else:
                self._expression = value
            self.gains.add(time_s, _gain(self._volume, self._expression))
        elif number == MODULATION:
            self.vibratos.change(time_s, value / 128 * VIBRATO_DEPTH)
        elif number == PAN:
            self.is_panned = True
            self.pans.add(time_s, max((value - DEFAULT_PAN) / 63, -1.0))
        elif number == REVERB:
            self.reverbs.change(time_s, value / 127)
        elif number == CHORUS:
            self.choruses.change(time_s, value / 127)
        elif number in (REGISTERED, REGISTERED_LOW, UNREGISTERED, UNREGISTERED_LOW):
            self._choose_parameter(number, value)
        elif number in (DATA, DATA_LOW):
            self._enter(number, value, time_s)

    def _reset_controllers(self, time_s: float) -> None:
        """As recommended (RP-015): volume, pan, program and tunings stay."""
        self.keys.set_sustain(False, time_s)
        self.keys.set_sostenuto(False, time_s)
        self._expression = DEFAULT_EXPRESSION
        self.gains.add(time_s, _gain(self._volume, self._expression))
        self._parameter, self._is_registered = _NO_PARAMETER, True
        self.vibratos.change(time_s, 0.0)
        if self._bend:
            self.bend(0, time_s)

    def _choose_parameter(self, number: int, value: int) -> None:
        high, low = self._parameter
        self._is_registered = number in (REGISTERED, REGISTERED_LOW)
        is_high = number in (REGISTERED, UNREGISTERED)
        self._parameter = (value, low) if is_high else (high, value)

    def _enter(self, number: int, value: int, time_s: float) -> None:
        if not self._is_registered or self._parameter not in self._entries:
            return
        high, low = self._entries[self._parameter]
        self._entries[self._parameter] = (value, low) if number == DATA else (high, value)
        if self._parameter == _FINE_TUNING:
            self.tunings.change(time_s, self.fine_tuning)
        elif self._parameter == _BEND_RANGE and self._bend:
            self.bend(self._bend, time_s)


def _gain(volume: int, expression: int) -> float:
    """Amplitude by General MIDI's recommendation, 40·log10 dB, relative to the default volume."""
    return (volume / DEFAULT_VOLUME) ** 2 * (expression / DEFAULT_EXPRESSION) ** 2

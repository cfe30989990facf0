"""Random drum parts: each key alone, and grooves with ghost notes, flams and fills."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from timbrel.corpus.composing import Player

Section = Callable[[Player, float], float]

# The keys of a General MIDI drum kit.
_KICKS, _SNARES, _TOMS = (36, 35), (38, 40), (50, 48, 47, 45, 43, 41)
_CLOSED_HAT, _PEDAL_HAT, _OPEN_HAT = 42, 44, 46
_RIDES, _CRASHES = (51, 53, 59), (49, 57, 55, 52)
_BACKBEATS = (38, 38, 40, 37, 39)  # snares, side stick, hand clap
_FRAME = {36, 38, 42, 46}  # a kit with these can play a groove of a drum set

# Beats per bar, and subdivisions of a beat.
_METRES = ((4, 4), (4, 4), (4, 3), (3, 4), (2, 4), (5, 4), (7, 2), (6, 2), (4, 2), (2, 6))
_VELOCITIES = 4  # etudes in a row play a key at as many different velocities
_LONG_RESTS = 0.12  # the share of keys that ring for a while before the next one is struck


def drum_sections(player: Player, keys: Sequence[int], number: int) -> list[Section]:
    """All keys alone, then grooves of a drum set and rhythms of any keys in turn."""
    sections: list[Section] = [lambda p, position: _each_key(p, position, keys, number)]
    for _ in range(12):
        if set(keys) >= _FRAME and player.chance(0.65):
            sections.append(lambda p, position: _Groove(p, keys).play(position))
        else:
            sections.append(lambda p, position: _layers(p, position, keys))
    first = player.integer(0, 1)
    return [*sections[1 : 1 + first], sections[0], *sections[1 + first :]]


def _each_key(player: Player, position: float, keys: Sequence[int], number: int) -> float:
    """Each key of the kit for itself; etudes in a row play it at different velocities."""
    order = player.random.permutation(np.asarray(keys))
    for pitch in order:
        # The key's own turn through the quarters of the velocities.
        quarter = (number + int(pitch)) % _VELOCITIES
        velocity = 8 + (quarter + player.between(0, 1)) * (127 - 8) / _VELOCITIES
        player.sheet.note(position, player.pick((0.05, 0.15, 0.3)), int(pitch), velocity)
        long = player.chance(max(_LONG_RESTS, 4 / len(keys)))
        position += player.between(1.2, 2.0) if long else player.between(0.15, 0.4)
    return position


def _layers(player: Player, position: float, keys: Sequence[int]) -> float:
    """Some of the kit's keys, each with an even rhythm of its own."""
    beats, parts = player.pick(_METRES)
    steps = beats * parts
    step_s = 60 / player.between(70, 150) / parts
    chosen = player.random.choice(np.asarray(keys), min(len(keys), player.integer(2, 6)), False)
    bars = player.integer(2, 4)
    for pitch in chosen:
        strokes, shift = player.integer(1, max(steps // 2, 1)), player.integer(0, steps - 1)
        loud, length = player.loudness(), player.pick((0.05, 0.2, 0.6))
        for step in range(bars * steps):
            # Strokes spread as evenly over the bar as whole steps allow.
            if (step + shift) % steps * strokes % steps < strokes:
                time_s = position + step * step_s + abs(player.random.normal(0, 0.004))
                player.sheet.note(time_s, length, int(pitch), loud + player.between(-14, 10))
    return position + bars * steps * step_s


class _Groove:
    """A few bars of a drum set, with a fill at the end."""

    def __init__(self, player: Player, keys: Sequence[int]) -> None:
        self._player = player
        self._keys = set(keys)
        self._beats, self._parts = player.pick(_METRES)
        self._step_s = 60 / player.between(62, 176) / self._parts
        if self._parts >= 4:
            self._step_s = max(self._step_s, 0.09)
        self._steps = self._beats * self._parts
        # Swing delays every second part of a beat.
        self._swing = player.pick((0.0, 0.0, 0.2, 0.33)) if self._parts in (2, 4) else 0.0
        self._loud = player.between(30, 118)
        self._length_s = player.pick((0.04, 0.1, 0.25))
        self._backbeat = player.pick(_BACKBEATS)
        self._timekeeper = player.pick((_CLOSED_HAT, _CLOSED_HAT, _CLOSED_HAT, *_RIDES))
        self._kicks = [
            player.chance(0.95 if step == 0 else 0.4 if step % self._parts == 0 else 0.15)
            for step in range(self._steps)
        ]
        self._open_share = player.pick((0.0, 0.1, 0.25))
        self._ghost_share = player.pick((0.0, 0.15, 0.35))
        self._flam_share = player.pick((0.0, 0.15))

    def play(self, position: float) -> float:
        """Write it down; gives the end."""
        player, bar_s = self._player, self._steps * self._step_s
        bars = player.integer(2, 4)
        if player.chance(0.6):
            self._hit(position, player.pick(_CRASHES), 12)
        for bar in range(bars):
            fill_from = self._steps
            if bar == bars - 1 and player.chance(0.7):
                fill_from = self._steps - player.integer(1, min(self._beats, 3)) * self._parts
            self._bar(position + bar * bar_s, fill_from)
        end_s = position + bars * bar_s
        if player.chance(0.5):
            self._hit(end_s, player.pick(_CRASHES), 14)
            self._hit(end_s, player.pick(_KICKS), 10)
        return end_s + 0.3

    def _bar(self, position: float, fill_from: int) -> None:
        player, parts = self._player, self._parts
        every = 1 if parts <= 2 or player.chance(0.3) else 2
        for step in range(self._steps):
            time_s = self._time(position, step)
            if step >= fill_from:
                self._fill(time_s, (step - fill_from) / (self._steps - fill_from))
                continue
            if self._kicks[step]:
                self._hit(time_s, _KICKS[0] if player.chance(0.85) else _KICKS[1], 4)
            if step % parts == 0 and (step // parts) % 2 == 1:
                if player.chance(self._flam_share):
                    self._hit(time_s - player.between(0.018, 0.035), self._backbeat, -35)
                self._hit(time_s, self._backbeat, 10)
            elif player.chance(self._ghost_share):
                self._hit(time_s, _SNARES[0], -self._loud + player.between(12, 38))
            if step % every == 0:
                self._keep_time(time_s, step)

    def _keep_time(self, time_s: float, step: int) -> None:
        on_beat = step % self._parts == 0
        key, accent = self._timekeeper, 2 if on_beat else -14
        if key == _CLOSED_HAT and not on_beat and self._player.chance(self._open_share):
            # The next stroke of the closed hat, or the foot, chokes it.
            key, accent = _OPEN_HAT, 0
            if self._player.chance(0.3):
                self._hit(time_s + 0.9 * self._step_s, _PEDAL_HAT, -15)
        self._hit(time_s, key, accent)

    def _fill(self, time_s: float, progress: float) -> None:
        """A stroke of a fill: down the toms, or a roll on the snare, growing."""
        player = self._player
        if player.chance(0.15):
            return
        tom = _TOMS[min(int(progress * len(_TOMS)), len(_TOMS) - 1)]
        key = _SNARES[0] if player.chance(0.3) else tom
        self._hit(time_s, key, -10 + 20 * progress)
        if player.chance(0.3):  # twice as fast
            self._hit(time_s + self._step_s / 2, key, -15 + 20 * progress)

    def _time(self, position: float, step: int) -> float:
        late = self._swing * self._step_s if step % 2 else 0.0
        return position + step * self._step_s + late + abs(self._player.random.normal(0, 0.004))

    def _hit(self, time_s: float, key: int, accent: float) -> None:
        if key in self._keys:
            velocity = max(self._loud + accent + self._player.between(-8, 8), 8)
            self._player.sheet.note(time_s, self._length_s, key, velocity)

"""Generated scores that cover everything an instrument may be asked to play.

The composed scores that models learn from are piano music: they have no drums, few bends, and
hardly any very soft, short or low notes. An etude is a minute or so of sections: simple tonal
music, scales, arpeggios, repeated notes, trills, chords of one to ten notes, pedal, bends, vibrato,
all velocities, each key alone, and silence. The same instrument, number and seed give the same
etude.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import mido
import numpy as np

from timbrel.constants import HIGHEST_PITCH, LOWEST_PITCH
from timbrel.corpus.composing import (
    CHROMATIC,
    DORIAN,
    MAJOR,
    MINOR,
    PENTATONIC,
    WHOLE_TONE,
    Player,
    in_scale,
    piece,
)
from timbrel.corpus.drumming import drum_sections
from timbrel.corpus.presets import Preset
from timbrel.corpus.sheet import DEFAULT_BEND_RANGE, MODULATION, Sheet
from timbrel.score.channels import DRUM_CHANNEL

SECONDS = (60.0, 90.0)  # how long etudes are; the section that passes the end is played out
_KEYS_TURN = 2  # an etude plays every so many-th key for itself; the next one goes on

# The natural ranges of the General MIDI programs, as given in orchestration books.
_RANGES = (
    *((range(0, 8), 21, 108), (range(8, 12), 53, 105), (range(12, 14), 45, 96)),
    *((range(14, 16), 48, 84), (range(16, 24), 36, 96), (range(24, 32), 40, 88)),
    *((range(32, 40), 24, 67), (range(40, 41), 55, 103), (range(41, 42), 48, 91)),
    *((range(42, 43), 36, 79), (range(43, 44), 24, 67), (range(44, 46), 36, 96)),
    *((range(46, 47), 24, 103), (range(47, 48), 36, 60), (range(48, 52), 28, 100)),
    *((range(52, 55), 43, 84), (range(55, 56), 36, 84), (range(56, 57), 52, 87)),
    *((range(57, 58), 36, 77), (range(58, 59), 26, 65), (range(59, 60), 52, 84)),
    *((range(60, 61), 34, 77), (range(61, 64), 34, 89), (range(64, 65), 54, 88)),
    *((range(65, 66), 47, 82), (range(66, 67), 42, 77), (range(67, 68), 35, 71)),
    *((range(68, 69), 58, 93), (range(69, 70), 52, 83), (range(70, 71), 34, 75)),
    *((range(71, 72), 50, 94), (range(72, 73), 74, 108), (range(73, 80), 60, 98)),
    *((range(80, 88), 33, 100), (range(88, 104), 33, 96), (range(104, 112), 41, 91)),
    *((range(112, 120), 36, 96), (range(120, 128), 36, 84)),
)

Section = Callable[[Player, float], float]


def etude(
    preset: Preset,
    number: int,
    *,
    seed: int = 0,
    split: str = "train",
    longest_s: float | None = None,
) -> mido.MidiFile:
    """Write one etude for an instrument or a kit.

    Parameters
    ----------
    preset
        What it is for: its range, or the keys of the kit.
    number
        From 0; different numbers are different etudes, which share out the keys.
    seed
        Another seed, other etudes.
    split
        Etudes of different splits are different music.
    longest_s
        After so many seconds no section begins, whatever length was drawn from `SECONDS`.

    Returns
    -------
    MidiFile
        One track; kits are played on the channel of the drums, all others on channel 0.
    """
    words = f"etude {seed} {preset.bank} {preset.program} {split} {number}"
    key = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "little")
    sheet = Sheet(DRUM_CHANNEL if preset.is_kit else 0)
    low, high = natural_range(preset.program)
    player = Player(sheet, np.random.default_rng(key), low, high)
    end_s = player.between(*SECONDS)
    if longest_s is not None:
        end_s = min(end_s, longest_s)
    if preset.is_kit:
        sections = drum_sections(player, preset.keys, number)
    else:
        sections = _melodic_sections(player, number)
    position = player.between(0.05, 0.5)
    for section in sections:
        position = max(section(player, position), sheet.end_s)
        # Silence is learnt, too: what rings on after a release, and that nothing comes of nothing.
        position += player.pick((0.2, 0.4, 0.7, 1.0, 2.5))
        if position >= end_s:
            break
    return sheet.midi(f"{preset.name}, etude {number + 1}", preset.program, preset.bank)


def natural_range(program: int) -> tuple[int, int]:
    """Lowest and highest pitch that players of a General MIDI program use."""
    return next((low, high) for programs, low, high in _RANGES if program in programs)


def _melodic_sections(player: Player, number: int) -> list[Section]:
    """Music and exercises in turn; the exercises in a shuffled order, the keys among the first."""
    kinds: list[Section] = [
        *(_scale, _arpeggios, _repeated, _trills, _chords, _held, _dynamics, _bends, _vibrato),
        *(_line, _scattered),
    ]
    start = number % _KEYS_TURN
    exercises: list[Section] = [
        lambda player, position: _each_key(player, position, start),
        *(kinds[i] for i in player.random.permutation(len(kinds))),
    ]
    order = [exercises[i] for i in player.random.permutation(3)] + exercises[3:]
    mixed: list[Section] = []
    for i, exercise in enumerate(order * 2):
        if i % 2 == 0:
            mixed.append(piece)
        mixed.append(exercise)
    return mixed


def _each_key(player: Player, position: float, start: int) -> float:
    """Every so many-th of all 88 keys for itself, in any order, at any velocity."""
    keys = np.arange(LOWEST_PITCH + start, HIGHEST_PITCH + 1, _KEYS_TURN)
    velocities = player.random.permutation(np.linspace(8, 127, len(keys)))
    for pitch, velocity in zip(player.random.permutation(keys), velocities, strict=True):
        step = player.between(0.12, 0.5)
        player.sheet.note(position, step * player.pick((0.2, 0.5, 0.95)), pitch, velocity)
        position += step
    return position


def _scale(player: Player, position: float) -> float:
    """Up and down, at one speed and touch."""
    scale = player.pick((MAJOR, MINOR, DORIAN, PENTATONIC, WHOLE_TONE, CHROMATIC))
    low, high = player.span(player.integer(14, 40))
    notes = in_scale(player.integer(0, 11), scale, low, high)
    notes += notes[-2::-1]
    if player.chance(0.4):
        notes = notes[::-1]
    step, touch = player.between(0.07, 0.32), player.pick((0.3, 0.6, 0.95, 1.05))
    loud, slope = player.loudness(), player.between(-50, 50)
    for i, pitch in enumerate(notes):
        velocity = loud + slope * (i / len(notes) - 0.5)
        player.sheet.note(position, step * touch, pitch, max(velocity, 8))
        position += step
    return position


def _arpeggios(player: Player, position: float) -> float:
    """Broken chords over some octaves, mostly with the pedal."""
    root, scale = player.integer(0, 11), player.pick((MAJOR, MINOR))
    low, high = player.span(36)
    step, loud = player.between(0.07, 0.22), player.loudness()
    pedalled = player.chance(0.6)
    for degree in (0, player.pick((3, 5)), 4, 0)[: player.integer(2, 4)]:
        classes = {(root + scale[(degree + i) % 7]) % 12 for i in (0, 2, 4)}
        notes = [pitch for pitch in range(low, high + 1) if pitch % 12 in classes]
        notes += notes[-2:0:-1] if player.chance(0.6) else []
        if pedalled:
            player.sheet.pedal(position, position + step * len(notes) - 0.03)
        for pitch in notes:
            player.sheet.note(position, step * 0.9, pitch, loud + player.between(-8, 8))
            position += step
    return position


def _repeated(player: Player, position: float) -> float:
    """One key again and again, slow to fast, soft to loud."""
    for _ in range(player.integer(2, 4)):
        pitch = player.integer(*player.span(24))
        first, last = player.between(0.08, 0.5), player.between(0.07, 0.3)
        count = player.integer(5, 12)
        touch, velocities = player.pick((0.3, 0.6, 0.95)), (player.loudness(), player.loudness())
        for i in range(count):
            step = first + (last - first) * i / count
            velocity = velocities[0] + (velocities[1] - velocities[0]) * i / count
            player.sheet.note(position, step * touch, pitch, velocity)
            position += step
        position += 0.15
    return position


def _trills(player: Player, position: float) -> float:
    """Two keys in turn: trills, and tremolos of up to an octave."""
    for _ in range(player.integer(2, 3)):
        pitch = player.integer(*player.span(24))
        other = min(pitch + player.pick((1, 2, 2, 3, 4, 7, 12)), HIGHEST_PITCH)
        step, loud = player.between(0.055, 0.13), player.loudness()
        for i in range(player.integer(12, 24)):
            player.sheet.note(
                position, step * 0.9, other if i % 2 else pitch, loud + player.between(-6, 6)
            )
            position += step
        player.sheet.note(position, player.between(0.3, 0.9), pitch, loud)
        position += 1.0
    return position


def _chords(player: Player, position: float) -> float:
    """Chords of one to ten notes, from staccato to held."""
    root, scale = player.integer(0, 11), player.pick((MAJOR, MINOR, WHOLE_TONE, CHROMATIC))
    for _ in range(player.integer(7, 11)):
        low, high = player.span(player.integer(12, 48))
        notes = in_scale(root, scale, low, high)
        size = min(player.integer(1, 10), len(notes))
        length = player.pick((0.08, 0.2, 0.5, 1.0, 1.8))
        loud, roll = player.loudness(), player.pick((0.0, 0.0, 0.0, 0.03))
        for i, pitch in enumerate(sorted(player.random.choice(notes, size, replace=False))):
            player.sheet.note(position + i * roll, length, pitch, loud + player.between(-8, 8))
        position += length + player.pick((0.05, 0.2, 0.5))
    return position


def _held(player: Player, position: float) -> float:
    """Long notes, alone, or under others that come and go."""
    for _ in range(player.integer(2, 3)):
        low, high = player.span(30)
        length = player.between(1.5, 5.0)
        player.sheet.note(position, length, player.integer(low, high), player.loudness())
        if player.chance(0.5):
            for _ in range(player.integer(1, 4)):
                start = player.between(0.1, 0.7) * length
                player.sheet.note(
                    position + start, length / 4, player.integer(low, high), player.loudness()
                )
        position += length + player.pick((0.05, 0.5))
    return position


def _dynamics(player: Player, position: float) -> float:
    """One key or chord at velocities from 8 to 127."""
    low, high = player.span(24)
    size = player.pick((1, 1, 2, 3))
    notes = [player.integer(low, high) for _ in range(size)]
    velocities = np.linspace(8, 127, player.integer(7, 12))
    if player.chance(0.5):
        velocities = player.random.permutation(velocities)
    step, touch = player.between(0.25, 0.6), player.pick((0.4, 0.9))
    for velocity in velocities:
        for pitch in notes:
            player.sheet.note(position, step * touch, pitch, velocity)
        position += step
    return position


def _line(player: Player, position: float) -> float:
    """One voice that wanders, with rests, legato to staccato."""
    notes = in_scale(
        player.integer(0, 11), player.pick((MAJOR, MINOR, PENTATONIC)), *player.span(26)
    )
    at, step = len(notes) // 2, player.between(0.1, 0.3)
    loud = player.loudness()
    for _ in range(player.integer(18, 36)):
        at = min(max(at + player.pick((-3, -2, -1, -1, 0, 1, 1, 2, 3)), 0), len(notes) - 1)
        length = step * player.pick((1, 1, 1, 2, 2, 3))
        if not player.chance(0.1):
            touch = player.pick((0.25, 0.5, 0.95, 1.0))
            player.sheet.note(position, length * touch, notes[at], loud + player.between(-15, 15))
        position += length
    return position


def _scattered(player: Player, position: float) -> float:
    """Notes without any order: any key, velocity and length."""
    for _ in range(player.integer(25, 45)):
        player.sheet.note(
            position,
            float(np.exp(player.between(np.log(0.04), np.log(1.5)))),
            player.integer(*player.span(30)),
            player.between(8, 127),
        )
        position += player.random.exponential(0.18)
    return position


def _bends(player: Player, position: float) -> float:
    """A line whose notes are bent: into the note, out of it, up and back, from note to note."""
    reach = player.pick((2, 2, 2, 12, 12))
    if reach != DEFAULT_BEND_RANGE:
        player.sheet.bend_range(position, reach)
        position += 0.05
    low, high = player.span(22)
    notes = in_scale(player.integer(0, 11), player.pick((MAJOR, PENTATONIC)), low, high)
    loud, double = player.loudness(), player.chance(0.2)
    for _ in range(player.integer(7, 10)):
        pitch, length = player.pick(notes), player.between(0.5, 1.6)
        far = player.pick((-1.0, -0.5, 0.25, 0.5, 1.0, 1.0)) * reach * player.pick((1.0, 1.0, 0.5))
        far = min(max(far, LOWEST_PITCH - pitch), HIGHEST_PITCH - pitch)
        early, late = sorted((player.between(0.0, 0.8), player.between(0.1, 1.0)))
        shape = player.pick(((far, 0.0), (0.0, far), (far, far)))
        _glide(player, position, position + early * length, shape[0], shape[0])
        _glide(player, position + early * length, position + late * length, *shape)
        if player.chance(0.3):  # and back
            _glide(player, position + late * length, position + length, shape[1], 0.0)
        player.sheet.note(position, length * 0.97, pitch, loud + player.between(-12, 12))
        if double:
            player.sheet.note(position, length * 0.97, pitch + player.pick((3, 4, 7)), loud)
        position += length
    player.sheet.bend(position, 0.0)
    if reach != DEFAULT_BEND_RANGE:
        player.sheet.bend_range(position + 0.02, round(DEFAULT_BEND_RANGE))
    return position + 0.05


def _glide(player: Player, start_s: float, stop_s: float, first: float, last: float) -> None:
    """Turn the wheel from one bend to another, a hundred times a second."""
    steps = 0 if first == last else max(round((stop_s - start_s) * 100), 1)
    for i in range(steps + 1):
        share = i / steps if steps else 1.0
        player.sheet.bend(start_s + share * (stop_s - start_s), first + share * (last - first))


def _vibrato(player: Player, position: float) -> float:
    """Held notes with vibrato, by the modulation wheel or by the pitch wheel."""
    low, high = player.span(22)
    by_wheel = player.chance(0.5)
    for _ in range(player.integer(3, 5)):
        length, delay = player.between(1.0, 2.5), player.between(0.0, 0.5)
        player.sheet.note(position, length * 0.95, player.integer(low, high), player.loudness())
        depth, rate_hz = player.between(0.1, 0.6), player.between(4.0, 7.5)
        for time_s in np.arange(delay, length * 0.95, 0.01 if by_wheel else 0.05):
            growth = min((time_s - delay) / 0.4, 1.0)
            if by_wheel:
                sway = depth * growth * np.sin(2 * np.pi * rate_hz * (time_s - delay))
                player.sheet.bend(position + time_s, float(sway))
            else:
                player.sheet.control(position + time_s, MODULATION, 127 * growth * depth / 0.6)
        position += length
        player.sheet.bend(position, 0.0)
        player.sheet.control(position, MODULATION, 0)
        position += player.pick((0.02, 0.3))
    return position

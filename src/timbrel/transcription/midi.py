"""Notes that were heard → a Standard MIDI File, with their bends.

Times are the recording's own: a tempo decides where the bars of a notation program lie, and moves
no note. Notes that are not bent share the first channel. A bent note has a channel for itself while
it sounds, since a bend moves all notes of a channel.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import mido
import numpy as np

from timbrel.constants import DEFAULT_TEMPO
from timbrel.files import atomic_path
from timbrel.score.channels import DRUM_CHANNEL
from timbrel.transcription.decoding import HeardNote
from timbrel.transcription.transcriber import Transcription

TRACK_NAME = "Transcription"
TICKS_PER_BEAT = 960
BEND_CHANNELS = tuple(channel for channel in range(1, 16) if channel != DRUM_CHANNEL)
DEFAULT_RANGE, LARGEST_RANGE = 2, 24  # semitones to either side
STEP_CENTS = 2.0  # smaller changes of a bend are left out
# The registered parameter of the range of bends.
_RANGE_PARAMETER = ((101, 0), (100, 0))


@dataclass(frozen=True)
class _Event:
    time_s: float
    order: int  # among those of one time: releases, bends, notes
    message: mido.Message


def write_transcription(
    path: str | os.PathLike, transcription: Transcription, *, tempo: float = DEFAULT_TEMPO
) -> None:
    """Write a MIDI file, whole or not at all.

    Parameters
    ----------
    path
        The file.
    transcription
        What was heard. Bends are written against the recording's tuning.
    tempo
        Beats a minute, of the file's grid.
    """
    with atomic_path(path) as temporary:
        as_midi(transcription, tempo=tempo).save(temporary)


def as_midi(transcription: Transcription, *, tempo: float = DEFAULT_TEMPO) -> mido.MidiFile:
    """A MIDI file of one track; see `write_transcription`."""
    bent = [note for note in transcription.notes if note.bend_cents]
    largest = max((np.abs(_curve(note, transcription)).max() for note in bent), default=0.0)
    reach = int(np.clip(np.ceil(largest / 100), DEFAULT_RANGE, LARGEST_RANGE))
    events: list[_Event] = []
    free_s = dict.fromkeys(BEND_CHANNELS, -1.0)  # from when on a channel is free
    used: set[int] = set()
    for note in transcription.notes:
        channel = 0
        if note.bend_cents:
            channel = next((c for c, end_s in free_s.items() if end_s <= note.start_s), 0)
        if channel:
            free_s[channel] = note.end_s
            used.add(channel)
            events += _bends(note, transcription, channel, reach)
        for time_s, order, velocity in ((note.start_s, 2, note.velocity), (note.end_s, 0, 0)):
            message = mido.Message("note_on", channel=channel, note=note.pitch, velocity=velocity)
            events.append(_Event(time_s, order, message))
    beat_us = mido.bpm2tempo(tempo)
    track = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=beat_us),
            mido.MetaMessage("track_name", name=TRACK_NAME),
        ]
    )
    for channel in sorted(used):
        for control, value in (*_RANGE_PARAMETER, (6, reach), (38, 0)):
            track.append(
                mido.Message("control_change", channel=channel, control=control, value=value)
            )
    ticks_per_s = TICKS_PER_BEAT * 1_000_000 / beat_us
    now = 0
    for event in sorted(events, key=lambda event: (round(event.time_s * ticks_per_s), event.order)):
        tick = round(event.time_s * ticks_per_s)
        track.append(event.message.copy(time=tick - now))
        now = tick
    return mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track])


def _curve(note: HeardNote, transcription: Transcription) -> np.ndarray:
    """A note's bend against the recording's tuning, in cents."""
    return np.array(note.bend_cents) - transcription.tuning_cents


def _bends(note: HeardNote, transcription: Transcription, channel: int, reach: int) -> list[_Event]:
    """The bends of a note: one at its onset, and one wherever the pitch has moved."""
    events, last = [], None
    for i, cents in enumerate(_curve(note, transcription)):
        time_s = note.start_s + i / transcription.frame_rate
        if time_s >= note.end_s or (last is not None and abs(cents - last) < STEP_CENTS):
            continue
        last = cents
        value = int(np.clip(round(8192 * cents / (100 * reach)), -8192, 8191))
        message = mido.Message("pitchwheel", channel=channel, pitch=value)
        events.append(_Event(time_s, 1, message))
    return events

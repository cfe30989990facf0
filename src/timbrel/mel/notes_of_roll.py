"""Piano roll → the notes in it, for a network of single notes: where only a roll is known.

Fits and the training of encoders and transcribers have rolls of frames, whose values may have
gradients. Notes begin and end with frames then. The key of a note that is bent from its onset on is
the one that sounds, not the one that was struck; and what sounds in the first frame without being
struck began a little earlier.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from timbrel.score.performance_roll import N_KEYS
from timbrel.score.sounding import BEFORE_S, RING_S, STRETCH, SoundingNotes

_SOFTEST = 0.5 / 127  # values below it are no sound
_STRUCK_SHARE = 0.5  # of a key's value, from which on its onset begins a note anew
_BEGUN_S = 0.3  # before the first frame, notes that sound in it already


def notes_of_rolls(
    rolls: Tensor, frame_rate: float, is_kit: Sequence[bool] | np.ndarray | None = None
) -> list[SoundingNotes]:
    """What is heard in rolls of performances.

    Parameters
    ----------
    rolls : Tensor, shape (batch, frames, 257)
        Where they need gradients, `SoundingNotes.notes` is a tensor that passes them on to the
        velocities.
    frame_rate
        Of the rolls.
    is_kit
        Which rolls are a drum kit's; none is if None.
    """
    kits = [False] * len(rolls) if is_kit is None else is_kit
    return [_notes_of(roll, frame_rate, kit) for roll, kit in zip(rolls, kits, strict=True)]


def _notes_of(roll: Tensor, rate: float, is_kit: bool) -> SoundingNotes:
    values = roll.detach().cpu().numpy()
    n_frames = len(values)
    firsts = np.arange(0, n_frames, STRETCH)
    middles = np.minimum(firsts + STRETCH // 2, n_frames - 1)
    found: list[tuple[np.ndarray, ...]] = []
    for place, (onset, keys) in enumerate(_found(values)):
        stop = onset + len(keys)
        onset_s = onset / rate if onset or _is_struck(values, 0, keys[0]) else -_BEGUN_S
        own = np.flatnonzero(
            ((firsts + STRETCH - 1) / rate >= onset_s - BEFORE_S)
            & (firsts / rate < stop / rate + RING_S)
        )
        frames = np.clip(middles[own], onset, stop - 1)
        sounding = keys[frames - onset]
        times_s = (firsts[own, None] + np.arange(STRETCH)) / rate
        found.append(
            (
                np.full(len(own), place),
                own,
                np.full(len(own), keys[0]),
                frames,
                sounding,
                np.zeros(len(own)) if is_kit else values[middles[own], -1] / 2,
                np.stack([times_s - onset_s, times_s - stop / rate], axis=-1),
            )
        )
    if not found:
        nothing, none = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
        return SoundingNotes(nothing, none, none, none, np.zeros((0, STRETCH, 2), np.float32))
    number, stretches, struck, frames, sounding, bent, times_s = map(
        np.concatenate, zip(*found, strict=True)
    )
    told, of_note = np.arange(len(number)), np.arange(len(number))
    if not roll.requires_grad:  # told once as long as it stays as it is
        which = np.stack([number, sounding + bent, values[frames, sounding]], axis=1)
        _, told, of_note = np.unique(which, axis=0, return_index=True, return_inverse=True)
    velocities = 127 * roll[torch.from_numpy(frames[told]), torch.from_numpy(sounding[told])]
    fixed = [struck[told], sounding[told] + bent[told], np.full(len(told), is_kit)]
    key, pitch, kit = (torch.from_numpy(one.astype(np.float32)).to(roll) for one in fixed)
    notes = torch.stack([key, pitch, velocities, kit], dim=1)
    return SoundingNotes(
        notes=notes if notes.requires_grad else notes.cpu().numpy(),
        first_frames=STRETCH * stretches[told],
        of_note=of_note.reshape(-1),
        stretches=stretches,
        times_s=times_s.astype(np.float32),
    )


def _found(values: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Notes of a roll: their first frames, and the keys at which they sound from there on.

    A key that begins to sound without being struck, where its neighbour ends, is a note that was
    bent across.
    """
    notes: list[tuple[int, list[int]]] = []
    open_notes: dict[int, int] = {}  # by their keys now
    sounds = values[:, :N_KEYS] >= _SOFTEST
    for frame, now in enumerate(sounds):
        ended = {key: at for key, at in open_notes.items() if not now[key]}
        for key in np.flatnonzero(now).tolist():
            if key in open_notes and not _is_struck(values, frame, key):
                notes[open_notes[key]][1].append(key)
                continue
            bent = [other for other in (key - 1, key + 1) if other in ended]
            if bent and not _is_struck(values, frame, key):
                open_notes[key] = ended.pop(bent[0])
                del open_notes[bent[0]]
                notes[open_notes[key]][1].append(key)
            else:
                open_notes[key] = len(notes)
                notes.append((frame, [key]))
        for key in ended:
            open_notes.pop(key, None)
    return [(onset, np.array(keys)) for onset, keys in notes]


def _is_struck(values: np.ndarray, frame: int, key: int) -> bool:
    return bool(values[frame, N_KEYS + key] >= max(_STRUCK_SHARE * values[frame, key], _SOFTEST))

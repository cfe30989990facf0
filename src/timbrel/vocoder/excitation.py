"""The score as sound: pulse trains of the sounding notes, for vocoders that use the score.

Each note is a train of band-limited pulses, which begins with a pulse at the note's onset:

    e(t) = a(t) · √(2 / H) · Σ_{h=1…H} cos(2π h f t),   H = ⌊band / f⌋,

of power a². The sum over h is the Dirichlet kernel, so a note costs the same whatever its pitch.

How notes decay depends on the instrument, so there is one sum of trains for each of several
envelopes, and a vocoder mixes them: a is the velocity / 127, times a decay since the onset, times a
release once the key is up, until the key is struck again or the note has faded out. A mixture of
decays can follow any instrument, and distinguishes a note that has just been struck from one that
is ringing under the pedal.

FluidSynth begins its notes on a grid, at multiples of 64 samples. The trains do the same: only then
is the phase of a partial relative to its note's onset always the same, so that it can be learnt.

The state of each note is prepared frame by frame, in double precision (`Excitation`); the pulses of
a frame are then computed from that state alone, in single precision, by one formula that the ONNX
graph repeats (`pulses`). The sound therefore does not depend on how it is cut into blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import numpy as np

from timbrel.constants import A4_HZ, A4_PITCH
from timbrel.score.piano_roll import PianoRoll

# Time constants in seconds, in which a note decays by a factor of e: while held, and once released.
ENVELOPES = ((np.inf, 0.05), (1.5, 0.3), (0.25, 0.15))
SILENT_AFTER_S = 1.5  # a released note is left out from then on
BAND_SHARE = 0.98  # of half the sample rate is filled with harmonics
# Half of the Dirichlet kernel's angle is no smaller, where the kernel is at its limit in single
# precision: its denominator is never 0.
SMALLEST_HALF_ANGLE = 1e-5

Array = TypeVar("Array")


@dataclass(frozen=True)
class NoteFrames(Generic[Array]):
    """The notes that ring in a span of frames, one row each; all float32."""

    phase: Array  # (notes, frames) cycles since the onset at the frame's first sample, mod 1
    step: Array  # (notes, 1) cycles a sample
    harmonics: Array  # (notes, 1) how many fit into the band
    gain: Array  # (notes, frames, envelopes) amplitude; 0 where the note is silent
    first: Array  # (notes, frames) first sample of the frame that sounds


class Excitation:
    """What the notes of a roll do, span by span.

    Parameters
    ----------
    roll
        The score of a track.
    sample_rate, hop_length
        Of the vocoder; a frame holds the samples from ``frame · hop_length`` on.
    onset_grid_s
        Notes begin at its multiples, no earlier than they are struck.
    tuning_cents
        Of the whole track, in hundredths of a semitone above A4 = 440 Hz.
    """

    def __init__(
        self,
        roll: PianoRoll,
        *,
        sample_rate: int,
        hop_length: int,
        onset_grid_s: float,
        tuning_cents: float = 0.0,
    ) -> None:
        self._sample_rate, self._hop_length = sample_rate, hop_length
        self._frame_rate = sample_rate / hop_length
        struck_s, self._release_s, pitch, self._velocity = roll.notes.T
        self._onset_s = np.ceil(struck_s / onset_grid_s - 1e-6) * onset_grid_s
        self._silent_from_s = silent_from(roll.notes)
        self._latest_s = np.maximum.accumulate(self._silent_from_s)
        self._hz = A4_HZ * 2.0 ** ((pitch - A4_PITCH + tuning_cents / 100) / 12)

    def ringing(self, start: int, stop: int) -> np.ndarray:
        """Which notes ring in the frames from `start` to `stop`, (notes,)."""
        span_s = start / self._frame_rate, stop / self._frame_rate
        return ringing_in(*span_s, self._onset_s, self._silent_from_s, self._latest_s)

    def frames(
        self, start: int, stop: int, ringing: np.ndarray | None = None
    ) -> NoteFrames[np.ndarray]:
        """What the notes that ring in the frames from `start` to `stop` do there.

        `ringing` are these notes, where they are known already.
        """
        if ringing is None:
            ringing = self.ringing(start, stop)
        times_s = np.arange(start, stop) / self._frame_rate
        age_s = times_s - self._onset_s[ringing, None]  # (notes, frames)
        first = np.ceil(-age_s * self._sample_rate - 1e-6).clip(0, self._hop_length)
        since_s = np.stack([age_s, times_s - self._release_s[ringing, None]], axis=-1).clip(0)
        rings = (first < self._hop_length) & (times_s < self._silent_from_s[ringing, None])
        level = self._velocity[ringing, None] / 127 * rings
        falls = np.exp(-since_s @ (1 / np.array(ENVELOPES).T))  # (notes, frames, envelopes)
        hz = self._hz[ringing, None]
        return NoteFrames(
            phase=np.mod(age_s * hz, 1.0).astype(np.float32),
            step=(hz / self._sample_rate).astype(np.float32),
            harmonics=np.floor(BAND_SHARE * self._sample_rate / 2 / hz).astype(np.float32),
            gain=(level[..., None] * falls).astype(np.float32),
            first=first.astype(np.float32),
        )


def ringing_in(
    start_s: float,
    stop_s: float,
    onset_s: np.ndarray,
    silent_from_s: np.ndarray,
    latest_s: np.ndarray,
) -> np.ndarray:
    """Which notes ring in a span of time, (notes,).

    Parameters
    ----------
    start_s, stop_s
        The span.
    onset_s, silent_from_s
        When each note begins, in order, and when it is heard no more.
    latest_s
        The running maximum of `silent_from_s`.
    """
    over = np.searchsorted(latest_s, start_s, side="right")
    begun = np.searchsorted(onset_s, stop_s)
    return over + np.flatnonzero(silent_from_s[over:begun] > start_s)


def pulses(frames: NoteFrames[np.ndarray], hop_length: int) -> np.ndarray:
    """Sums of the notes' pulse trains, float32, shape (envelopes, frames · hop_length)."""
    samples = np.arange(hop_length, dtype=np.float32)
    phase = frames.phase[..., None] + frames.step[..., None] * samples
    half = np.maximum(np.abs(np.pi * (phase - np.round(phase))), SMALLEST_HALF_ANGLE)
    harmonics = frames.harmonics[..., None]
    train = np.sin((2 * harmonics + 1) * half) / (2 * np.sin(half)) - 0.5
    train = np.where(samples >= frames.first[..., None], train * np.sqrt(2 / harmonics), 0.0)
    # (frames, envelopes, notes) @ (frames, notes, hop_length)
    total = frames.gain.transpose(1, 2, 0) @ train.transpose(1, 0, 2)
    return total.swapaxes(0, 1).reshape(len(ENVELOPES), -1).astype(np.float32)


def stack_notes(tracks: Sequence[NoteFrames[np.ndarray]]) -> NoteFrames[np.ndarray]:
    """The notes of some tracks, (tracks, notes, …), with silent ones where one has fewer."""
    most = max(1, *(len(notes.gain) for notes in tracks))

    def stacked(name: str) -> np.ndarray:
        arrays = [getattr(notes, name) for notes in tracks]
        # A silent note's harmonics are divided by, so there must be one.
        fill = 1.0 if name == "harmonics" else 0.0
        found = np.full((len(tracks), most, *arrays[0].shape[1:]), fill, arrays[0].dtype)
        for row, array in zip(found, arrays, strict=True):
            row[: len(array)] = array
        return found

    return NoteFrames(*(stacked(field.name) for field in fields(NoteFrames)))


def silent_from(notes: np.ndarray) -> np.ndarray:
    """When each note of a `note_table` is left out, in seconds, (notes,).

    That is some time after its release, or when its key is struck again.
    """
    starts, releases, pitches, _ = notes.T
    order = np.argsort(pitches, kind="stable")  # notes of one key side by side, in their order
    same_key = pitches[order][1:] == pitches[order][:-1]
    struck_again = np.full(len(notes), np.inf)
    struck_again[order[:-1][same_key]] = starts[order[1:][same_key]]
    # A note that is still held goes on beside its repetition: two hands share the key.
    return np.maximum(releases, np.minimum(releases + SILENT_AFTER_S, struck_again))

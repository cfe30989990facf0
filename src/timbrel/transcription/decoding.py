"""What the network says of each key and frame → notes, frame by frame.

The network says of each frame how likely a note begins there. Where it is sure that one does, but
not when, the probability is spread over some frames, and none of them is likely. What counts is
therefore the sum over ±48 ms, about as far as two onsets are taken for one (`gathered`). A note
begins where that has a peak above a threshold, and ends where the release has a peak, where the key
no longer sounds, or where it is struck again. If it is bent across to the next key,
it goes on there. While a note sounds, nothing grows but its bend curve, which is given up at its
end if the note was not bent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import numpy as np

from timbrel.constants import LOWEST_PITCH, N_PITCHES
from timbrel.transcription.sizes import BEND, FRAME, OFFSET, ONSET, VELOCITY

# Probabilities of onsets are summed over so many frames to either side; a sure onset is a triangle,
# which adds up to two frames. What lies further away counts a little less, so that a peak is in the
# middle of it.
GATHERED_FRAMES = 3
SURE_ONSET_FRAMES = 2.0
GATHERED_SLOPE = 0.02  # of a frame
# What begins so slowly that no frame is at least so likely is heard late: then it is not the middle
# of the probability that counts, but where so much of it has passed.
CLEAR_ONSET = 0.5
EARLY_SHARE = 0.35
PEAK_FRAMES = GATHERED_FRAMES + 1  # how many frames after it a peak is known as one
REFRACTORY_FRAMES = 4  # a key is not struck twice within these
SHORTEST_FRAMES = 2
ENDED_FRAMES = 2  # a key that has been below the threshold for so long no longer sounds
BENT_CENTS = 25.0  # a note whose pitch stays within so much of its mean is not bent
_SEMITONE_CENTS = 100.0
# Notes are about as loud as those before them and with them, and each is heard a little wrongly: so
# much of a velocity is the mean of those in so many seconds.
NEAR_SHARE, NEAR_S = 0.2, 1.5
NO_ONSET = 1e-6  # a sum of probabilities below which nothing is known of an onset


@dataclass(frozen=True)
class Thresholds:
    """Probabilities, 0 to 1, from which something counts."""

    onset: float = 0.4
    frame: float = 0.4
    offset: float = 0.5

    def as_dict(self) -> dict[str, float]:
        """For a bundle's configuration."""
        return asdict(self)


@dataclass(frozen=True)
class HeardNote:
    """A note that was heard."""

    pitch: int  # MIDI number
    start_s: float
    end_s: float
    velocity: int  # 1–127
    confidence: float  # 0 to 1: the geometric mean of the onset's and the mean frame's probability
    cents: float  # the mean of its pitch above `pitch`
    bend_cents: tuple[float, ...] = ()  # frame by frame, above `pitch`; nothing if it is not bent


@dataclass
class _Sounding:
    """A note that has not ended yet."""

    key: int
    start: float  # frames
    onset: float  # how likely it is
    velocity: float
    frame_sum: float = 0.0
    n_frames: int = 0
    bend: list[float] = field(default_factory=list)


class NoteDecoder:
    """Finds notes in a stream of probabilities.

    Parameters
    ----------
    frame_rate
        Of the network, in Hz.
    thresholds
        Those of the model.
    """

    def __init__(self, frame_rate: float, thresholds: Thresholds) -> None:
        self._rate, self._thresholds = frame_rate, thresholds
        self._time = 0  # the next frame
        self._sounding: dict[int, _Sounding] = {}
        self._active = np.zeros(N_PITCHES, bool)
        self._below = np.zeros(N_PITCHES, np.int64)  # for how many frames
        self._started = np.full(N_PITCHES, -(10**9), np.int64)
        self._near: deque[tuple[int, float]] = deque()  # frames and velocities of the last notes
        # Frames that are not decided yet, with those before them; nothing precedes the first one.
        self._values = np.zeros((GATHERED_FRAMES, N_PITCHES, 5), np.float32)
        # The last two frames, and where in the last one onsets lie.
        self._last = np.zeros((N_PITCHES, 5), np.float32)
        self._before = np.zeros((N_PITCHES, 5), np.float32)
        self._places = np.zeros(N_PITCHES, np.float32)

    def push(self, values: np.ndarray) -> list[HeardNote]:
        """Take probabilities, velocities and bends, (frames, 88, 5); gives notes that are over."""
        joined = np.concatenate([self._values, values])
        self._values = joined[-2 * GATHERED_FRAMES :]
        found: list[HeardNote] = []
        for row, places in zip(*gathered(joined), strict=True):
            found.extend(self._step(row, places))
        return found

    def finish(self) -> list[HeardNote]:
        """End what still sounds, where the stream ends."""
        # One more frame, in which nothing happens, lets the last peaks be found.
        found = self.push(np.zeros((PEAK_FRAMES, N_PITCHES, 5), np.float32))
        return found + [self._end(key, self._time - 1.0) for key in list(self._sounding)]

    def _step(self, row: np.ndarray, places: np.ndarray) -> Iterator[HeardNote]:
        """A frame; what peaked in the one before is known now."""
        limits, last, before = self._thresholds, self._last, self._before
        peaks = last[:, ONSET] >= limits.onset
        if peaks.any():
            peaks &= (last[:, ONSET] >= before[:, ONSET]) & (last[:, ONSET] > row[:, ONSET])
            peaks &= self._time - 1 - self._started >= REFRACTORY_FRAMES
        if self._active.any():
            yield from self._ends(row, peaks)
        struck = np.flatnonzero(peaks).tolist()
        usual = self._usual_velocity(struck)
        for key in struck:
            start = self._time - 1.0
            if self._time > 1:  # before the first frame nothing is known
                start += float(self._places[key])
            if key in self._sounding:
                yield self._end(key, start)
            self._begin(key, start, usual)
        for key, note in self._sounding.items():
            note.frame_sum += float(row[key, FRAME])
            note.n_frames += 1
            note.bend.append(_SEMITONE_CENTS * (key - note.key) + float(row[key, BEND]))
        self._before, self._last, self._places = last, row, places
        self._time += 1

    def _usual_velocity(self, struck: list[int]) -> float:
        """The mean velocity of notes that begin now and of those just before them."""
        if not struck:
            return 0.0
        self._near.extend((self._time, float(self._last[key, VELOCITY])) for key in struck)
        while self._near[0][0] <= self._time - NEAR_S * self._rate:
            self._near.popleft()
        return sum(velocity for _, velocity in self._near) / len(self._near)

    def _begin(self, key: int, start: float, usual: float) -> None:
        last = self._last[key]
        onset, own = min(float(last[ONSET]), 1.0), float(last[VELOCITY])
        note = _Sounding(key, max(start, 0.0), onset, own + NEAR_SHARE * (usual - own))
        note.frame_sum, note.n_frames = float(last[FRAME]), 1
        note.bend.append(float(last[BEND]))
        self._sounding[key] = note
        self._active[key], self._below[key] = True, 0
        self._started[key] = self._time - 1

    def _ends(self, row: np.ndarray, peaks: np.ndarray) -> Iterator[HeardNote]:
        limits, last, before = self._thresholds, self._last, self._before
        old = self._active & (self._time - 1 - self._started >= SHORTEST_FRAMES) & ~peaks
        released = old & (last[:, OFFSET] >= limits.offset)
        released &= (last[:, OFFSET] >= before[:, OFFSET]) & (last[:, OFFSET] > row[:, OFFSET])
        for key in np.flatnonzero(released).tolist():
            shift = _shift(before[key, OFFSET], last[key, OFFSET], row[key, OFFSET])
            yield self._end(key, self._time - 1 + shift)
        below = self._active & (row[:, FRAME] < limits.frame)
        self._below = np.where(below, self._below + 1, 0)
        for key in np.flatnonzero((self._below >= ENDED_FRAMES) & self._active & ~peaks).tolist():
            other = self._bent_to(key, row)
            if other is not None:
                self._move(key, other)
            elif self._time - self._started[key] >= SHORTEST_FRAMES:
                yield self._end(key, self._time + 1.0 - ENDED_FRAMES)

    def _bent_to(self, key: int, row: np.ndarray) -> int | None:
        """The key next to one that no longer sounds, if it sounds and has not been struck."""
        limits = self._thresholds
        for other in (key - 1, key + 1):
            if not 0 <= other < N_PITCHES or other in self._sounding:
                continue
            struck = max(rows[other, ONSET] for rows in (row, self._last, self._before))
            if row[other, FRAME] >= limits.frame and struck < limits.onset:
                return other
        return None

    def _move(self, key: int, other: int) -> None:
        self._sounding[other] = self._sounding.pop(key)
        self._active[key], self._active[other] = False, True
        self._started[other], self._below[other] = self._started[key], 0

    def _end(self, key: int, end: float) -> HeardNote:
        note = self._sounding.pop(key)
        self._active[key] = False
        # The frames in which the end was noticed are not the note's.
        n_frames = max(round(end - note.start), 1)
        curve = np.array(note.bend[:n_frames])
        cents = float(curve.mean())
        is_bent = bool(np.abs(curve - cents).max() > BENT_CENTS)
        mean_frame = note.frame_sum / note.n_frames
        return HeardNote(
            pitch=note.key + LOWEST_PITCH,
            start_s=note.start / self._rate,
            end_s=max(end, note.start + 1) / self._rate,
            velocity=int(np.clip(round(127 * note.velocity), 1, 127)),
            confidence=float(np.sqrt(note.onset * min(mean_frame, 1.0))),
            cents=cents,
            bend_cents=tuple(np.round(curve, 1).tolist()) if is_bent else (),
        )


def gathered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Onsets as the sums over their neighbours, of what the network says.

    Parameters
    ----------
    values : ndarray of float32, shape (frames, 88, 5)
        Probabilities, velocities and bends.

    Returns
    -------
    rows : ndarray of float32, shape (frames − 2 · `GATHERED_FRAMES`, 88, 5)
        The same but for the first and last frames: the onset is how likely one lies in the frames
        around (a little above 1 at times), the velocity is the mean over these onsets.
    places : ndarray of float32, shape (frames − 2 · `GATHERED_FRAMES`, 88)
        When that onset was, in frames after the row's own.
    """
    n_rows = max(len(values) - 2 * GATHERED_FRAMES, 0)
    rows = values[GATHERED_FRAMES : GATHERED_FRAMES + n_rows].copy()
    frames = [
        (np.float32(i - GATHERED_FRAMES), values[i : i + n_rows])
        for i in range(2 * GATHERED_FRAMES + 1)
    ]
    total = np.full(rows.shape[:2], NO_ONSET, np.float32)
    weighed, moment, largest = (np.zeros_like(total) for _ in range(3))
    velocity = total * rows[..., VELOCITY]
    for away, near in frames:
        onset = near[..., ONSET]
        total += onset
        weighed += (1 - np.float32(GATHERED_SLOPE) * abs(away)) * onset
        moment += away * onset
        velocity += onset * near[..., VELOCITY]
        largest = np.maximum(largest, onset)
    rows[..., ONSET] = weighed / np.float32(SURE_ONSET_FRAMES)
    rows[..., VELOCITY] = velocity / total
    return rows, np.where(largest < CLEAR_ONSET, _early(frames, total), moment / total)


def _early(frames: list[tuple[np.float32, np.ndarray]], total: np.ndarray) -> np.ndarray:
    """When `EARLY_SHARE` of the onsets' sum has passed, each frame's evenly over the frame."""
    wanted = np.float32(EARLY_SHARE) * total
    places, passed = np.zeros_like(total), np.zeros_like(total)
    for away, near in frames:
        onset = near[..., ONSET]
        here = (passed < wanted) & (wanted <= passed + onset)
        within = np.divide(wanted - passed, onset, out=np.zeros_like(total), where=here)
        places = np.where(here, away - np.float32(0.5) + within, places)
        passed = passed + onset
    return places


def _shift(before: float, peak: float, after: float) -> float:
    """Where a peak lies between frames, −½ to ½, of a triangle that is four frames wide."""
    rise = float(after) - float(before)
    return float(np.clip(rise / (float(peak) + abs(rise) / 2), -0.5, 0.5)) if rise else 0.0


def probabilities(values: np.ndarray) -> np.ndarray:
    """The network's values with logits made probabilities, (frames, 88, 5)."""
    found = values.copy()
    found[..., : OFFSET + 1] = 1 / (1 + np.exp(-values[..., : OFFSET + 1]))
    return found

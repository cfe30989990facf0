"""From a clip and its notes to the place in the timbre space where they sound most like the clip.

An encoder says at once, but roughly, where a timbre lies. Here the model itself plays the notes of
the clip at places nearby, and the differences say in which direction to go: the steps of
Levenberg (1944) and Marquardt (1963), whose derivatives are differences between mels, so that the
graphs that play suffice and no PyTorch is needed. How loud the clip was recorded, and how far
velocities that were heard are wrong, are found with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from timbrel.fitting.material import audible
from timbrel.fitting.search import level_gain
from timbrel.fitting.slopes import Slopes
from timbrel.hearing.sizes import embeddings_of
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.mel.generator import MelGenerator
from timbrel.score.performance_roll import roll_of
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Track, note_table
from timbrel.timbre.timbre import Timbre
from timbrel.vocoder.catalog import contrast_of

_NUDGE = 0.05  # of the places' deviations, and of a velocity's logarithm: for the differences
_STEPS = 25
_FOLLOWED = 6  # of the starts,
_APART = 0.7  # which are so far from each other, in deviations
_AT_ONCE = 16  # places that are played together
_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 0.03, 1e-3, 3.0
_ENOUGH = 0.003  # of the error: where a step gains less, the derivatives are computed anew
# Weights of the priors, a point of the mel being 1: of places far from the instruments, and of
# other velocities.
_PLACE_PRIOR, _VELOCITY_PRIOR = 0.01, 0.05
_NOTE_PRIOR = 1e-3  # of single notes' velocities
# Of the place, in deviations; levels and parts' velocities; notes' velocities.
_LARGEST_STEPS = 0.8, np.inf, np.inf, 0.7
_LEAST_DEVIATION = 1e-3  # where all instruments lie in one place
_RIDGE = 1e-6  # of what nothing depends on, as a gain where all is silent
_KEPT = (0.6, 0.4)  # of the frames, for the last steps
# A clip's softest frames are pauses if they are so much softer than its loudest point. They hold
# noise, which may be a little louder.
_PAUSES_SHARE, _PAUSES_DB, _ABOVE_NOISE_DB = 0.015, 40.0, 3.0
# Of a clip without pauses: the softest frames of a band, and how far below these noise is taken to
# lie; and how far below the loudest point it does at least.
_SOFT_SHARE, _BELOW_SOFT_DB, _NOISE_DB = 0.05, 3.0, 60.0
_INAUDIBLE_DB = 90.0
_LEAST_DIFFERENCE = 0.1  # nepers; smaller ones count as squares


@dataclass(frozen=True)
class Heard:
    """Part of a clip, and the notes in it."""

    track: Track  # whose notes lie from 0 on
    mel: np.ndarray  # (frames, n_mels), natural logarithm, not floored


@dataclass(frozen=True)
class Place:
    """Where a timbre was found."""

    point: np.ndarray  # (timbre_size,)
    error_db: float  # mean absolute difference of the log-mels there
    first_error_db: float  # and where the search began
    # Covariance of the place for errors of one neper in each independent point of the mel.
    covariance: np.ndarray  # (timbre_size, timbre_size)


def find_place(
    generator: MelGenerator,
    heard: Sequence[Heard],
    starts: Sequence[np.ndarray],
    *,
    hear_velocities: bool = True,
) -> Place:
    """Search for the place from some starts, of which the best ones are followed.

    Beyond the model's instruments places get less likely.

    Parameters
    ----------
    generator
        The model that plays.
    heard
        Parts of clips of one instrument.
    starts
        Places, (timbre_size,) each; the first one is where the search is said to begin.
    hear_velocities
        Whether the notes' velocities are found with the place; else they are taken as they are.
    """
    instruments = generator.bundle.instruments
    points = embeddings_of([one for one in instruments if not one.is_kit])
    centre, deviation = points.mean(axis=0), np.maximum(points.std(axis=0), _LEAST_DEVIATION)
    search = _Search(generator, heard, centre, deviation)
    states = search.begun(np.stack(list(starts)))
    ends = [search.descended(one, thorough=False) for one in _different(states)]
    best = search.descended(min(ends, key=lambda one: one.error))
    if hear_velocities:
        best = search.descended(best, search.near_note_slopes)
    for share, slopes in zip(_KEPT, (search.near_note_slopes, search.note_slopes), strict=True):
        search.trim(best, share)
        best = search.descended(search.again(best), slopes if hear_velocities else None)
    search.count_all()
    last = search.again(best)
    return Place(
        search.place(last) * deviation + centre,
        last.error * DB_PER_NEPER,
        states[0].error * DB_PER_NEPER,
        search.covariance(last) * np.outer(deviation, deviation),
    )


@dataclass(frozen=True)
class _State:
    """Where the search is."""

    # The place in deviations; of each part the nepers that bring it to the level that is played;
    # of each part the logarithm of a factor of the velocities; and the same of each note.
    numbers: np.ndarray
    differences: np.ndarray  # of what is played from what was heard, nepers, in all points
    cost: float  # the mean absolute difference, and the priors

    @property
    def error(self) -> float:
        return float(np.abs(self.differences).mean())


# A state, a part's number and its differences → their derivatives with its notes' velocities.
_NoteSlopes = Callable[[_State, int, np.ndarray], np.ndarray]


def _different(states: Sequence[_State]) -> list[_State]:
    """The best states that are not too near to each other."""
    chosen: list[_State] = []
    for state in sorted(states, key=lambda state: state.error):
        distances = [np.linalg.norm(state.numbers - other.numbers) for other in chosen]
        if len(chosen) < _FOLLOWED and min(distances, default=np.inf) > _APART:
            chosen.append(state)
    return chosen


def _noise(mel: np.ndarray) -> np.ndarray:
    """Below what each band of a log-mel (frames, n_mels) holds noise, or as good as none.

    Where the clip pauses, noise is all that is left. Where it never does, a band's noise is no
    louder than the band's softest frames, nor than what lies far below the loudest point.
    """
    loudness = mel.max(axis=1)
    pauses = mel[loudness <= np.quantile(loudness, _PAUSES_SHARE)]
    peak, neper = float(mel.max()), 1 / DB_PER_NEPER
    if pauses.max() < peak - _PAUSES_DB * neper:
        least = pauses.mean(axis=0) + _ABOVE_NOISE_DB * neper
    else:
        softest = np.quantile(mel, _SOFT_SHARE, axis=0) - _BELOW_SOFT_DB * neper
        least = np.minimum(softest, peak - _NOISE_DB * neper)
    return np.maximum(least, peak - _INAUDIBLE_DB * neper)


class _Search:
    def __init__(
        self,
        generator: MelGenerator,
        heard: Sequence[Heard],
        centre: np.ndarray,
        deviation: np.ndarray,
    ) -> None:
        self._generator, self._heard = generator, heard
        self._contrast = contrast_of(generator.bundle)
        self._centre, self._deviation = centre, deviation
        self._floor = generator.bundle.mel.log_floor
        # Of each clip, in each band, what is softer is noise, or as good as none.
        self._least = [_noise(one.mel) for one in heard]
        n_places, n_parts = len(centre), len(heard)
        notes = [len(one.track.notes) for one in heard]
        self._bounds = np.cumsum([n_places, n_parts, n_parts]).tolist()
        self._note_bounds = np.cumsum(notes)[:-1].tolist()
        priors = [_PLACE_PRIOR, 0.0, _VELOCITY_PRIOR, _NOTE_PRIOR]
        self._prior = np.repeat(priors, [n_places, n_parts, n_parts, sum(notes)])
        self.count_all()

    def count_all(self) -> None:
        """Let all audible frames count."""
        self._counted = [audible(one.mel) for one in self._heard]

    def place(self, state: _State) -> np.ndarray:
        """In deviations."""
        return state.numbers[: self._bounds[0]]

    def begun(self, points: np.ndarray) -> list[_State]:
        """The states at some points, (points, timbre_size), each at the level of the clips."""
        places = (points - self._centre) / self._deviation
        unchanged = np.zeros(len(self._prior) - self._bounds[1])
        mels = self._mels(places, unchanged)
        states = []
        for number, place in enumerate(places):
            own = [mel[number] for mel in mels]
            gains = [
                level_gain(np.maximum(one.mel, least)[counted], mel[counted], self._floor)
                for one, counted, least, mel in zip(
                    self._heard, self._counted, self._least, own, strict=True
                )
            ]
            states.append(self._state(np.concatenate([place, gains, unchanged]), own))
        return states

    def again(self, state: _State) -> _State:
        """A state with what counts now."""
        return self._at(state.numbers)

    def trim(self, state: _State, share: float) -> None:
        """Count only the share of the frames that differ least: elsewhere, notes were misheard.

        Least trimmed squares (Rousseeuw 1984), with absolute differences.
        """
        self.count_all()
        sizes = [int(counted.sum()) for counted in self._counted]
        errors = np.abs(self.again(state).differences).reshape(sum(sizes), -1).mean(axis=1)
        for number, part in enumerate(np.split(errors, np.cumsum(sizes)[:-1])):
            kept = self._counted[number].copy()
            kept[self._counted[number]] = part <= np.quantile(part, share)
            self._counted[number] = kept

    def descended(
        self, state: _State, of_notes: _NoteSlopes | None = None, *, thorough: bool = True
    ) -> _State:
        """The end of the steps from a state.

        Between the places where they are computed, derivatives follow Broyden's rule. Unless the
        search is to be thorough, they are computed once, as are always those of single notes'
        velocities. These were heard less well than when notes begin, and move with the rest, or
        stay where no derivatives are given.
        """
        damping, slopes, are_exact = _DAMPING, self._slopes(state, of_notes), True
        for _ in range(_STEPS):
            found = None
            normal, gradient = self._normal(state, slopes)
            while found is None and damping < _MOST_DAMPING:
                step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -gradient)
                for moved, most in zip(np.split(step, self._bounds), _LARGEST_STEPS, strict=True):
                    np.clip(moved, -most, most, out=moved)
                numbers = state.numbers.copy()
                numbers[: len(step)] += step
                there = self._at(numbers)
                if there.cost < state.cost:
                    found = there
                else:
                    damping *= 4
            if found is not None:
                damping = max(damping / 4, _LEAST_DAMPING)
                gained = 1 - found.cost / state.cost
                wrong = found.differences - state.differences - slopes.change(step)
                slopes = slopes.corrected(wrong, step)
                state = found
                if gained > _ENOUGH:
                    are_exact = False
                    continue
            if are_exact or not thorough:
                break
            damping, are_exact = _DAMPING, True
            slopes = Slopes(self._shared_slopes(state), slopes.of_notes)
        return state

    def covariance(self, state: _State) -> np.ndarray:
        """Of the place in deviations, gains and velocities being unknown, (size, size)."""
        slopes = self._shared_slopes(state)
        normal = slopes.T @ slopes + _RIDGE * len(slopes) * np.eye(slopes.shape[1])
        size = self._bounds[0]
        return np.linalg.inv(normal)[:size, :size]

    def _normal(self, state: _State, slopes: Slopes) -> tuple[np.ndarray, np.ndarray]:
        """The matrix and the gradient of squares that are weighted to stand for absolute values."""
        weights = 1 / np.maximum(np.abs(state.differences), _LEAST_DIFFERENCE)
        normal, gradient = slopes.squares(weights, state.differences)
        prior = self._prior[: len(gradient)] * len(weights)
        normal += np.diag(prior + _RIDGE * len(weights))
        return normal, gradient + prior * state.numbers[: len(gradient)]

    def _at(self, numbers: np.ndarray) -> _State:
        place, _, changes = np.split(numbers, self._bounds[:2])
        return self._state(numbers, [mel[0] for mel in self._mels(place[None], changes)])

    def _state(self, numbers: np.ndarray, mels: Sequence[np.ndarray]) -> _State:
        differences = self._differences(mels, numbers)
        cost = np.abs(differences).mean() + self._prior @ np.square(numbers) / 2
        return _State(numbers, differences, float(cost))

    def _differences(self, mels: Sequence[np.ndarray], numbers: np.ndarray) -> np.ndarray:
        """Of what is played from what was heard, one part after the other, in nepers."""
        gains = np.split(numbers, self._bounds)[1]
        parts = enumerate(zip(mels, gains, strict=True))
        return np.concatenate([self._part_differences(n, mel, gain) for n, (mel, gain) in parts])

    def _part_differences(self, number: int, mel: np.ndarray, gain: float) -> np.ndarray:
        heard, counted = self._heard[number].mel, self._counted[number]
        floor = np.maximum(self._floor, self._least[number] + gain)
        played = np.maximum(mel[counted], floor)
        return (played - np.maximum(heard[counted] + gain, floor)).ravel()

    def _slopes(self, state: _State, of_notes: _NoteSlopes | None) -> Slopes:
        parts = enumerate(np.split(state.differences, np.cumsum(self._sizes)[:-1]))
        if of_notes is None:
            notes = [np.zeros((len(part), 0), np.float32) for _, part in parts]
        else:
            notes = [of_notes(state, number, part) for number, part in parts]
        return Slopes(self._shared_slopes(state), notes)

    def _shared_slopes(self, state: _State) -> np.ndarray:
        """With what is no note's, (points, numbers)."""
        place, _, changes = np.split(state.numbers, self._bounds[:2])
        n_places, n_shared = self._bounds[0], self._bounds[2]
        nudges = _NUDGE * np.eye(len(state.numbers))
        more = np.repeat([_NUDGE, 0.0], [len(self._heard), len(changes) - len(self._heard)])
        mels = self._mels(place + nudges[:n_places, :n_places], changes)
        same, louder = (self._mels(place[None], changes + change) for change in (0.0 * more, more))
        columns = []
        for i, nudge in enumerate(nudges[:n_shared]):
            if i < n_places:
                played = [mel[i] for mel in mels]
            else:  # a gain, or a velocity, which plays its part louder
                part = i - self._bounds[1]
                played = [
                    (louder if number == part else same)[number][0]
                    for number in range(len(self._heard))
                ]
            there = self._differences(played, state.numbers + nudge)
            columns.append((there - state.differences) / _NUDGE)
        return np.stack(columns, axis=1)

    def note_slopes(self, state: _State, number: int, was: np.ndarray) -> np.ndarray:
        """Of a part's differences with the velocities of its notes, (points, notes)."""
        place, changes = self._of_part(state, number)
        nudges = _NUDGE * np.eye(len(changes))

        def louder(which: np.ndarray) -> np.ndarray:
            rolls = [self._roll(number, changes + nudges[note]) for note in which]
            return self._played(number, rolls, self._timbres(place[None]) * len(rolls))

        return self._nudged(state, number, was, louder)

    def near_note_slopes(self, state: _State, number: int, was: np.ndarray) -> np.ndarray:
        """Nearly the same, with much less to play: of each note, what it sounds like alone.

        Powers add up, so a note counts as much as its share of what sounds.
        """
        place, changes = self._of_part(state, number)
        factor = 1.0 if self._contrast is None else self._contrast.factor
        (together,) = self._part_mels(number, place[None], changes)

        def louder(which: np.ndarray) -> np.ndarray:
            timbres = self._timbres(place[None]) * len(which)
            alone, nudged = (
                self._played(
                    number, [self._roll(number, changes + d, [note]) for note in which], timbres
                )
                for d in (0.0, _NUDGE)
            )
            share = np.exp(np.minimum(alone - together, 0) / factor)
            return together + share * (nudged - alone)

        return self._nudged(state, number, was, louder)

    def _nudged(
        self,
        state: _State,
        number: int,
        was: np.ndarray,
        louder: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """Derivatives from mels in which one of a part's notes is louder, (points, notes)."""
        n_notes, gain = (
            len(self._heard[number].track.notes),
            state.numbers[self._bounds[0] + number],
        )
        slopes = np.empty((len(was), n_notes), np.float32)
        for which in np.array_split(np.arange(n_notes), -(-n_notes // _AT_ONCE)):
            for note, mel in zip(which, louder(which), strict=True):
                slopes[:, note] = (self._part_differences(number, mel, gain) - was) / _NUDGE
        return slopes

    def _of_part(self, state: _State, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The place, and logarithms of factors of the velocities of a part's notes."""
        place, _, changes = np.split(state.numbers, self._bounds[:2])
        return place, self._changes(changes)[number]

    @property
    def _sizes(self) -> list[int]:
        """The points of each part that count."""
        return [int(counted.sum()) * len(self._least[0]) for counted in self._counted]

    def _changes(self, changes: np.ndarray) -> list[np.ndarray]:
        """Logarithms of factors of the notes' velocities in each part."""
        velocities, notes = np.split(changes, [len(self._heard)])
        own = np.split(notes, self._note_bounds)
        return [velocity + part for velocity, part in zip(velocities, own, strict=True)]

    def _mels(self, places: np.ndarray, changes: np.ndarray) -> list[np.ndarray]:
        """Of each part, what is heard at some places in deviations: (places, frames, n_mels)."""
        return [
            self._part_mels(number, places, own)
            for number, own in enumerate(self._changes(changes))
        ]

    def _part_mels(self, number: int, places: np.ndarray, changes: np.ndarray) -> np.ndarray:
        """Of one part at some places in deviations, (places, frames, n_mels)."""
        timbres, roll = self._timbres(places), self._roll(number, changes)
        some = [timbres[i : i + _AT_ONCE] for i in range(0, len(timbres), _AT_ONCE)]
        return np.concatenate([self._played(number, [roll] * len(part), part) for part in some])

    def _timbres(self, places: np.ndarray) -> list[Timbre]:
        points = places * self._deviation + self._centre
        return [Timbre.constant(point) for point in points.tolist()]

    def _roll(
        self, number: int, changes: np.ndarray, which: Sequence[int] | None = None
    ) -> PianoRoll:
        """Of a part's notes, or some of them, with logarithms of factors of their velocities."""
        track, bundle = self._heard[number].track, self._generator.bundle
        notes = note_table(track.notes)
        notes[:, 3] = (notes[:, 3] * np.exp(changes)).clip(1, 127)
        chosen = notes if which is None else notes[which]
        return roll_of(bundle.roll, track, chosen, bundle.mel.frame_rate)

    def _played(
        self, number: int, rolls: Sequence[PianoRoll], timbres: Sequence[Timbre]
    ) -> np.ndarray:
        """What is heard of rolls of a part, (rolls, frames, n_mels)."""
        blocks = self._generator.stream(rolls, timbres, len(self._heard[number].mel))
        mels = np.concatenate(list(blocks), axis=1)
        return mels if self._contrast is None else self._contrast.widened(mels, self._floor)

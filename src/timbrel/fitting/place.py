"""From a clip and its notes to the place in the timbre space where they sound most like the clip.

An encoder says at once, but roughly, where a timbre lies. Here the model itself plays the notes of
the clip at places nearby, and the differences say in which direction to go: the steps of
Levenberg (1944) and Marquardt (1963), whose derivatives are differences between mels, so that the
graphs that play suffice and no PyTorch is needed. How loud the clip was recorded, and how far
velocities that were heard are wrong, are found with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timbrel.fitting.material import audible
from timbrel.fitting.search import level_gain
from timbrel.hearing.sizes import embeddings_of
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.mel.generator import MelGenerator
from timbrel.score.performance_roll import roll_of
from timbrel.score.score import Track, note_table
from timbrel.timbre.timbre import Timbre
from timbrel.vocoder.catalog import contrast_of

_NUDGE = 0.05  # of the places' deviations, and of a velocity's logarithm: for the differences
_STEPS = 25
_FOLLOWED = 6  # of the starts,
_APART = 0.7  # which are so far from each other, in deviations
_AT_ONCE = 16  # places that are played together
_LARGEST_STEP = 0.8  # deviations
_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 0.03, 1e-3, 3.0
_ENOUGH = 0.003  # of the error: where a step gains less, the derivatives are computed anew
# Weights of the priors, a point of the mel being 1: of places far from the instruments, and of
# other velocities.
_PLACE_PRIOR, _VELOCITY_PRIOR = 0.01, 0.05
_NOTE_PRIOR, _LARGEST_CHANGE = 1e-3, 0.7  # of single notes' velocities; of their logarithms
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
    """
    instruments = generator.bundle.instruments
    points = embeddings_of([one for one in instruments if not one.is_kit])
    centre, deviation = points.mean(axis=0), np.maximum(points.std(axis=0), _LEAST_DEVIATION)
    search = _Search(generator, heard, centre, deviation)
    states = search.begun(np.stack(list(starts)))
    ends = [search.descended(one, thorough=False) for one in _different(states)]
    best = search.descended(min(ends, key=lambda one: one.error))
    search.hear_velocities(best)
    best = search.descended(search.again(best))
    for share in _KEPT:
        search.trim(best, share)
        best = search.descended(search.again(best))
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
    # and of each part the logarithm of a factor of the velocities.
    numbers: np.ndarray
    differences: np.ndarray  # of what is played from what was heard, nepers, in all points
    cost: float  # the mean absolute difference, and the priors

    @property
    def error(self) -> float:
        return float(np.abs(self.differences).mean())


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
        self._bounds = [n_places, n_places + n_parts]
        # Of each part, logarithms of factors of single notes' velocities.
        self._of_notes = [np.zeros(len(one.track.notes)) for one in heard]
        self._prior = np.repeat([_PLACE_PRIOR, 0.0, _VELOCITY_PRIOR], [n_places, n_parts, n_parts])
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
        velocities = np.zeros(len(self._heard))
        mels = self._mels(places, velocities)
        states = []
        for number, place in enumerate(places):
            own = [mel[number] for mel in mels]
            gains = [
                level_gain(np.maximum(one.mel, least)[counted], mel[counted], self._floor)
                for one, counted, least, mel in zip(
                    self._heard, self._counted, self._least, own, strict=True
                )
            ]
            states.append(self._state(np.concatenate([place, gains, velocities]), own))
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

    def hear_velocities(self, state: _State) -> None:
        """Change the velocities of single notes, which were heard less well than when they begin.

        One step of least absolute differences for each note, at the place where the search is.
        """
        place, gains, velocities = np.split(state.numbers, self._bounds)
        weights = 1 / np.maximum(np.abs(state.differences), _LEAST_DIFFERENCE)
        ends = np.cumsum([counted.sum() * len(self._least[0]) for counted in self._counted])
        for number, own in enumerate(self._of_notes):
            nudged = velocities[number] + own + _NUDGE * np.eye(len(own))
            mels = self._part_mels(number, np.repeat(place[None], len(own), axis=0), nudged)
            rows = slice(ends[number - 1] if number else 0, ends[number])
            was, weight = state.differences[rows], weights[rows]
            slopes = np.stack(
                [
                    (self._part_differences(number, mel, gains[number]) - was) / _NUDGE
                    for mel in mels
                ],
                axis=1,
            )
            normal = slopes.T @ (weight[:, None] * slopes) + _NOTE_PRIOR * len(was) * np.eye(
                len(own)
            )
            step = np.linalg.solve(normal, -slopes.T @ (weight * was))
            self._of_notes[number] = own + np.clip(step, -_LARGEST_CHANGE, _LARGEST_CHANGE)

    def descended(self, state: _State, *, thorough: bool = True) -> _State:
        """The end of the steps from a state.

        Between the places where they are computed, derivatives follow Broyden (1965). Unless the
        search is to be thorough, they are computed once.
        """
        damping, slopes, are_exact = _DAMPING, self._slopes(state), True
        for _ in range(_STEPS):
            found = None
            normal, gradient = self._normal(state, slopes)
            while found is None and damping < _MOST_DAMPING:
                step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -gradient)
                moved = step[: self._bounds[0]]
                np.clip(moved, -_LARGEST_STEP, _LARGEST_STEP, out=moved)
                there = self._at(state.numbers + step)
                if there.cost < state.cost:
                    found = there
                else:
                    damping *= 4
            if found is not None:
                damping = max(damping / 4, _LEAST_DAMPING)
                gained = 1 - found.cost / state.cost
                wrong = found.differences - state.differences - slopes @ step
                slopes = slopes + np.outer(wrong, step / (step @ step))
                state = found
                if gained > _ENOUGH:
                    are_exact = False
                    continue
            if are_exact or not thorough:
                break
            damping, slopes, are_exact = _DAMPING, self._slopes(state), True
        return state

    def covariance(self, state: _State) -> np.ndarray:
        """Of the place in deviations, gains and velocities being unknown, (size, size)."""
        slopes = self._slopes(state)
        normal = slopes.T @ slopes + _RIDGE * len(slopes) * np.eye(slopes.shape[1])
        size = self._bounds[0]
        return np.linalg.inv(normal)[:size, :size]

    def _normal(self, state: _State, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The matrix and the gradient of squares that are weighted to stand for absolute values."""
        weights = 1 / np.maximum(np.abs(state.differences), _LEAST_DIFFERENCE)
        prior = self._prior * len(slopes)
        normal = slopes.T @ (weights[:, None] * slopes) + np.diag(prior + _RIDGE * len(slopes))
        return normal, slopes.T @ (weights * state.differences) + prior * state.numbers

    def _at(self, numbers: np.ndarray) -> _State:
        place, _, velocities = np.split(numbers, self._bounds)
        return self._state(numbers, [mel[0] for mel in self._mels(place[None], velocities)])

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

    def _slopes(self, state: _State) -> np.ndarray:
        """How the differences change with each number of the state, (points, numbers)."""
        place, _, velocities = np.split(state.numbers, self._bounds)
        nudges = _NUDGE * np.eye(len(state.numbers))
        mels = self._mels(place + nudges[: len(place), : len(place)], velocities)
        same, louder = (self._mels(place[None], velocities + more) for more in (0.0, _NUDGE))
        columns = []
        for i, nudge in enumerate(nudges):
            if i < self._bounds[0]:
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

    def _mels(self, places: np.ndarray, velocities: np.ndarray) -> list[np.ndarray]:
        """Of each part, what is heard at some places in deviations: (places, frames, n_mels)."""
        return [
            self._part_mels(number, places, (velocity + own)[None])
            for number, (velocity, own) in enumerate(zip(velocities, self._of_notes, strict=True))
        ]

    def _part_mels(self, number: int, places: np.ndarray, velocities: np.ndarray) -> np.ndarray:
        """Of one part, with logarithms of factors of its velocities, (places or 1, notes)."""
        one, bundle = self._heard[number], self._generator.bundle
        points = places * self._deviation + self._centre
        timbres = [Timbre.constant(point) for point in points.tolist()]
        rolls = []
        for own in velocities:
            notes = note_table(one.track.notes)
            notes[:, 3] = (notes[:, 3] * np.exp(own)).clip(1, 127)
            rolls.append(roll_of(bundle.roll, one.track, notes, bundle.mel.frame_rate))
        rolls *= len(timbres) // len(rolls)
        parts = []
        for some in (slice(i, i + _AT_ONCE) for i in range(0, len(timbres), _AT_ONCE)):
            blocks = self._generator.stream(rolls[some], timbres[some], len(one.mel))
            parts.append(np.concatenate(list(blocks), axis=1))
        mels = np.concatenate(parts)
        return mels if self._contrast is None else self._contrast.widened(mels, self._floor)

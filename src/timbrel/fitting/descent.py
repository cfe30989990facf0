"""From a known timbre to one of its own: steps along the gradient of the log-mel's error.

First the place in the space moves, then FiLM vectors beyond the space. A few seconds of notes say
little of other keys and velocities, so every other step sees the clip transposed, and every other
of the steps another velocity, at the level that the known timbre has there. The parts of the clips
that are held out say when to stop; then, for a few more steps, they count like the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from timbrel.fitting.material import Passage, audible
from timbrel.fitting.network import FrozenMel2Mel
from timbrel.fitting.options import Check, FitOptions
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.progress import Progress

_SOFTEST, _LOUDEST = 0.35, 2.8  # factors of the velocities
_LEAST_VALUE = 8 / 127  # of a roll
_N_FACTORS = 7
_MARGIN = 1.0  # nepers below the floor from which on a prediction is not wrong


@dataclass(frozen=True)
class Descent:
    """What was found."""

    place: np.ndarray  # (timbre_size,)
    film: np.ndarray  # (film_size,)
    checks: tuple[Check, ...]
    best: Check


class _State:
    """Place and FiLM vectors on their way."""

    def __init__(self, place: Tensor, film: Tensor, decay: float) -> None:
        self.place = place.clone().requires_grad_()
        self.film = film.clone().requires_grad_()
        self._decay = decay
        self._adam = torch.optim.Adam(
            [{"params": [self.place]}, {"params": [self.film]}], lr=0.0, betas=(0.9, 0.99)
        )

    @property
    def point(self) -> Tensor:
        return torch.cat([self.place, self.film], dim=-1)

    def step(self, loss: Tensor, rates: tuple[float, float], done: float) -> None:
        """Follow the gradient, at rates of the two that fall as a cosine does until all is done."""
        left = 0.5 + 0.5 * math.cos(math.pi * done)
        for group, rate in zip(self._adam.param_groups, rates, strict=True):
            group["lr"] = rate * left
        self._adam.zero_grad()
        (loss + self._decay * self.film.square().mean()).backward()
        self._adam.step()

    def kept(self) -> tuple[Tensor, Tensor]:
        return self.place.detach().clone(), self.film.detach().clone()


def descend(
    network: FrozenMel2Mel,
    passages: Sequence[Passage],
    transposed: Sequence[Passage],
    start: np.ndarray,
    gain: float,
    floor: float,
    *,
    options: FitOptions,
    progress: Progress,
) -> Descent:
    """Fit a timbre.

    Parameters
    ----------
    network
        The model.
    passages
        Those of the clips; the parts that they hold out decide when to stop.
    transposed
        Further ones, of the same clips.
    start
        The place in the space where to begin, (timbre_size,).
    gain
        Nepers that bring the clips to the level of what is played there.
    floor
        Of the mel.
    options
        How to do it.
    progress
        Wraps the steps.
    """
    lessons = _Lessons(network, passages, transposed, start, gain, floor)
    random = np.random.default_rng(options.seed)
    begun = torch.from_numpy(start[None]), torch.zeros(1, network.film_size)
    state = _State(*begun, options.decay)
    checks: list[Check] = []
    best, kept = None, state.kept()
    for number in progress(range(options.steps + 1), options.steps + 1, "fitting"):
        if number % options.check_every == 0:
            check = _checked(network, passages, state.point.detach(), gain, floor, number)
            checks.append(check)
            if best is None or check.held_out_db < best.held_out_db:
                best, kept = check, state.kept()
            elif number - best.step >= max(options.patience, options.place_steps):
                break
        rates = (options.place_rate, options.film_rate * (number >= options.place_steps))
        state.step(lessons.loss(state.point, number, random), rates, number / options.steps)
    assert best is not None
    # Where vectors did not help what was held out, they would but learn the clips by heart.
    if best.step > options.place_steps:
        state = _State(*kept, options.decay)
        random = np.random.default_rng(options.seed)
        for number in progress(range(options.last_steps), options.last_steps, "fitting to all"):
            rates = (options.last_rate, options.last_rate)
            loss = lessons.loss(state.point, number, random, whole=True)
            state.step(loss, rates, number / options.last_steps)
        kept = state.kept()
    place, film = (part[0].numpy() for part in kept)
    return Descent(place, film, tuple(checks), best)


class _Lessons:
    """The passages in turn as they are, transposed, and at other velocities."""

    def __init__(
        self,
        network: FrozenMel2Mel,
        passages: Sequence[Passage],
        transposed: Sequence[Passage],
        start: np.ndarray,
        gain: float,
        floor: float,
    ) -> None:
        self._network, self._gain, self._floor = network, gain, floor
        self._passages, self._transposed = passages, transposed
        self._levels = [_levels(network, passage.roll, start) for passage in passages]

    def loss(
        self, point: Tensor, number: int, random: np.random.Generator, *, whole: bool = False
    ) -> Tensor:
        """The error at a point in the passage of a step, of all of it or but what is held out."""
        index = int(random.integers(len(self._passages)))
        passage, factor, level = self._passages[index], 1.0, 0.0
        if self._transposed and number // 2 % 2:
            passage = self._transposed[int(random.integers(len(self._transposed)))]
        if number % 2:
            factor, level = _drawn(self._levels[index], random)
        roll = torch.from_numpy(np.minimum(passage.roll * np.float32(factor), 1))
        made = self._network.mel(_velocities_only(passage.roll, roll), point)
        if whole:
            passage = replace(passage, held_out=np.zeros_like(passage.held_out))
        return _error(made, passage, self._gain + level, self._floor, seen=True)


def _velocities_only(roll: np.ndarray, changed: Tensor) -> Tensor:
    """A roll with other velocities; the last channel of an odd one holds bends and stays."""
    if roll.shape[1] % 2:
        changed[:, -1] = torch.from_numpy(roll[:, -1])
    return changed


def _error(made: Tensor, passage: Passage, gain: float, floor: float, *, seen: bool) -> Tensor:
    """Mean absolute error of a log-mel (1, frames, n_mels) in frames that are seen, or held out."""
    target = passage.target(gain, floor)
    frames = audible(target) & (passage.held_out != seen)
    if not frames.any():
        frames = audible(target)
    counted = torch.from_numpy(np.flatnonzero(frames))
    true = torch.from_numpy(target)[counted]
    return (made[0, counted].clamp(min=floor - _MARGIN * seen) - true).abs().mean()


@torch.no_grad()
def _checked(
    network: FrozenMel2Mel,
    passages: Sequence[Passage],
    point: Tensor,
    gain: float,
    floor: float,
    step: int,
) -> Check:
    errors = []
    for passage in passages:
        made = network.mel(torch.from_numpy(passage.roll), point)
        errors.append(
            [float(_error(made, passage, gain, floor, seen=seen)) for seen in (True, False)]
        )
    seen_db, held_out_db = (np.mean(errors, axis=0) * DB_PER_NEPER).tolist()
    return Check(step, seen_db, held_out_db)


def _levels(
    network: FrozenMel2Mel, roll: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of factors of the velocities, and nepers by which the sound changes with them."""
    values = roll[:, : roll.shape[1] // 2 * 2]
    values = values[values > 0]
    least, most = (values.min(), values.max()) if len(values) else (1.0, 1.0)
    low = min(max(_SOFTEST, _LEAST_VALUE / least), 1.0)
    high = max(min(_LOUDEST, 1 / most), 1.0)
    factors = np.linspace(math.log(low), math.log(high), _N_FACTORS)
    mels = []
    for factor in np.exp(factors):
        changed = _velocities_only(roll, torch.from_numpy((roll * factor).astype(np.float32)))
        mels.append(network.mels(changed.numpy(), start[None])[0])
    plain = network.mels(roll, start[None])[0]
    loud = plain > np.median(plain)
    return factors, np.array([np.median((mel - plain)[loud]) for mel in mels])


def _drawn(
    levels: tuple[np.ndarray, np.ndarray], random: np.random.Generator
) -> tuple[float, float]:
    """A factor of the velocities, and the level that goes with it."""
    factors, nepers = levels
    drawn = float(random.uniform(factors[0], factors[-1]))
    return math.exp(drawn), float(np.interp(drawn, factors, nepers))

"""From recordings of an instrument to a timbre of its own: the way of a fit, on one page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soxr

from timbrel.bundles.bundle import Bundle, weights_id
from timbrel.errors import InputError, need_packages
from timbrel.fitting.material import Clip, Passage, audible, read_clips
from timbrel.fitting.options import Check, FitOptions
from timbrel.fitting.place import Heard, find_place
from timbrel.fitting.search import LEAST_CORRELATION, Match, error_db, matches
from timbrel.hearing.from_audio import TimbreEncoder, encoder_for
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.mel.generator import MelGenerator
from timbrel.progress import Progress, silent
from timbrel.score.source import Source
from timbrel.timbre.timbre import Timbre

if TYPE_CHECKING:
    from timbrel.fitting.network import FrozenMel2Mel

_N_STARTS = 12  # instruments from which a place between them is looked for


@dataclass(frozen=True)
class FittedTimbre:
    """What a fit found."""

    timbre: Timbre
    # The known instrument that came nearest, at the clip's level, or "a guess".
    nearest: str
    nearest_error_db: float  # its log-mel error
    nearest_gain_db: float  # what brings the clips to the level at which it plays
    error_db: float  # that of the timbre
    held_out_db: float  # that of the timbre in the parts of the clips that it was not fitted to
    gain_db: float  # what brings the clips to the level at which the timbre plays
    checks: tuple[Check, ...]  # along the fit
    clip_mel: np.ndarray  # (frames, n_mels) of the first passage, as loud as it is played
    mel: np.ndarray  # the timbre's
    remarks: tuple[str, ...] = ()


def fit_timbre(
    clips: Sequence[str | os.PathLike],
    bundle: Bundle,
    *,
    scores: Sequence[Source] = (),
    guesses: Sequence[Sequence[float]] | None = None,
    options: FitOptions | None = None,
    progress: Progress = silent,
) -> FittedTimbre:
    """Fit a timbre to recordings of an instrument; see `fit_clips`.

    Parameters
    ----------
    clips
        Audio files of one instrument: notes, or phrases of up to two minutes together.
    bundle
        The model, of kind "mel2mel".
    scores
        The notes of each clip; where there are none, the shipped transcriber hears them.
    guesses
        Further points to begin with; see `fit_clips`. If None, where the model's encoder hears the
        timbre of the clips, if the model has one.
    options, progress
        See `fit_clips`.

    Raises
    ------
    InputError
        If a clip cannot be used, or a score does not belong to its clip.
    MissingToolError
        If PyTorch is not installed.
    """
    need_packages("train", "fitting", "torch")
    read = read_clips(clips, scores, bundle)
    if guesses is None:
        guesses = heard_places(read, bundle)
    return fit_clips(read, bundle, guesses=guesses, options=options, progress=progress)


def heard_places(clips: Sequence[Clip], bundle: Bundle) -> list[tuple[float, ...]]:
    """Where the model's encoder hears the timbre of clips; nothing where it has none."""
    try:
        encoder = TimbreEncoder(encoder_for(bundle))
    except InputError:
        return []
    rates = bundle.mel.sample_rate, encoder.bundle.sample_rate
    heard = [encoder.hear_audio(soxr.resample(clip.audio, *rates)) for clip in clips]
    return [encoder.found(heard).point]


def fit_clips(
    clips: Sequence[Clip],
    bundle: Bundle,
    *,
    guesses: Sequence[Sequence[float]] = (),
    options: FitOptions | None = None,
    progress: Progress = silent,
) -> FittedTimbre:
    """Fit a timbre to clips with their notes.

    Parameters
    ----------
    clips, bundle
        What is heard, and the model.
    guesses
        Further points of the space to begin with, if one comes nearer than all instruments.
    options
        How to do it; the defaults of `FitOptions` if None.
    progress
        Wraps the steps.
    """
    from timbrel.fitting.descent import descend
    from timbrel.fitting.network import FrozenMel2Mel

    network, floor = FrozenMel2Mel(bundle), bundle.mel.log_floor
    passages = [passage for clip in clips for passage in clip.passages(bundle)]
    fullest = max(passages, key=lambda passage: int(audible(passage.mel).sum()))
    nearest = nearest_known(network, fullest, bundle, guesses)
    _check_scores(network, clips, bundle, nearest.point)
    start, gain = _between_instruments(network, fullest, bundle, nearest)
    transposed = [
        passage
        for clip in clips
        for semitones in clip.transpositions(bundle)
        if semitones
        for passage in clip.passages(bundle, semitones)
    ]
    found = descend(
        network,
        passages,
        transposed,
        start,
        gain,
        floor,
        options=options or FitOptions(),
        progress=progress,
    )
    timbre = Timbre.constant(
        found.place.tolist(), film=found.film.tolist(), fitted_to=weights_id(bundle)
    )
    target = fullest.target(gain, floor)
    point = np.concatenate([found.place, found.film])[None]
    made = np.maximum(network.mels(fullest.roll, point)[0], np.float32(floor))
    return FittedTimbre(
        timbre,
        nearest=nearest.name,
        nearest_error_db=nearest.match.error_db,
        nearest_gain_db=nearest.match.gain * DB_PER_NEPER,
        error_db=error_db(target, made, floor),
        held_out_db=found.best.held_out_db,
        gain_db=gain * DB_PER_NEPER,
        checks=found.checks,
        clip_mel=target,
        mel=made,
        remarks=tuple(f"{clip.name}: {remark}" for clip in clips for remark in clip.remarks),
    )


class Nearest(NamedTuple):
    """What comes nearest to a passage of all that is known."""

    match: Match
    name: str  # of an instrument, or "a guess"
    point: np.ndarray
    instruments: list[np.ndarray]  # the points of the nearest instruments, best first


def nearest_known(
    network: FrozenMel2Mel,
    passage: Passage,
    bundle: Bundle,
    guesses: Sequence[Sequence[float]] = (),
) -> Nearest:
    """The known instrument, or guess, that comes nearest to a passage: all of them are tried."""
    known = [one for one in bundle.instruments if not one.is_kit]
    points = np.array([*(one.embedding for one in known), *guesses], np.float32)
    ranked = matches(passage, network.mels(passage.roll, points), bundle.mel.log_floor)
    best = ranked[0]
    name = known[best.place].name if best.place < len(known) else "a guess"
    instruments = [points[match.place] for match in ranked if match.place < len(known)]
    return Nearest(best, name, points[best.place], instruments[:_N_STARTS])


def _between_instruments(
    network: FrozenMel2Mel, passage: Passage, bundle: Bundle, nearest: Nearest
) -> tuple[np.ndarray, float]:
    """A place that comes nearer to a passage than a known one, and the gain there; else that."""
    heard = [Heard(passage.track, passage.mel)]
    found = find_place(
        MelGenerator(bundle), heard, [nearest.point, *nearest.instruments], hear_velocities=False
    )
    point = found.point.astype(np.float32)
    (there,) = matches(passage, network.mels(passage.roll, point[None]), bundle.mel.log_floor)
    if there.error_db < nearest.match.error_db:
        return point, there.gain
    return nearest.point, nearest.match.gain


def _check_scores(
    network: FrozenMel2Mel, clips: Sequence[Clip], bundle: Bundle, start: np.ndarray
) -> None:
    for clip in clips:
        followed = [
            matches(passage, network.mels(passage.roll, start[None]), bundle.mel.log_floor)[0]
            for passage in clip.passages(bundle)
            if passage.roll.any()
        ]
        correlation = float(np.mean([match.correlation for match in followed] or [0.0]))
        if correlation < LEAST_CORRELATION:
            raise InputError(
                f"{clip.name}: what is heard does not follow the notes (correlation "
                f"{correlation:.2f}, at least {LEAST_CORRELATION:g} is wanted); is it the score of "
                "this clip, from its beginning, and is it one instrument with a pitch?"
            )

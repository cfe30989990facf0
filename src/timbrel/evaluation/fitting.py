"""How good fitted timbres are: on other notes of the same instrument, beside the best known one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from timbrel.abilities import Abilities
from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.corpus.etudes import etude
from timbrel.corpus.phrases import phrase
from timbrel.corpus.presets import Preset
from timbrel.corpus.soundfont import as_preset, check_soundfont, render_parts
from timbrel.fitting.fit import FittedTimbre, fit_clips
from timbrel.fitting.material import Clip
from timbrel.fitting.network import FrozenMel2Mel
from timbrel.fitting.search import error_db
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.progress import Progress, silent
from timbrel.score.instruments import PROGRAM_NAMES
from timbrel.score.source import as_score

PROGRAMS = (0, 11, 19, 24, 33, 40, 48, 56, 66, 73, 80, 89)  # one of twelve families each
CLIP_S = 10.0
_PHRASES, _ETUDES = 3, 2  # that are measured, beside the phrase that is fitted


@dataclass(frozen=True)
class FitMeasures:
    """Log-mel errors in dB of a program: those of the best known instrument, and when fitted."""

    name: str
    program: int
    nearest: str  # the best known instrument for the clip, its level matched
    clip: tuple[float, float]
    phrases: tuple[float, float]  # of other phrases, whose keys and velocities are as many
    etudes: tuple[float, float]  # of other music

    @property
    def gain(self) -> float:
        """By how much the error on other phrases is smaller, of the best known instrument's."""
        return 1 - self.phrases[1] / self.phrases[0]


def evaluate_fit(
    soundfont: str | os.PathLike,
    *,
    model: str,
    programs: Sequence[int] = PROGRAMS,
    progress: Progress = silent,
) -> Iterator[tuple[FitMeasures, FittedTimbre]]:
    """Fit programs of a SoundFont to a phrase each, and measure them on others, one by one.

    Parameters
    ----------
    soundfont
        One that the model was not trained on.
    model
        A bundle's name or folder.
    programs
        Of General MIDI.
    progress
        Wraps the programs.
    """
    font, bundle = check_soundfont(soundfont), load_bundle(model, kind="mel2mel")
    network = FrozenMel2Mel(bundle)
    for program in progress(programs, len(programs), "fitting"):
        first, *others = _clips(font, bundle, program)
        found = fit_clips([first], bundle)
        nearest = next(one for one in bundle.instruments if one.name == found.nearest)
        place = np.pad(nearest.embedding, (0, network.film_size))
        own = np.concatenate([found.timbre.points[0], found.timbre.film[0]])
        points = np.stack([place, own]).astype(np.float32)
        # Each at the level that was matched on the clip of the fit.
        gains = found.nearest_gain_db / DB_PER_NEPER, found.gain_db / DB_PER_NEPER
        errors = [_errors(network, clip, bundle, points, gains) for clip in (first, *others)]
        table = np.array(errors)
        one = FitMeasures(
            PROGRAM_NAMES[program],
            program,
            found.nearest,
            _pair(table[:1]),
            _pair(table[1 : 1 + _PHRASES]),
            _pair(table[1 + _PHRASES :]),
        )
        yield one, found


def as_dict(results: Sequence[FitMeasures]) -> dict[str, Any]:
    rows = [asdict(one) | {"gain": one.gain} for one in results]
    return {"mean_gain": float(np.mean([one.gain for one in results])), "programs": rows}


def markdown(results: Sequence[FitMeasures]) -> str:
    """The table of the results."""
    lines = [
        "| instrument | best known | the clip | other phrases | smaller by | other music |",
        "|---|---|---|---|---|---|",
    ]
    for one in results:
        clip, phrases, etudes = (
            f"{known:.1f} → {fitted:.1f}" for known, fitted in (one.clip, one.phrases, one.etudes)
        )
        lines.append(
            f"| {one.name} | {one.nearest} | {clip} | {phrases} | {one.gain:.0%} | {etudes} |"
        )
    gains = [one.gain for one in results]
    lines.append(f"| mean | | | | {np.mean(gains):.0%} | |")
    return "\n".join(lines) + "\n"


def _clips(font: os.PathLike, bundle: Bundle, program: int) -> list[Clip]:
    """The phrase that is fitted, other phrases, and other music."""
    preset, rate = Preset(PROGRAM_NAMES[program], program, 0), bundle.mel.sample_rate
    files = [phrase(preset, number, duration_s=CLIP_S) for number in range(1 + _PHRASES)]
    files += [etude(preset, n, split="fit", longest_s=CLIP_S) for n in range(_ETUDES)]
    parts = [(as_preset(midi, program), round(CLIP_S * rate)) for midi in files]
    sounds = render_parts(parts, font, sample_rate=rate, gain=bundle.gain)
    clips = []
    for number, (midi, audio) in enumerate(zip(files, sounds, strict=True)):
        score = Abilities.of(bundle).playable(as_score(midi)).excerpt(0.0, CLIP_S)
        clips.append(Clip(f"{preset.name} {number + 1}", audio, score.tracks[0]))
    return clips


def _errors(
    network: FrozenMel2Mel,
    clip: Clip,
    bundle: Bundle,
    points: np.ndarray,
    gains: tuple[float, float],
) -> list[float]:
    (passage,) = clip.passages(bundle)
    floor = bundle.mel.log_floor
    return [
        error_db(passage.target(gain, floor), made, floor)
        for gain, made in zip(gains, network.mels(passage.roll, points), strict=True)
    ]


def _pair(errors: np.ndarray) -> tuple[float, float]:
    known, fitted = errors.mean(axis=0).tolist()
    return known, fitted

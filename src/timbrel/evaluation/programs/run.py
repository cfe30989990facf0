"""The comparison of all programs and kits of a model with FluidSynth, and what it adds up to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from timbrel.bundles.bundle import load_bundle
from timbrel.constants import PERFORMANCE
from timbrel.corpus.parallel import run_parallel, worker_pool
from timbrel.corpus.soundfont import check_soundfont, find_fluidsynth
from timbrel.errors import InputError, MissingToolError
from timbrel.evaluation.judges import load_judge
from timbrel.evaluation.originals import Excerpt
from timbrel.evaluation.programs.bends import PROGRAMS as BENT_PROGRAMS
from timbrel.evaluation.programs.bends import BendMeasures, measure_bend
from timbrel.evaluation.programs.kits import KitMeasures, measure_kit
from timbrel.evaluation.programs.melodic import JUDGE, ProgramMeasures, measure_program
from timbrel.evaluation.programs.pairs import Pairs
from timbrel.measures.compiled import compile_librosa
from timbrel.measures.correlation import LogCqtCorrelation, correlation_of_sums
from timbrel.measures.statistics import mean_of_known
from timbrel.progress import Progress, silent
from timbrel.score.instruments import family_of
from timbrel.timbre.lookup import named_instruments

EFFECTS = range(120, 128)  # programs that are no instruments
HEARD_BY_JUDGE = 0.5  # F1 from which on the original counts as heard
_LOW = 0.6  # correlations below are named


@dataclass(frozen=True)
class ProgramResults:
    """What was found of a model; each list in the order of programs."""

    model: str
    programs: list[ProgramMeasures]
    kits: list[KitMeasures]
    bends: list[BendMeasures]

    def families(self) -> dict[str, list[ProgramMeasures]]:
        """The programs by the sixteen families of General MIDI that have any."""
        found: dict[str, list[ProgramMeasures]] = {}
        for one in self.programs:
            name = family_of(one.program)
            found.setdefault(name, []).append(one)
        return found

    def summary(self) -> dict[str, Any]:
        """The measures over all programs that are no sound effects, and over all kits."""
        music = [one for one in self.programs if one.program not in EFFECTS]
        velocities = np.array([one.velocity_errors_db for one in music])
        heard = [one for one in music if one.heard_original >= HEARD_BY_JUDGE]
        n_keys = sum(kit.keys for kit in self.kits)
        own_keys = sum(kit.own_keys for kit in self.kits)
        return {
            "correlation_pooled": pooled(music),
            "correlation_mean": mean([one.correlation for one in music]),
            "correlation_below_0.6": [one.name for one in music if one.correlation < _LOW],
            "high_octave_pooled": high_octave(music),
            "high_octave_level_db": mean([one.high_level_db for one in music]),
            "level_error_db": mean(np.abs([one.level_db for one in music])),
            "velocity_error_db": mean(np.abs(velocities)),
            "variance_ratio": mean([one.variance_ratio for one in music]),
            "heard_share": mean([one.heard_made / one.heard_original for one in heard]),
            "heard_programs": len(heard),
            "kit_onset_f1": mean([kit.onset_f1 for kit in self.kits]),
            "kit_own_keys": own_keys / n_keys if n_keys else float("nan"),
            "kit_early_db": mean([kit.early_db for kit in self.kits]),
            "kit_level_db": mean([kit.level_db for kit in self.kits]),
            "bend_median_cents": mean([bend.median for bend in self.bends]),
            "bend_largest_cents": max((bend.largest for bend in self.bends), default=float("nan")),
        }


def evaluate_programs(
    midi: str | os.PathLike,
    soundfont: str | os.PathLike,
    excerpts: Sequence[Excerpt],
    *,
    model: str,
    vocoder: str | None = None,
    per_program: int = 3,
    every: int = 1,
    instruments: Sequence[str] = (),
    jobs: int = -1,
    progress: Progress = silent,
) -> ProgramResults:
    """Compare each instrument of a model with FluidSynth, dry and without normalisation.

    Parameters
    ----------
    midi, excerpts
        The folder of the excerpts' files, and the excerpts; each program takes others in turn.
    soundfont
        What the originals are played with: the one that the model was trained on.
    model, vocoder
        Names or folders of bundles.
    per_program
        Excerpts for each program.
    every
        Only each so-many-th program and kit, for a first impression.
    instruments
        Names or numbers of some; all of them where there are none.
    jobs
        Processes; −1 is one for each core.
    """
    find_fluidsynth()
    pairs = Pairs(model, vocoder, check_soundfont(soundfont))
    if not excerpts:
        raise InputError(f"{midi}: there is no excerpt to play")
    bundle = load_bundle(model, kind="mel2mel")
    chosen = named_instruments(instruments, bundle.instruments)
    melodic = [one for one in chosen if not one.is_kit][::every]
    kits = [one for one in chosen if one.is_kit][::every]
    bent = [one for one in melodic if one.program in BENT_PROGRAMS]
    judged = _can_judge()
    tasks: list[tuple] = [(measure_kit, (pairs, kit), {}) for kit in kits]
    for number, instrument in enumerate(melodic):
        played = _excerpts_of(number, excerpts, per_program)
        given = (pairs, instrument, played, Path(midi))
        tasks.append((measure_program, given, {"judged": judged}))
    if bundle.roll == PERFORMANCE:
        tasks += [(measure_bend, (pairs, instrument), {}) for instrument in bent]
    compile_librosa()
    with worker_pool(None, jobs):
        found = run_parallel(_done, tasks, progress, "measuring programs")

    def of(kind: type) -> list:
        return sorted((one for one in found if isinstance(one, kind)), key=lambda o: o.program)

    return ProgramResults(model, of(ProgramMeasures), of(KitMeasures), of(BendMeasures))


def pooled(programs: Sequence[ProgramMeasures]) -> float:
    """Log-CQT correlation over the frames of some programs together."""
    total = LogCqtCorrelation()
    for one in programs:
        total += LogCqtCorrelation(one.cqt_sums)
    return total.mean()


def high_octave(programs: Sequence[ProgramMeasures]) -> float:
    """The same of the octave from 8.4 kHz; NaN where no program has it."""
    if not programs or not any(one.high_sums.any() for one in programs):
        return float("nan")
    return float(correlation_of_sums(np.sum([one.high_sums for one in programs], axis=0)).mean())


def mean(values: Any) -> float:
    """Mean of those that are known; NaN where none is."""
    return float(mean_of_known(np.asarray(values, np.float64)))


def _done(work: Any, given: tuple, options: dict[str, Any]) -> Any:
    return work(*given, **options)


def _excerpts_of(number: int, excerpts: Sequence[Excerpt], count: int) -> list[Excerpt]:
    """Excerpts for a program, far apart in the list and others for its neighbours."""
    places = [(number + k * len(excerpts) // count) % len(excerpts) for k in range(count)]
    return [excerpts[place] for place in dict.fromkeys(places)]


def _can_judge() -> bool:
    try:
        load_judge(JUDGE)
    except MissingToolError:
        return False
    return True

"""The evaluation of models and vocoders on excerpts of real music.

For each excerpt and instrument the original is FluidSynth's rendering; `conditions` defines what is
compared with it, and the modules of `timbrel.measures` define how.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from timbrel import __version__
from timbrel.bundles.bundle import SUMS_FILE, Bundle, load_bundle
from timbrel.constants import SAMPLE_RATE
from timbrel.corpus.selection import file_sha256
from timbrel.corpus.soundfont import check_soundfont, find_fluidsynth
from timbrel.errors import InputError
from timbrel.evaluation.cache import Cache
from timbrel.evaluation.conditions import plan_conditions, silence_level_db, vocoder_name
from timbrel.evaluation.judges import JUDGES, able_judges, judge_version
from timbrel.evaluation.measuring import Measured, Work, finished, measure
from timbrel.evaluation.originals import Clip, Excerpt
from timbrel.evaluation.results import Results
from timbrel.machine import n_processes
from timbrel.measures.compiled import compile_librosa
from timbrel.measures.correlation import N_CQT_BINS, LogMelMeasures, log_mel_measures
from timbrel.progress import Progress, silent
from timbrel.timbre.lookup import named_instruments


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation is made of, and what it found; `works` gives access to its sounds."""

    results: Results
    works: dict[tuple[Excerpt, str], Work]  # by excerpt and instrument, but for silent clips
    bundles: list[Bundle]


def evaluate(
    midi_dir: str | os.PathLike,
    soundfont: str | os.PathLike,
    excerpts: Sequence[Excerpt],
    *,
    models: Sequence[str],
    vocoders: Sequence[str],
    cache: str | os.PathLike,
    instruments: Sequence[str] = (),
    judges: Sequence[str] = tuple(JUDGES),
    jobs: int = -1,
    progress: Progress = silent,
) -> Evaluation:
    """Measure models and vocoders.

    What was measured before, by the same models, vocoders, measures and judges, is taken from the
    cache. A run that was stopped goes on where it was.

    Parameters
    ----------
    midi_dir
        Where the excerpts' files are.
    soundfont
        What the originals are played with: the one that the models were trained on.
    excerpts
        See `choose_excerpts`.
    models
        Names or folders of Mel2Mel bundles, of one mel geometry, gain and set of instruments.
    vocoders
        Names or folders; see `timbrel.vocoder.catalog`.
    cache
        Folder for sounds and measures.
    instruments
        Names of some of the models' instruments; all of them where there are none.
    judges
        Keys of `JUDGES`. Those that are not installed are left out, and the results say so.
        Timbrel's own is left out, too, where it would be the only one.
    jobs
        Processes; −1 is one for each core.

    Raises
    ------
    InputError
        If a file is missing, two models have one name, or they differ in what they were trained
        on.
    MissingToolError
        If FluidSynth or the SoundFont is missing.
    """
    find_fluidsynth()
    checked = check_soundfont(soundfont)
    n_jobs = n_processes(jobs)
    bundles = _comparable_bundles(models)
    first = bundles[0]
    chosen = named_instruments(instruments, first.instruments)
    conditions = tuple(plan_conditions(bundles, vocoders))
    able, skipped = able_judges(judges)
    store = Cache(cache)
    works = {
        (excerpt, instrument.name): Work(
            Clip(
                midi=Path(midi_dir, excerpt.file),
                excerpt=excerpt,
                instrument=instrument,
                soundfont=checked,
                mel=first.mel,
                gain=first.gain,
            ),
            conditions,
            tuple(able),
            store,
        )
        for excerpt in excerpts
        for instrument in chosen
    }
    known = {key: finished(work) for key, work in works.items()}
    missing = [key for key in works if known[key] is None]
    if missing:
        compile_librosa()
    done = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        joblib.delayed(measure)(works[key]) for key in missing
    )
    for _ in progress(done, len(missing), "evaluating"):
        pass
    known |= {key: finished(works[key]) for key in missing}
    found = {key: measured or {} for key, measured in known.items()}
    sounding = {key: work for key, work in works.items() if found[key]}
    if not sounding:
        raise InputError(f"{checked}: plays none of the excerpts audibly; is it the right one?")
    results = Results(
        instruments=[instrument.name for instrument in chosen],
        excerpts=list(excerpts),
        conditions=list(conditions),
        log_mel=_log_mel(sounding),
        judges=able,
        silence_db={vocoder_name(v): silence_level_db(v, first.mel) for v in vocoders},
        skipped=skipped,
        silent=[key for key in works if not found[key]],
        settings=_settings(bundles, checked, able),
        **_arrays(found, list(excerpts), [i.name for i in chosen], [c.name for c in conditions]),
    )
    return Evaluation(results, sounding, bundles)


def _comparable_bundles(models: Sequence[str]) -> list[Bundle]:
    """Load models, and refuse those that cannot be measured beside each other."""
    if not models:
        raise InputError("there is no model to measure; give one")
    bundles = [load_bundle(model, kind="mel2mel") for model in models]
    first = bundles[0]
    if first.mel.sample_rate != SAMPLE_RATE:
        raise InputError(
            f"{first.path}: makes sound of {first.mel.sample_rate} Hz; the measures are defined "
            f"at {SAMPLE_RATE} Hz"
        )
    if len({bundle.name for bundle in bundles}) < len(bundles):
        raise InputError("two of the models have the same name; export one under another")
    for bundle in bundles[1:]:
        names = [(i.name, i.program) for i in bundle.instruments]
        if (bundle.mel, bundle.gain, names) != (
            first.mel,
            first.gain,
            [(i.name, i.program) for i in first.instruments],
        ):
            raise InputError(f"{bundle.path}: was trained on other data than {first.path}")
    return bundles


def _arrays(
    found: dict[tuple[Excerpt, str], dict[str, Measured]],
    excerpts: list[Excerpt],
    instruments: list[str],
    conditions: list[str],
) -> dict[str, Any]:
    """Sums and values as arrays over tracks and instruments, as `Results` holds them."""
    shape = (len(excerpts), len(instruments))
    sums = {name: np.zeros((*shape, 6, N_CQT_BINS)) for name in conditions}
    values: dict[str, dict[str, np.ndarray]] = {}
    for (excerpt, instrument), by_condition in found.items():
        place = excerpts.index(excerpt), instruments.index(instrument)
        for condition, measured in by_condition.items():
            sums[condition][place] = measured.sums
            for measure_name, value in measured.values.items():
                of_measure = values.setdefault(measure_name, {})
                table = of_measure.setdefault(condition, np.full(shape, np.nan))
                table[place] = value
    return {"sums": sums, "values": values}


def _log_mel(works: dict[tuple[Excerpt, str], Work]) -> dict[str, dict[str, LogMelMeasures]]:
    """Measures of each model's mels by instrument, over the frames of all its clips."""
    by_instrument: dict[str, list[Work]] = {}
    for (_, instrument), work in works.items():
        by_instrument.setdefault(instrument, []).append(work)
    found: dict[str, dict[str, LogMelMeasures]] = {}
    models = {c.model_key: c.source for c in next(iter(works.values())).conditions if c.model}
    for instrument, same in by_instrument.items():
        true = np.concatenate([np.load(work.mel_path("")) for work in same])
        for model_key, name in models.items():
            predicted = np.concatenate([np.load(work.mel_path(model_key)) for work in same])
            measures = log_mel_measures(true.astype(np.float32), predicted.astype(np.float32))
            found.setdefault(name, {})[instrument] = measures
    return found


def _settings(bundles: list[Bundle], soundfont: Path, judges: list[str]) -> dict[str, Any]:
    return {
        "timbrel": __version__,
        "models": [
            {
                "name": bundle.name,
                "loss": bundle.training.get("loss", ""),
                "steps": bundle.training.get("steps"),
                "sums_sha256": file_sha256(bundle.file(SUMS_FILE)),
            }
            for bundle in bundles
        ],
        "gain": bundles[0].gain,
        "soundfont": soundfont.name,
        "soundfont_sha256": file_sha256(soundfont),
        "judges": [judge_version(name) for name in judges],
    }

"""Measures of models and vocoders on excerpts of real music, as one report.

For each excerpt and instrument the original is FluidSynth's rendering; the conditions are the
original after µ-law, each vocoder on the true mel, and each model's mel, through each vocoder.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from timbrel.audio import FRAME_RATE, SAMPLE_RATE, atomic_path
from timbrel.bundle import Bundle, Instrument, load_bundle
from timbrel.errors import InputError
from timbrel.evaluation.metrics import (
    LogCqtCorrelation,
    LogMelMeasures,
    log_cqt,
    log_mel_measures,
)
from timbrel.evaluation.originals import (
    EXCERPTS_FILE,
    Excerpt,
    Original,
    read_excerpts,
    render_original,
)
from timbrel.mel.generator import MelGenerator
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.progress import Progress, silent
from timbrel.score.piano_roll import PianoRoll
from timbrel.timbre.timbre import Timbre
from timbrel.training.soundfont import check_soundfont, find_fluidsynth
from timbrel.vocoder.catalog import load_vocoder
from timbrel.vocoder.mulaw import mu_law_decode, mu_law_encode

MU_LAW, TRUE_MEL = "µ-law only", "true mel"
# Kim et al. (2019), read off the poster's figure: mean, and the octaves from C1 upward.
PUBLISHED = {
    "µ-law only": (0.979, (0.960, 0.967, 0.985, 0.996, 0.997, 0.992, 0.957)),
    "true mel, WaveNet": (0.854, (0.744, 0.794, 0.846, 0.887, 0.907, 0.910, 0.891)),
    "tanh-log-abs, WaveNet": (0.754, (0.626, 0.697, 0.745, 0.771, 0.789, 0.820, 0.832)),
    "log-abs, WaveNet": (0.754, (0.626, 0.676, 0.723, 0.769, 0.803, 0.836, 0.842)),
    "abs, WaveNet": (0.635, (0.516, 0.565, 0.576, 0.621, 0.664, 0.733, 0.769)),
}


@dataclass
class Report:
    """What was measured; the keys of the correlations are (condition, instrument)."""

    instruments: list[str]
    n_excerpts: int
    log_mel: dict[str, dict[str, LogMelMeasures]]  # model → instrument → measures
    log_cqt: dict[str, dict[str, LogCqtCorrelation]]  # condition → instrument → correlation

    def pooled(self, condition: str) -> LogCqtCorrelation:
        """The correlation of a condition over all instruments."""
        total = LogCqtCorrelation()
        for part in self.log_cqt[condition].values():
            total += part
        return total

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "instruments": self.instruments,
            "excerpts": self.n_excerpts,
            "log_mel": {
                model: {name: asdict(found) for name, found in by_instrument.items()}
                for model, by_instrument in self.log_mel.items()
            },
            "log_cqt_correlation": {
                condition: {
                    "mean": self.pooled(condition).mean(),
                    "octaves": self.pooled(condition).by_octave().tolist(),
                    "instruments": {name: found.mean() for name, found in by_instrument.items()},
                }
                for condition, by_instrument in self.log_cqt.items()
            },
        }


def evaluate(
    midi_dir: str | os.PathLike,
    soundfont: str | os.PathLike,
    *,
    models: list[str],
    vocoders: list[str],
    cache: str | os.PathLike,
    excerpts: str | os.PathLike = EXCERPTS_FILE,
    jobs: int = -1,
    progress: Progress = silent,
) -> Report:
    """Measure models and vocoders.

    Parameters
    ----------
    midi_dir
        Where the excerpts' files are.
    soundfont
        What the originals are played with: the one that the models were trained on.
    models
        Names or folders of Mel2Mel bundles, of one mel geometry, gain and set of instruments.
    vocoders
        Names or folders; see `timbrel.vocoder.catalog`.
    cache
        Folder for the originals.
    excerpts
        A CSV; see `read_excerpts`.

    Raises
    ------
    InputError
        If a file is missing, two models have one name, or they differ in what they were trained
        on.
    """
    find_fluidsynth()
    checked = check_soundfont(soundfont)
    if not models:
        raise InputError("there is no model to measure; give one")
    if jobs == 0:
        raise InputError("0 jobs cannot do anything; -1 stands for one for each core")
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
    for vocoder in vocoders:
        load_vocoder(vocoder, first.mel)
    listed = read_excerpts(excerpts)
    tasks = [
        joblib.delayed(_measure)(
            Path(midi_dir), excerpt, index, checked, models, vocoders, Path(cache)
        )
        for index in range(len(first.instruments))
        for excerpt in listed
    ]
    done = joblib.Parallel(n_jobs=jobs, return_as="generator")(tasks)
    mels: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    correlations: dict[str, dict[str, LogCqtCorrelation]] = defaultdict(dict)
    for found in progress(done, len(tasks), "evaluating"):
        for model, pair in found.mels.items():
            mels[model][found.instrument].append(pair)
        for condition, spectra in found.spectra.items():
            pool = correlations[condition].setdefault(found.instrument, LogCqtCorrelation())
            pool += spectra
    return Report(
        instruments=[instrument.name for instrument in first.instruments],
        n_excerpts=len(listed),
        log_mel={
            model: {
                name: log_mel_measures(*(np.concatenate(side) for side in zip(*pairs, strict=True)))
                for name, pairs in by_instrument.items()
            }
            for model, by_instrument in mels.items()
        },
        log_cqt=dict(correlations),
    )


@dataclass(frozen=True)
class _Measured:
    instrument: str
    mels: dict[str, tuple[np.ndarray, np.ndarray]]
    spectra: dict[str, LogCqtCorrelation]


def _measure(
    midi_dir: Path,
    excerpt: Excerpt,
    index: int,
    soundfont: Path,
    models: list[str],
    vocoders: list[str],
    cache: Path,
) -> _Measured:
    """All conditions of one excerpt and instrument; the work of one process."""
    bundles = [load_bundle(model) for model in models]
    first = bundles[0]
    original = render_original(
        midi_dir,
        excerpt,
        first.instruments[index],
        soundfont,
        sample_rate=first.mel.sample_rate,
        gain=first.gain,
        cache=cache,
    )
    target = log_cqt(original.audio)
    true_mel = mel_spectrogram(original.audio, first.mel)
    mels, spectra = {}, {}

    def compare(condition: str, audio: np.ndarray) -> None:
        spectra[condition] = LogCqtCorrelation()
        spectra[condition].add_spectra(target, log_cqt(audio))

    compare(MU_LAW, mu_law_decode(mu_law_encode(original.audio)))
    heard = [PianoRoll(original.score.excerpt(original.pre_roll_s).notes)]
    for name in vocoders:
        vocoder = load_vocoder(name, first.mel)
        audio = vocoder.stream(heard).process(true_mel[None], last=True)[0]
        compare(f"{TRUE_MEL}, {name}", audio)
    for bundle in bundles:
        roll, mel = synthesised_mel(bundle, bundle.instruments[index], original)
        mels[bundle.name] = (true_mel, mel[-len(true_mel) :])
        for name in vocoders:
            vocoder = load_vocoder(name, bundle.mel)
            audio = vocoder.stream([roll]).process(mel[None], last=True)[0]
            compare(f"{bundle.name}, {name}", audio[-len(original.audio) :])
    return _Measured(first.instruments[index].name, mels, spectra)


def synthesised_mel(
    bundle: Bundle, instrument: Instrument, original: Original
) -> tuple[PianoRoll, np.ndarray]:
    """A model's mel of what an original plays, (frames, n_mels), the pre-roll included."""
    n_frames = round(original.pre_roll_s * FRAME_RATE)
    n_frames += len(original.audio) // bundle.mel.hop_length
    roll = PianoRoll(original.score.notes)
    blocks = MelGenerator(bundle).stream([roll], [Timbre.constant(instrument.embedding)], n_frames)
    return roll, np.concatenate([block[0] for block in blocks])


def write_report(report: Report, folder: str | os.PathLike) -> None:
    """Write results.json and results.md into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "results.json") as temporary:
        temporary.write_text(json.dumps(report.as_dict(), indent=2) + "\n")
    with atomic_path(folder / "results.md") as temporary:
        temporary.write_text(markdown(report))


def markdown(report: Report) -> str:
    """The report as tables."""
    octaves = "".join(f" C{i} |" for i in range(1, 8))
    lines = [
        "# Results",
        "",
        f"{report.n_excerpts} excerpts × {len(report.instruments)} instruments, against "
        "FluidSynth's rendering.",
        "Written by `timbrel evaluate`; the definitions are in `timbrel/evaluation/metrics.py`.",
        "",
        "## Log-CQT correlation with the original",
        "",
        f"| condition | mean |{octaves}",
        "|---|---|" + "---|" * 7,
    ]
    for condition in report.log_cqt:
        pooled = report.pooled(condition)
        lines.append(_row(condition, pooled.mean(), pooled.by_octave()))
    for condition, (mean, by_octave) in PUBLISHED.items():
        lines.append(_row(f"*published:* {condition}", mean, by_octave))
    lines += [
        "",
        "By instrument:",
        "",
        "| condition |" + "".join(f" {name} |" for name in report.instruments),
        "|---|" + "---|" * len(report.instruments),
    ]
    for condition, found in report.log_cqt.items():
        cells = "".join(f" {found[name].mean():.3f} |" for name in report.instruments)
        lines.append(f"| {condition} |{cells}")
    lines += [
        "",
        "## Log-mel, predicted against true",
        "",
        "Frames above silence; the centred correlation is taken after the mean of each bin is",
        "removed. *bin means* is a predictor that knows only these means.",
    ]
    for model, by_instrument in report.log_mel.items():
        lines += [
            "",
            f"### {model}",
            "",
            "| instrument | centred correlation | correlation | (bin means) | error, dB "
            "| (bin means) |",
            "|---|---|---|---|---|---|",
        ]
        rows = list(by_instrument.items())
        for name, measures in rows:
            lines.append(_mel_row(name, asdict(measures)))
        means = {
            key: float(np.mean([asdict(measures)[key] for _, measures in rows]))
            for key in asdict(rows[0][1])
        }
        lines.append(_mel_row("**mean**", means))
    return "\n".join(lines) + "\n"


def _row(condition: str, mean: float, by_octave: Iterable[float]) -> str:
    return f"| {condition} | {mean:.3f} |" + "".join(f" {value:.3f} |" for value in by_octave)


def _mel_row(name: str, found: dict[str, float]) -> str:
    return (
        f"| {name} | {found['centred_correlation']:.3f} | {found['correlation']:.3f} | "
        f"{found['mean_correlation']:.3f} | {found['error_db']:.2f} | "
        f"{found['mean_error_db']:.2f} |"
    )

"""The evaluation of Engel et al. (2017): does a classifier still recognise a reconstructed note?

Notes of the test split are reconstructed by the autoencoder and by the baseline, and a classifier
that was trained on original notes predicts their pitch and qualities. For comparison, the same
classifier is applied to the originals, and a floor is given by always answering with the most
frequent label. A linear probe measures how much of the pitch a code holds by itself. Morphs are
compared with plain averages of two sounds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timbrel.bundles.bundle import bundle_hash, load_bundle
from timbrel.errors import InputError, Skip, refuse
from timbrel.files import write_text
from timbrel.notes.classifier import ClassifierConfig, NoteClassifier
from timbrel.notes.codec import KIND, NoteCodec
from timbrel.notes.dataset import NoteSplit, measured_qualities, read_split
from timbrel.notes.export import BASELINE_KIND, load_spectral
from timbrel.notes.measures import (
    f1_score,
    linear_probe,
    majority_floor,
    spectrum_error_db,
)
from timbrel.notes.morphing import mix
from timbrel.notes.note import QUALITIES
from timbrel.notes.pairs import Morph, find_pairs, measure_morphs, summarise
from timbrel.notes.reconstruction import (
    Clip,
    Pitched,
    Workers,
    codes_of_clips,
    decode_sounds,
    made_once,
    reconstruct_spectra,
    spectral_codes,
)
from timbrel.notes.rendering import Sound
from timbrel.notes.spectrum import log_spectrum
from timbrel.progress import Progress, silent

REPORT_NAME = "notes"
_JUDGED_AT_ONCE = 16
END = "ends/{}-{}.wav"  # of a pair's morph: its first or second end, and the morph's name


@dataclass(frozen=True)
class EvaluationPlan:
    """How much is measured."""

    n_notes: int = 1000
    n_pairs: int = 200
    n_probe: int = 1024  # notes of the training split, for the linear probe
    iterations: int = 16  # of Griffin and Lim
    seed: int = 0
    temperature: float = 1.0


def evaluate_notes(
    data: str | os.PathLike,
    output: str | os.PathLike,
    *,
    classifier: str,
    autoencoder: str | None,
    baseline: str | None,
    plan: EvaluationPlan,
    jobs: int = 1,
    skip: Skip = refuse,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Measure models on the test split.

    Parameters
    ----------
    data
        A data set of notes with the splits train and test.
    output
        Folder that keeps sounds and codes: what is there is not made again.
    classifier, autoencoder, baseline
        Bundles; the last two may be left out.
    plan
        How much is measured.
    jobs
        Processes; −1 is one for each core. The results do not depend on it.
    skip
        Told of each note whose audio cannot be used; it is left out.
    progress
        Wraps notes, sounds and pairs.

    Returns
    -------
    dict
        As `markdown` prints it, ready for JSON.
    """
    data, audio = Path(data), Path(output) / "audio"
    train, test = (read_split(data, split) for split in ("train", "test"))
    judge = _Judge(classifier, measured_qualities(data))
    random = np.random.default_rng(plan.seed)
    drawn = sorted(random.permutation(len(test))[: plan.n_notes].tolist())
    heard = _heard(test, drawn, skip)
    if not heard:
        raise InputError(f"{test.path}: none of the notes that were drawn can be read")
    workers = Workers(jobs, progress)
    models: list[_Autoencoder | _Baseline] = []
    if autoencoder:
        models.append(_Autoencoder(autoencoder, plan, workers, audio))
    if baseline:
        models.append(_Baseline(baseline, plan, workers, audio))
    chosen, originals = list(heard), _spectra(heard.values())
    report: dict[str, Any] = {
        "data": data.name,
        "notes": len(chosen),
        "plan": asdict(plan),
        "classifier": judge.bundle.name,
        "qualities": [QUALITIES[i] for i in judge.columns],
        "reconstructions": {
            "majority": _floor(train, test, chosen, judge.columns),
            "original": judge.measures(test, chosen, originals, originals),
        },
        "probe": {},
    }
    probed = random.permutation(len(train))[: plan.n_probe].tolist()
    train_heard = _heard(train, probed, skip) if models else {}
    train_pitches, _ = labels(train, list(train_heard))
    test_pitches, _ = labels(test, chosen)
    for model in models:
        found = _spectra(model.reconstructed(test, heard))
        report["reconstructions"][model.name] = judge.measures(test, chosen, originals, found)
        if train_heard:
            report["probe"][model.name] = linear_probe(
                model.mean_codes(train, train_heard),
                train_pitches,
                model.mean_codes(test, heard),
                test_pitches,
            )
    for model in models:
        if isinstance(model, _Autoencoder) and plan.n_pairs:
            report["morphs"] = _morphs(model, test, plan, skip)
    return report


class _Autoencoder:
    """The autoencoder at work."""

    name = "autoencoder"

    def __init__(
        self, name_or_path: str, plan: EvaluationPlan, workers: Workers, audio: Path
    ) -> None:
        bundle = load_bundle(name_or_path, kind=KIND)
        self.path, self._plan, self.workers = bundle.path, plan, workers
        drawn = f"{bundle_hash(bundle.path)[:12]}-seed-{plan.seed}-temperature-{plan.temperature:g}"
        self._sounds, self.morphs = audio / f"{self.name}-{drawn}", audio / f"morphs-{drawn}"
        self._codes = audio.parent / f"codes-{bundle_hash(bundle.path)[:12]}"

    def reconstructed(self, split: NoteSplit, heard: dict[int, np.ndarray]) -> list[np.ndarray]:
        sounds = [
            Sound(self._sounds / f"{split.notes[i].note_str}.wav", codes, len(heard[i]))
            for i, codes in self.encoded(split, heard).items()
        ]
        return self.decoded(sounds)

    def encoded(self, split: NoteSplit, heard: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
        notes = [
            Clip(self._codes / f"{split.path.name}-{split.notes[i].note_str}.npy", audio)
            for i, audio in heard.items()
        ]
        codes = self.workers.each(codes_of_clips, notes, "encoding", model=self.path)
        return dict(zip(heard, codes, strict=True))

    def decoded(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
        return made_once(
            self.workers,
            decode_sounds,
            sounds,
            "decoding",
            numbered=True,
            model=self.path,
            seed=self._plan.seed,
            temperature=self._plan.temperature,
        )

    def mean_codes(self, split: NoteSplit, heard: dict[int, np.ndarray]) -> np.ndarray:
        return np.stack([codes.mean(axis=0) for codes in self.encoded(split, heard).values()])


class _Baseline:
    """The baseline at work."""

    name = "baseline"

    def __init__(
        self, name_or_path: str, plan: EvaluationPlan, workers: Workers, audio: Path
    ) -> None:
        bundle = load_bundle(name_or_path, kind=BASELINE_KIND)
        self._model, self._plan, self._workers = bundle.path, plan, workers
        self._sounds = audio / f"{self.name}-{bundle_hash(bundle.path)[:12]}-{plan.iterations}"

    def reconstructed(self, split: NoteSplit, heard: dict[int, np.ndarray]) -> list[np.ndarray]:
        notes = [
            Pitched(self._sounds / f"{split.notes[i].note_str}.wav", audio, split.notes[i].pitch)
            for i, audio in heard.items()
        ]
        return made_once(
            self._workers,
            reconstruct_spectra,
            notes,
            self.name,
            model=self._model,
            iterations=self._plan.iterations,
        )

    def mean_codes(self, split: NoteSplit, heard: dict[int, np.ndarray]) -> np.ndarray:  # noqa: ARG002
        codes: list[np.ndarray] = self._workers.each(
            spectral_codes, list(heard.values()), "encoding", model=self._model
        )
        return np.stack(codes)


def write_report(report: dict[str, Any], output: str | os.PathLike) -> None:
    """Write ``notes.json`` and ``notes.md``."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    for suffix, text in ((".json", json.dumps(report, indent=2) + "\n"), (".md", markdown(report))):
        write_text(output / f"{REPORT_NAME}{suffix}", text)


def markdown(report: dict[str, Any]) -> str:
    """The report's tables."""
    lines = [
        f"{report['notes']} notes of the test split of {report['data']}, "
        f"seed {report['plan']['seed']}; qualities: {', '.join(report['qualities'])}.",
        "",
        "| | pitch | quality | quality F1 | spectrum error, dB |",
        "|---|---|---|---|---|",
    ]
    for name, row in report["reconstructions"].items():
        error = f"{row['spectrum_error_db']:.1f}" if "spectrum_error_db" in row else ""
        lines.append(
            f"| {name} | {100 * row['pitch_accuracy']:.1f} % "
            f"| {100 * row['quality_accuracy']:.1f} % | {row['quality_f1']:.3f} | {error} |"
        )
    if report["probe"]:
        lines += ["", "| pitch by a linear probe of the mean code | |", "|---|---|"]
        lines += [f"| {name} | {100 * value:.1f} % |" for name, value in report["probe"].items()]
    if "morphs" in report:
        found = report["morphs"]
        lines += [
            "",
            f"| {found['pairs']} pairs of one pitch | morph | plain average |",
            "|---|---|---|",
            f"| centroid between those of the decoded ends | {found['morph']['between']} | |",
            f"| centroid between the originals' | {found['morph_of_originals']['between']} "
            f"| {found['average']['between']} |",
            f"| pitch kept (YIN; both ends: {found['ends_tracked']}) "
            f"| {found['morph']['pitch_kept']} | {found['average']['pitch_kept']} |",
            "| pitch kept where it is heard in both ends "
            f"| {found['morph']['pitch_kept_of_tracked']} | |",
        ]
    return "\n".join(lines) + "\n"


class _Judge:
    """The classifier at work."""

    def __init__(self, name_or_path: str, columns: list[int]) -> None:
        self._model, self.bundle = load_spectral(name_or_path, NoteClassifier, ClassifierConfig)
        self.columns = columns

    @torch.no_grad()
    def measures(
        self,
        split: NoteSplit,
        chosen: Sequence[int],
        originals: np.ndarray,
        spectra: np.ndarray,
    ) -> dict[str, float]:
        """Measures of the spectra of some notes, beside those of the originals."""
        pitches, qualities = [], []
        for start in range(0, len(spectra), _JUDGED_AT_ONCE):
            some = torch.from_numpy(spectra[start : start + _JUDGED_AT_ONCE])
            pitch, quality = self._model(some)
            pitches.append(pitch.argmax(1).numpy())
            qualities.append((quality > 0).numpy().astype(int))
        true_pitches, true_qualities = labels(split, chosen)
        said = np.concatenate(qualities)[:, self.columns]
        true = true_qualities[:, self.columns]
        errors = [
            spectrum_error_db(original, spectrum)
            for original, spectrum in zip(originals, spectra, strict=True)
        ]
        return {
            "pitch_accuracy": float((np.concatenate(pitches) == true_pitches).mean()),
            "quality_accuracy": float((said == true).mean()),
            "quality_f1": f1_score(true, said),
            "spectrum_error_db": float(np.mean(errors)),
        }


def labels(split: NoteSplit, chosen: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Pitches (notes,) and qualities (notes, 10) of some notes."""
    notes = [split.notes[i] for i in chosen]
    return np.array([n.pitch for n in notes]), np.array([n.qualities for n in notes])


def _spectra(sounds: Iterable[np.ndarray]) -> np.ndarray:
    return np.stack([log_spectrum(sound) for sound in sounds])


def _heard(split: NoteSplit, indices: Iterable[int], skip: Skip) -> dict[int, np.ndarray]:
    """The audio of some notes by their indices, but of those that cannot be read."""
    heard = {}
    for i in indices:
        try:
            heard[i] = split.audio(i)
        except InputError as error:
            skip(error)
    return heard


def _floor(
    train: NoteSplit, test: NoteSplit, chosen: Sequence[int], columns: list[int]
) -> dict[str, float]:
    train_pitches, train_qualities = labels(train, range(len(train)))
    pitches, qualities = labels(test, chosen)
    return majority_floor(
        train_pitches, train_qualities[:, columns], pitches, qualities[:, columns]
    )


def _morphs(
    model: _Autoencoder, split: NoteSplit, plan: EvaluationPlan, skip: Skip
) -> dict[str, Any]:
    drawn = find_pairs(split, plan.n_pairs, plan.seed)
    heard = _heard(split, sum(drawn, ()), skip)
    pairs = [(a, b) for a, b in drawn if a in heard and b in heard]
    # The way from one sound to the other: as decoded, at its ends and half way.
    ways = []
    for pair in pairs:
        names = "--".join(split.notes[i].note_str for i in pair)
        first, last = (model.morphs / END.format(number, names) for number in (1, 2))
        ways.append((first, model.morphs / f"{names}.wav", last))
    codes = model.encoded(split, {i: heard[i] for i in sum(pairs, ())})
    codec = NoteCodec.load(model.path)
    codes = {i: codec.with_mels(some) for i, some in codes.items()}
    sounds = [
        Sound(path, mix([codes[a], codes[b]], [1 - share, share]), len(heard[a]))
        for (a, b), way in zip(pairs, ways, strict=True)
        for path, share in zip(way, (0.0, 0.5, 1.0), strict=True)
    ]
    decoded = model.decoded(sounds)
    morphs = [
        Morph(split.notes[a].pitch, (heard[a], heard[b]), (first, last), half_way)
        for (a, b), first, half_way, last in zip(
            pairs, decoded[::3], decoded[1::3], decoded[2::3], strict=True
        )
    ]
    return summarise(model.workers.each(measure_morphs, morphs, "pairs"))

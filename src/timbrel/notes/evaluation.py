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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timbrel.bundles.bundle import bundle_hash
from timbrel.constants import SAMPLE_RATE
from timbrel.errors import InputError, Skip, refuse
from timbrel.files import write_text
from timbrel.notes.baseline import BaselineConfig, SpectralBaseline
from timbrel.notes.classifier import ClassifierConfig, NoteClassifier
from timbrel.notes.codec import NoteCodec
from timbrel.notes.dataset import NoteSplit, measured_qualities, read_split
from timbrel.notes.export import load_spectral
from timbrel.notes.measures import (
    f1_score,
    linear_probe,
    majority_floor,
    spectral_centroid_hz,
    spectrum_error_db,
    tracked_pitch,
)
from timbrel.notes.morphing import mix
from timbrel.notes.note import QUALITIES
from timbrel.notes.rendering import Sound, render_sounds
from timbrel.notes.spectrum import log_spectrum, peak_magnitude, spectrum_to_audio
from timbrel.progress import Progress, silent
from timbrel.sound import read_audio, write_audio

REPORT_NAME = "notes"
_PROBE_NOTES = 8  # of the training split for the probe, for each note of the test split
_PITCH_TOLERANCE = 0.5  # semitones
_JUDGED_AT_ONCE = 16
END = "ends/{}-{}.wav"  # of a pair's morph: its first or second end, and the morph's name


@dataclass(frozen=True)
class EvaluationPlan:
    """How much is measured."""

    n_notes: int = 64
    n_pairs: int = 20
    iterations: int = 1000  # of Griffin and Lim
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
    skip: Skip = refuse,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Measure models on the test split.

    Parameters
    ----------
    data
        A data set of notes with the splits train and test.
    output
        Folder whose ``audio`` keeps the sounds.
    classifier, autoencoder, baseline
        Bundles; the last two may be left out.
    plan
        How much is measured.
    skip
        Told of each note whose audio cannot be used; it is left out.
    progress
        Wraps notes, frames and pairs.

    Returns
    -------
    dict
        As `markdown` prints it, ready for JSON.
    """
    data, output = Path(data), Path(output)
    train, test = (read_split(data, split) for split in ("train", "test"))
    judge = _Judge(classifier, measured_qualities(data))
    codec = NoteCodec.load(autoencoder) if autoencoder else None
    spectral = load_spectral(baseline, SpectralBaseline, BaselineConfig) if baseline else None
    random = np.random.default_rng(plan.seed)
    drawn = sorted(random.permutation(len(test))[: plan.n_notes].tolist())
    heard = _heard(test, drawn, skip)
    if not heard:
        raise InputError(f"{test.path}: none of the notes that were drawn can be read")
    chosen, originals = list(heard), list(heard.values())
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
    codes: dict[str, Callable[[NoteSplit, int], np.ndarray]] = {}
    if codec is not None:
        folder = output / "audio" / f"autoencoder-{codec.identity[:12]}-{_drawn(plan)}"
        found = _reconstructed(codec, test, chosen, folder, plan, progress)
        report["reconstructions"]["autoencoder"] = judge.measures(test, chosen, originals, found)
        codes["autoencoder"] = lambda split, i: codec.encode(split.audio(i)).mean(axis=0)
    if spectral is not None:
        model, bundle = spectral
        folder = output / "audio" / f"baseline-{bundle_hash(bundle.path)[:12]}-{plan.iterations}"
        found = _reconstructed_spectra(model, test, chosen, folder, plan, progress)
        report["reconstructions"]["baseline"] = judge.measures(test, chosen, originals, found)
        codes["baseline"] = lambda split, i: _spectral_code(model, split.audio(i))
    n_probe = min(_PROBE_NOTES * len(chosen), len(train))
    probed = random.permutation(len(train))[:n_probe].tolist()
    if codes:
        probed = list(_heard(train, probed, skip))
    for name, code in codes.items():
        report["probe"][name] = _probe(code, train, probed, test, chosen, progress)
    if codec is not None and plan.n_pairs:
        folder = output / "audio" / f"morphs-{codec.identity[:12]}-{_drawn(plan)}"
        report["morphs"] = _morphs(codec, test, folder, plan, skip, progress)
    return report


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
        originals: Sequence[np.ndarray],
        sounds: Sequence[np.ndarray],
    ) -> dict[str, float]:
        spectra = np.stack([log_spectrum(sound) for sound in sounds])
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
            spectrum_error_db(log_spectrum(original), spectrum)
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


def _drawn(plan: EvaluationPlan) -> str:
    return f"seed-{plan.seed}-temperature-{plan.temperature:g}"


def _reconstructed(
    codec: NoteCodec,
    split: NoteSplit,
    chosen: Sequence[int],
    folder: Path,
    plan: EvaluationPlan,
    progress: Progress,
) -> list[np.ndarray]:
    sounds = []
    for i in progress(chosen, len(chosen), "encoding"):
        audio = split.audio(i)
        path = folder / f"{split.notes[i].note_str}.wav"
        codes = np.zeros((0, codec.code_size)) if path.exists() else codec.encode(audio)
        sounds.append(Sound(path, codes, len(audio)))
    return _decoded(codec, sounds, plan, progress)


def _decoded(
    codec: NoteCodec, sounds: list[Sound], plan: EvaluationPlan, progress: Progress
) -> list[np.ndarray]:
    render_sounds(
        codec,
        sounds,
        seed=plan.seed,
        temperature=plan.temperature,
        resume=True,
        progress=progress,
    )
    return [read_audio(sound.path)[0] for sound in sounds]


@torch.no_grad()
def _reconstructed_spectra(
    model: SpectralBaseline,
    split: NoteSplit,
    chosen: Sequence[int],
    folder: Path,
    plan: EvaluationPlan,
    progress: Progress,
) -> list[np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for i in progress(chosen, len(chosen), "baseline"):
        path = folder / f"{split.notes[i].note_str}.wav"
        if not path.exists():
            audio = split.audio(i)
            spectra = torch.from_numpy(log_spectrum(audio))[None]
            spectrum = model(spectra, torch.tensor([split.notes[i].pitch]))[0].numpy()
            audio = spectrum_to_audio(
                spectrum,
                peak=peak_magnitude(audio),
                n_samples=len(audio),
                iterations=plan.iterations,
                seed=plan.seed,
            )
            write_audio(path, audio, SAMPLE_RATE)
        found.append(read_audio(path)[0])
    return found


@torch.no_grad()
def _spectral_code(model: SpectralBaseline, audio: np.ndarray) -> np.ndarray:
    return model.encoder(torch.from_numpy(log_spectrum(audio))[None])[0].numpy()


def _probe(
    code: Callable[[NoteSplit, int], np.ndarray],
    train: NoteSplit,
    probed: Sequence[int],
    test: NoteSplit,
    chosen: Sequence[int],
    progress: Progress,
) -> float:
    train_codes = np.stack([code(train, i) for i in progress(probed, len(probed), "probe")])
    test_codes = np.stack([code(test, i) for i in chosen])
    return linear_probe(train_codes, labels(train, probed)[0], test_codes, labels(test, chosen)[0])


def find_pairs(split: NoteSplit, n_pairs: int, seed: int) -> list[tuple[int, int]]:
    """Pairs of notes of one pitch and of instruments of two families, drawn by a seed."""
    random = np.random.default_rng((seed, 1))
    pairs: list[tuple[int, int]] = []
    order = random.permutation(len(split)).tolist()
    waiting: dict[int, int] = {}
    for i in order:
        note = split.notes[i]
        other = waiting.get(note.pitch)
        if other is None:
            waiting[note.pitch] = i
        elif split.notes[other].instrument_family != note.instrument_family:
            pairs.append((other, i))
            del waiting[note.pitch]
        if len(pairs) == n_pairs:
            return pairs
    if not pairs:
        raise InputError(f"{split.path}: has no two notes of one pitch and of two families")
    return pairs


def _morphs(
    codec: NoteCodec,
    split: NoteSplit,
    folder: Path,
    plan: EvaluationPlan,
    skip: Skip,
    progress: Progress,
) -> dict[str, Any]:
    drawn = find_pairs(split, plan.n_pairs, plan.seed)
    heard = _heard(split, sum(drawn, ()), skip)
    pairs = [(a, b) for a, b in drawn if a in heard and b in heard]
    ends = [(heard[a], heard[b]) for a, b in pairs]
    # The way from one sound to the other: as decoded, at its ends and half way.
    sounds = []
    for (a, b), (first, second) in zip(pairs, ends, strict=True):
        names = [split.notes[i].note_str for i in (a, b)]
        paths = [folder / END.format(number, "--".join(names)) for number in (1, 2)]
        paths.insert(1, folder / f"{'--'.join(names)}.wav")
        codes = [np.zeros((0, codec.code_size))] * 2
        if not all(path.exists() for path in paths):
            codes = [codec.encode(first), codec.encode(second)]
        for path, share in zip(paths, (0.0, 0.5, 1.0), strict=True):
            sounds.append(Sound(path, mix(codes, [1 - share, share]), len(first)))
    decoded = _decoded(codec, sounds, plan, progress)
    morphs = decoded[1::3]
    averages = [(first + second) / 2 for first, second in ends]
    pitches = [split.notes[a].pitch for a, _ in pairs]

    def counted(
        found: Sequence[np.ndarray], limits: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> dict[str, int]:
        inside = (
            min(centroids) <= spectral_centroid_hz(sound) <= max(centroids)
            for sound, pair in zip(found, limits, strict=True)
            for centroids in [[spectral_centroid_hz(end) for end in pair]]
        )
        kept = (is_at(sound, pitch) for sound, pitch in zip(found, pitches, strict=True))
        return {"between": sum(inside), "pitch_kept": sum(kept)}

    tracked = (
        all(is_at(end, pitch) for end in pair) for pair, pitch in zip(ends, pitches, strict=True)
    )
    return {
        "pairs": len(pairs),
        "ends_tracked": sum(tracked),
        "morph": counted(morphs, list(zip(decoded[::3], decoded[2::3], strict=True))),
        "morph_of_originals": counted(morphs, ends),
        "average": counted(averages, ends),
    }


def is_at(audio: np.ndarray, pitch: int) -> bool:
    """Whether the pitch tracker hears a pitch."""
    return abs(tracked_pitch(audio) - pitch) <= _PITCH_TOLERANCE

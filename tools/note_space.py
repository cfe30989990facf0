"""Make the space in which the notes of a recording are grouped into parts.

    python tools/note_space.py DATA

DATA is what `timbrel prepare` made, with many programs. Clips of two programs at a time are mixed,
the features of their notes computed (`timbrel.transcription.note_sounds`), and the directions found
in which programs differ most against the notes of one program: linear discriminant analysis (Fisher
1936; Rao 1948), with a ridge.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from timbrel.constants import SAMPLE_RATE
from timbrel.corpus.preparation import Clip, read_data
from timbrel.score.midi import read_midi
from timbrel.transcription.note_sounds import note_features
from timbrel.transcription.parts import SPACE_FILE

_SECONDS, _LARGEST_LEVEL_DB, _LEVEL = 6.0, 4.0, 0.05
_MOST_NOTES = 200  # of a mix
_RIDGE = 0.1  # of the mean variance
_SIZE = 8


def main() -> None:
    """Write the file beside the module that reads it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--mixes", type=int, default=400)
    given = parser.parse_args()
    pairs = list(_mixes(given.data, given.mixes))
    features = np.concatenate([found for found, _ in pairs])
    programs = np.concatenate([found for _, found in pairs])
    usual = np.nanmean(features, axis=0)
    filled = np.where(np.isfinite(features), features, usual) - usual
    space = {"usual": usual, "projection": _discriminants(filled, programs, _SIZE)}
    np.savez(SPACE_FILE, **{name: values.astype(np.float32) for name, values in space.items()})
    print(f"{SPACE_FILE}: {len(features)} notes of {len(set(programs))} programs")


def _mixes(folder: Path, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The features and the programs of the notes of some mixes."""
    _, clips = read_data(folder)
    by_program: dict[int, list[Clip]] = {}
    for clip in clips:
        if clip.split == "train" and not clip.is_kit:
            by_program.setdefault(clip.program, []).append(clip)
    random = np.random.default_rng(1)
    programs = sorted(by_program)
    rounds = -(-2 * number // len(programs))
    order = [program for _ in range(rounds) for program in random.permutation(programs)]
    for first, second in zip(order[::2][:number], order[1::2], strict=False):
        parts = [
            _part(folder, by_program[p][random.integers(len(by_program[p]))], random)
            for p in (first, second)
        ]
        length = min(len(audio) for audio, _ in parts)
        mix = np.sum([audio[:length] for audio, _ in parts], axis=0, dtype=np.float32)
        programs_of = zip(parts, (first, second), strict=True)
        rows = [(*note, program) for (_, notes), program in programs_of for note in notes]
        if rows and first != second:
            table = np.array(sorted(rows)[:_MOST_NOTES])
            yield note_features([mix], table[:, :4]), table[:, 4].astype(int)


def _part(
    folder: Path, clip: Clip, random: np.random.Generator
) -> tuple[np.ndarray, list[tuple[float, float, int, int]]]:
    """A few seconds of a clip at 16 kHz, at a level by chance, and the notes that begin there."""
    with soundfile.SoundFile(folder / clip.audio) as file:
        rate = file.samplerate
        begin_s = random.uniform(1, max(file.frames / rate - _SECONDS - 3, 1.1))
        file.seek(round(begin_s * rate))
        audio = soxr.resample(file.read(round(_SECONDS * rate), dtype="float32"), rate, SAMPLE_RATE)
    level = _LEVEL * 10 ** (random.uniform(-_LARGEST_LEVEL_DB, _LARGEST_LEVEL_DB) / 20)
    notes = [
        (note.start_s - begin_s, note.end_s - begin_s, note.pitch, note.velocity)
        for note in read_midi(folder / "midi" / clip.midi).notes
        if 0 <= note.start_s - begin_s < _SECONDS - 0.2
    ]
    return audio * (level / (np.sqrt(np.mean(audio**2)) + 1e-9)), notes


def _discriminants(centred: np.ndarray, classes: np.ndarray, size: int) -> np.ndarray:
    """Directions (features, size) in which the notes of a class have a variance of 1."""
    within, between = (np.zeros((centred.shape[1],) * 2) for _ in range(2))
    for one in np.unique(classes):
        values = centred[classes == one]
        mean = values.mean(axis=0)
        within += (values - mean).T @ (values - mean) / len(centred)
        between += len(values) * np.outer(mean, mean) / len(centred)
    within += _RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    variances, axes = np.linalg.eigh(within)
    white = axes / np.sqrt(variances)
    _, turned = np.linalg.eigh(white.T @ between @ white)
    return white @ turned[:, ::-1][:, :size]


if __name__ == "__main__":
    main()

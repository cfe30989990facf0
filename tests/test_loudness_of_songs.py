"""Written files have the loudness that was asked for: pieces of the corpus, and songs made here."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from scipy.signal import resample_poly

from timbrel.commands.outputs import Target
from timbrel.commands.writing import FileOptions, render_file
from timbrel.score.midi import read_midi
from timbrel.score.score import Automation, Note, Score, Track
from timbrel.synthesizer import Synthesizer

EXCERPT_S = 8.0
STREAM_ERROR_DB = 5.0  # of what is expected of a score; 4.0 of the loudest song, 3 of others


@pytest.fixture(scope="module")
def synthesizer() -> Synthesizer:
    return Synthesizer.load()


def measured(path: Path) -> tuple[float, float]:
    """Loudness and true peak of a file, found by others' means."""
    audio, rate = soundfile.read(path, always_2d=True)
    padded = np.pad(audio, ((100, 100), (0, 0)))
    peak = np.abs(resample_poly(padded, 8, 1)).max()
    return pyloudnorm.Meter(rate).integrated_loudness(audio), 20 * np.log10(peak)


def assert_loud_as_asked_for(
    synthesizer: Synthesizer,
    score: Score,
    folder: Path,
    *,
    start_s: float = 0.0,
) -> None:
    stream = synthesizer.stream(score, start_s=start_s, duration_s=EXCERPT_S)
    path = folder / "song.wav"
    mastering = render_file(stream, Target(path, ()), FileOptions(bit_depth="24"))
    loudness, peak = measured(path)
    assert peak <= -1.0
    assert loudness == pytest.approx(-16.0, abs=0.5)
    assert mastering.remark == ""
    # What a stream would have got, by its score alone.
    assert stream.gain_db == pytest.approx(mastering.gain_db, abs=STREAM_ERROR_DB)


@pytest.mark.parametrize("number", range(10))
def test_pieces_of_the_corpus(
    synthesizer: Synthesizer, corpus: Path, tmp_path: Path, number: int
) -> None:
    with (corpus / "splits.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "valid"]
    score = read_midi(corpus / rows[number * len(rows) // 10]["file"])
    start_s = 0.3 * max(score.duration_s - EXCERPT_S, 0.0)
    assert_loud_as_asked_for(synthesizer, score, tmp_path, start_s=start_s)


@dataclass(frozen=True)
class Kind:
    """What a song is like."""

    programs: tuple[int, ...]
    velocities: tuple[int, int]
    notes_per_s: float
    volume: float = 1.0
    fades: bool = False


SONGS = [
    Kind((0,), (20, 40), 1),
    Kind((0,), (90, 127), 12),
    Kind((19, 19), (60, 100), 4),
    Kind((46, 56), (70, 90), 3, fades=True),
    Kind((80,), (127, 127), 8),
    Kind((45,), (50, 90), 1.5),
    Kind((0, 24, 48, 56), (40, 110), 6),
    Kind((48, 48, 11), (30, 60), 2, volume=0.15),
    Kind((4, 46, 24, 56, 80), (80, 120), 10),
    Kind((56,), (40, 120), 2, volume=0.4, fades=True),
]


def song(kind: Kind, seed: int) -> Score:
    """Random notes in a scale, hard left to hard right."""
    random = np.random.default_rng(seed)
    tracks = []
    for number, program in enumerate(kind.programs):
        n = max(round(EXCERPT_S * kind.notes_per_s), 3)
        starts = np.sort(random.uniform(0, EXCERPT_S - 1, n))
        pitches = 12 * random.integers(3, 7, n) + random.choice([0, 2, 4, 5, 7, 9, 11], n)
        velocities = random.integers(kind.velocities[0], kind.velocities[1] + 1, n)
        lengths = random.uniform(0.1, 1.5, n)
        notes = [
            Note(int(p), int(v), float(s), float(s + d))
            for p, v, s, d in zip(pitches, velocities, starts, lengths, strict=True)
        ]
        gains = (kind.volume, 0.3 * kind.volume) if kind.fades else (kind.volume,)
        gain = Automation((0.0, EXCERPT_S / 2)[: len(gains)], gains)
        pan = Automation((0.0,), (2 * (number + 1) / (len(kind.programs) + 1) - 1,))
        name = f"part {number}"
        tracks.append(Track(name, program, number, tuple(notes), gain=gain, pan=pan))
    return Score(tuple(tracks))


@pytest.mark.parametrize("number", range(len(SONGS)))
def test_songs_soft_and_loud_sparse_and_dense(
    synthesizer: Synthesizer, tmp_path: Path, number: int
) -> None:
    assert_loud_as_asked_for(synthesizer, song(SONGS[number], number), tmp_path)


@pytest.mark.parametrize("file_rate", [44_100, 48_000])
def test_resampled_files_are_as_loud(
    synthesizer: Synthesizer, tmp_path: Path, file_rate: int
) -> None:
    stream = synthesizer.stream(song(SONGS[8], 8), duration_s=4.0)
    path = tmp_path / "song.wav"
    render_file(stream, Target(path, ()), FileOptions(sample_rate=file_rate))
    loudness, peak = measured(path)
    assert loudness == pytest.approx(-16.0, abs=0.5)
    assert peak <= -1.0


def test_stems_of_a_song_sum_to_its_mix(synthesizer: Synthesizer, tmp_path: Path) -> None:
    score = song(SONGS[6], 6)
    paths = [tmp_path / f"{number}.wav" for number in range(len(score.tracks) + 1)]
    stream = synthesizer.stream(score, stems=True, duration_s=3.0, loudness_lufs=-12.0)
    render_file(stream, Target(paths[0], tuple(paths[1:])), FileOptions(bit_depth="24"))
    mix, *stems = (soundfile.read(path, always_2d=True)[0] for path in paths)
    assert np.abs(mix).max() > 0.7  # the limiter had something to do
    assert np.abs(sum(stems) - mix).max() < 1e-4

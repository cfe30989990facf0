"""Fit what `timbrel.expected_loudness` expects of notes to renders of the default model.

Excerpts of training pieces, others for each instrument, are rendered in all instruments, those of
etudes in drum kits, dry, without gain and limiter. For each instrument the level of a note, its
decay and what its key and velocity change are fitted to the loudness of the excerpts, and of their
single seconds. Other pieces, in one instrument and in several at once, say how good that is. Writes
`timbrel/levels.json`, and prints the errors.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from timbrel import expected_loudness
from timbrel.bundles.bundle import Instrument
from timbrel.corpus.etudes import etude
from timbrel.corpus.presets import Preset
from timbrel.corpus.soundfont import KIT_BANK
from timbrel.expected_loudness import Level, note_powers
from timbrel.files import write_text
from timbrel.loudness import STEP_S, STEPS_PER_BLOCK, LoudnessMeter, gated_power, lufs
from timbrel.score.midi import parse_midi, read_midi
from timbrel.score.score import Score, Track, note_table
from timbrel.synthesizer import Synthesizer

EXCERPT_S = 12.0
SECOND = round(1 / STEP_S)  # in steps
LOUD = 0.03  # seconds count whose power is at least this share of the loudest one's
SECONDS_WEIGHT = 0.3  # against the excerpt as a whole
# A level in dB, the logarithm of a decay in seconds, dB an octave, dB a doubling of the velocity.
LOWEST, HIGHEST = (-90.0, -2.5, -12.0, 0.0), (0.0, 3.4, 12.0, 30.0)
FIRST_GUESSES = ((-40.0, 0.0, 0.0, 12.0), (-40.0, 1.5, 0.0, 12.0))
# What draws a fit where the renders do not say: decays of a second, 10 dB a doubling.
PULL = ((1, 0.1, 0.0), (3, 0.02, 10.0))


@dataclass(frozen=True)
class Render:
    """An excerpt in one instrument."""

    notes: np.ndarray  # (notes, 4), a `note_table`
    steps: np.ndarray  # K-weighted powers, measured
    measured_lufs: float


def main() -> None:
    """Render, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("midi", type=Path, help="a folder of MIDI files with a splits.csv")
    parser.add_argument("--pieces", type=int, default=30, help="to choose excerpts from")
    parser.add_argument("--excerpts", type=int, default=4, help="of each instrument, to fit to")
    parser.add_argument("--checked", type=int, default=10, help="to measure the errors on")
    arguments = parser.parse_args()
    synthesizer = Synthesizer.load(threads=1)
    pieces = list(chosen(arguments.midi, "train", arguments.pieces, seed=0))
    levels: dict[bool, dict[str, list[float]]] = {False: {}, True: {}}
    for number, instrument in enumerate(synthesizer.instruments):
        n = arguments.excerpts
        played = (
            [drum_etude(instrument, "train", i) for i in range(n)]
            if instrument.is_kit
            else [pieces[(n * number + i) % len(pieces)] for i in range(n)]
        )
        level = fitted([rendered(synthesizer, instrument, one) for one in played])
        print(instrument.name, level, flush=True)
        levels[instrument.is_kit][str(instrument.program)] = list(astuple(level))
    gain = synthesizer.model.gain
    content = {"gain": gain, "programs": levels[False], "kits": levels[True]}
    write_text(expected_loudness.LEVELS_FILE, as_rows(content))
    expected_loudness.known_levels.cache_clear()
    checked = list(chosen(arguments.midi, "valid", arguments.checked, seed=1))
    melodic = [one for one in synthesizer.instruments if not one.is_kit]
    kits = [one for one in synthesizer.instruments if one.is_kit]
    single = [
        error(synthesizer, checked[i % len(checked)], one.name) for i, one in enumerate(melodic)
    ]
    report("one instrument", single)
    report("a kit", [error(synthesizer, drum_etude(one, "valid", 0)) for one in kits])
    songs = [ensemble_of(checked, synthesizer, seed) for seed in range(2 * arguments.checked)]
    report("several at once", [error(synthesizer, song) for song in songs])


def as_rows(content: dict[str, Any]) -> str:
    """JSON with a row for each instrument."""
    parts = [f'  "gain": {content["gain"]}']
    for key in ("programs", "kits"):
        rows = ",\n".join(f'    "{k}": {json.dumps(row)}' for k, row in content[key].items())
        parts.append(f'  "{key}": {{\n{rows}\n  }}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def drum_etude(kit: Instrument, split: str, number: int) -> Score:
    """The first seconds of an etude for a drum kit."""
    preset = Preset(kit.name, kit.program, KIT_BANK, kit.keys)
    file = io.BytesIO()
    etude(preset, number, split=split).save(file=file)
    return parse_midi(file.getvalue())


def chosen(folder: Path, split: str, n: int, *, seed: int) -> Iterator[Score]:
    """Excerpts of some pieces of a split, in one track, without what sounds when they begin."""
    with (folder / "splits.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    random = np.random.default_rng(seed)
    for row in [rows[i] for i in random.permutation(len(rows))[:n]]:
        score = read_midi(folder / row["file"]).merged()
        start_s = round(float(random.uniform(0, max(score.duration_s - EXCERPT_S - 5, 0))), 2)
        (track,) = score.excerpt(start_s, EXCERPT_S).tracks
        notes = tuple(note for note in track.notes if note.start_s >= 0)
        yield Score((replace(track, notes=notes),))


class _Steps(LoudnessMeter):
    """Keeps the powers of the steps that it measures."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        super().__init__(sample_rate, channels)
        self.steps: list[np.ndarray] = []

    def add_steps(self, steps: np.ndarray) -> None:
        self.steps.append(steps)
        super().add_steps(steps)


def rendered(synthesizer: Synthesizer, instrument: Instrument, excerpt: Score) -> Render:
    """The excerpt in an instrument."""
    meter = _Steps(synthesizer.sample_rate, 2)
    timbre = None if instrument.is_kit else instrument.name
    stream = synthesizer.stream(
        synthesizer.playable(excerpt),
        timbre=timbre,
        duration_s=EXCERPT_S,
        normalize=False,
        dry=True,
    )
    for block in stream.unmastered():
        meter.add(block.mix)
    tracks = excerpt.drum_tracks if instrument.is_kit else excerpt.tracks
    steps = np.concatenate(meter.steps)
    return Render(note_table(tracks[0].notes), steps, meter.measured.integrated_lufs)


def fitted(renders: Sequence[Render]) -> Level:
    """The level of an instrument."""
    fits = [
        least_squares(residuals, guess, args=(renders,), bounds=(LOWEST, HIGHEST))
        for guess in FIRST_GUESSES
    ]
    best = min(fits, key=lambda fit: fit.cost).x
    return Level(*(round(float(value), 2) for value in as_level(best)))


def residuals(parameters: np.ndarray, renders: Sequence[Render]) -> np.ndarray:
    """Errors in dB of the seconds and of the whole excerpts, and the pull."""
    errors = []
    for render in renders:
        expected = expected_steps(render, as_level(parameters))
        seconds, wanted = (by_second(steps) + 1e-8 for steps in (expected, render.steps))
        loud = wanted > LOUD * wanted.max()
        difference = 10 * np.log10(seconds[loud] / wanted[loud])
        errors.append(SECONDS_WEIGHT / np.sqrt(loud.sum()) * difference)
        errors.append([integrated(expected) - render.measured_lufs])
    errors.append([weight * (parameters[i] - value) for i, weight, value in PULL])
    return np.concatenate(errors)


def as_level(parameters: np.ndarray) -> np.ndarray:
    """The fields of a `Level`."""
    level_db, log_decay, octave_db, velocity_db = parameters
    return np.array([level_db, np.exp(log_decay), octave_db, velocity_db])


def expected_steps(render: Render, level: np.ndarray) -> np.ndarray:
    """The powers that are expected of both channels."""
    edges = STEP_S * np.arange(len(render.steps) + 1)
    return 2 * note_powers(render.notes, np.tile(level, (len(render.notes), 1)), edges)


def by_second(steps: np.ndarray) -> np.ndarray:
    """Mean powers of whole seconds."""
    return steps[: len(steps) // SECOND * SECOND].reshape(-1, SECOND).mean(axis=1)


def integrated(steps: np.ndarray) -> float:
    """The loudness of steps of power, in LUFS."""
    blocks = np.lib.stride_tricks.sliding_window_view(steps, STEPS_PER_BLOCK)
    return lufs(gated_power(blocks.mean(axis=1)))


def ensemble_of(excerpts: Sequence[Score], synthesizer: Synthesizer, seed: int) -> Score:
    """Excerpts at once, in different instruments and volumes."""
    random = np.random.default_rng(seed)
    programs = [one.program for one in synthesizer.instruments if not one.is_kit]
    n = int(random.integers(2, 6))
    tracks: list[Track] = []
    for i in random.permutation(len(excerpts))[:n]:
        track = excerpts[i].tracks[0]
        volume = replace(track.gain, values=(float(random.uniform(0.3, 1.0)),))
        program = int(random.choice(programs))
        tracks.append(replace(track, program=program, gain=volume, channel=len(tracks)))
    return Score(tuple(tracks))


def error(synthesizer: Synthesizer, score: Score, timbre: str | None = None) -> float:
    """Expected less measured loudness, in dB."""
    score = synthesizer.playable(score)
    stream = synthesizer.stream(score, timbre=timbre, duration_s=EXCERPT_S)
    meter = LoudnessMeter(stream.sample_rate, stream.channels)
    for block in stream.unmastered():
        meter.add(block.mix)
    assert stream.loudness_lufs is not None
    return stream.loudness_lufs - stream.gain_db - meter.measured.integrated_lufs


def report(what: str, found: Sequence[float]) -> None:
    """Print how large errors are."""
    sizes = np.abs(found)
    print(
        f"{what}: {len(found)} renders, error {np.mean(found):+.1f} dB on average, "
        f"{np.sqrt(np.square(found).mean()):.1f} dB root mean square, {np.median(sizes):.1f} dB "
        f"median, {np.percentile(sizes, 95):.1f} dB for 95 %, {sizes.max():.1f} dB at most"
    )


if __name__ == "__main__":
    main()

"""What keeps the sound of the default model from the original's, in log-CQT correlation.

Excerpts of the test split are played by FluidSynth, dry, and compared with what the vocoder makes
of the original's mel, and of Mel2Mel's; with the sum of all notes, each made by itself; and with
FluidSynth's own sound where each note is moved by up to 4 ms, which changes how notes interfere.
Of held notes it is printed how much the bands of the original's mel fluctuate about a straight
line, and how much Mel2Mel's differ from them in that, in dB.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr
from scipy.signal import detrend

from timbrel.bundles.bundle import Instrument, load_bundle
from timbrel.constants import DEFAULT_MODEL, SAMPLE_RATE
from timbrel.corpus.etudes import natural_range
from timbrel.corpus.soundfont import render_score
from timbrel.evaluation.originals import read_excerpts
from timbrel.measures.correlation import DB_PER_NEPER, LogCqtCorrelation
from timbrel.mel.generator import MelGenerator
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.midi import read_midi
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.score import Note, Score, Track
from timbrel.timbre.timbre import Timbre
from timbrel.vocoder.catalog import load_vocoder, vocoder_for

SHIFT_S = 0.004
RING_S = 2.0
HELD_FROM_S, HELD_S, N_HELD = 0.15, 2.5, 8  # of notes
STEP_FRAMES = 8  # a note by itself begins at a multiple of so many frames
CONDITIONS = ("true mel", "its mel", "note by note", "moved notes")


class Player:
    """The default model and its vocoder, beside FluidSynth."""

    def __init__(self, soundfont: Path) -> None:
        self.bundle = load_bundle(DEFAULT_MODEL)
        self.mel = self.bundle.mel
        self._generator = MelGenerator(self.bundle)
        self._vocoder = load_vocoder(vocoder_for(self.bundle), self.mel)
        self._soundfont = soundfont

    def original(self, score: Score, instrument: Instrument, n_samples: int) -> np.ndarray:
        audio = render_score(
            score,
            instrument.program,
            self._soundfont,
            sample_rate=self.mel.sample_rate,
            gain=self.bundle.gain,
        )
        return np.pad(audio, (0, max(n_samples - len(audio), 0)))[:n_samples]

    def vocoded(self, mel: np.ndarray, notes: tuple[Note, ...]) -> np.ndarray:
        stream = self._vocoder.stream([PerformanceRoll(notes, self.mel.frame_rate)])
        return stream.process(mel[None], last=True)[0]

    def mel_of(self, notes: tuple[Note, ...], instrument: Instrument, n_frames: int) -> np.ndarray:
        roll = PerformanceRoll(notes, self.mel.frame_rate)
        timbre = Timbre.constant(instrument.embedding)
        blocks = self._generator.stream([roll], [timbre], n_frames)
        return np.concatenate([block[0] for block in blocks])

    def made(self, notes: tuple[Note, ...], instrument: Instrument, n_frames: int) -> np.ndarray:
        return self.vocoded(self.mel_of(notes, instrument, n_frames), notes)

    def note_by_note(
        self, notes: tuple[Note, ...], instrument: Instrument, n_samples: int
    ) -> np.ndarray:
        rate, total = self.mel.frame_rate, np.zeros(n_samples, np.float32)
        for note in notes:
            first = max(int(note.start_s * rate) // STEP_FRAMES - 1, 0) * STEP_FRAMES
            begin = first * self.mel.hop_length
            alone = note._replace(
                start_s=note.start_s - first / rate, end_s=note.end_s - first / rate
            )
            n_frames = int((alone.end_s + RING_S) * rate)
            sound = self.made((alone,), instrument, n_frames)[: n_samples - begin]
            total[begin : begin + len(sound)] += sound
        return total


def main() -> None:
    """Play, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("midi", type=Path, help="the folder of piano-midi.de")
    parser.add_argument("soundfont", type=Path, help="the one that the model was trained on")
    parser.add_argument("--every", type=int, default=20, help="play only every so many programs")
    arguments = parser.parse_args()
    player, excerpts = Player(arguments.soundfont), read_excerpts()
    melodic = [one for one in player.bundle.instruments if not one.is_kit][:120]
    pools = {name: LogCqtCorrelation() for name in CONDITIONS}
    means: dict[str, list[float]] = {name: [] for name in CONDITIONS}
    print("program", *CONDITIONS, "fluctuation", "error of it", sep=" · ")
    for number, instrument in enumerate(melodic[:: arguments.every]):
        excerpt = excerpts[number % len(excerpts)]
        whole = read_midi(arguments.midi / excerpt.file).merged()
        score = whole.excerpt(excerpt.start_s, excerpt.duration_s)
        found = _compared(player, score, instrument, excerpt.duration_s)
        for name, one in found.items():
            pools[name] += one
            means[name].append(one.mean())
        held = (f"{value:.1f}" for value in _fluctuations(player, instrument))
        values = (f"{one.mean():.3f}" for one in found.values())
        print(instrument.name, *values, *held, sep=" · ", flush=True)
    print("mean", *(f"{np.mean(one):.3f}" for one in means.values()), sep=" · ")
    print("pooled", *(f"{one.mean():.3f}" for one in pools.values()), sep=" · ")


def _compared(
    player: Player, score: Score, instrument: Instrument, duration_s: float
) -> dict[str, LogCqtCorrelation]:
    n_samples = round(duration_s * player.mel.sample_rate)
    notes = tuple(note for track in score.tracks for note in track.notes)
    original = player.original(score, instrument, n_samples)
    sounds = (
        player.vocoded(mel_spectrogram(original, player.mel), notes),
        player.made(notes, instrument, n_samples // player.mel.hop_length),
        player.note_by_note(notes, instrument, n_samples),
        player.original(_moved(score), instrument, n_samples),
    )
    found = {}
    for name, sound in zip(CONDITIONS, sounds, strict=True):
        n = min(len(sound), n_samples)
        found[name] = LogCqtCorrelation()
        found[name].add(
            *(
                soxr.resample(one[:n], player.mel.sample_rate, SAMPLE_RATE)
                for one in (original, sound)
            )
        )
    return found


def _fluctuations(player: Player, instrument: Instrument) -> tuple[float, float]:
    """How much the bands of held notes fluctuate, and Mel2Mel's error in that, in dB."""
    rate, found = player.mel.frame_rate, []
    frames = slice(round(HELD_FROM_S * rate), round(HELD_S * rate))
    lowest, highest = natural_range(instrument.program)
    for key in np.linspace(lowest, highest, N_HELD).round().astype(int).tolist():
        note = Note(key, 90, 0.0, HELD_S)
        score = Score((Track("", instrument.program, 0, (note,)),))
        n_samples = round(HELD_S * player.mel.sample_rate)
        true = mel_spectrogram(player.original(score, instrument, n_samples), player.mel)[frames]
        made = player.mel_of((note,), instrument, round(HELD_S * rate))[frames]
        sounding = (true > player.mel.log_floor + 1).all(axis=0)
        if sounding.any():
            parts = (true[:, sounding], (made - true)[:, sounding])
            found.append([detrend(part, axis=0).std(axis=0).mean() for part in parts])
    return tuple(DB_PER_NEPER * np.mean(found, axis=0)) if found else (np.nan, np.nan)


def _moved(score: Score) -> Score:
    random = np.random.default_rng(0)

    def moved(note: Note) -> Note:
        by_s = float(random.uniform(-SHIFT_S, SHIFT_S)) if note.start_s > SHIFT_S else 0.0
        return note._replace(start_s=note.start_s + by_s, end_s=note.end_s + by_s)

    def in_order(note: Note) -> tuple[float, int]:
        return note.start_s, note.pitch

    tracks = [
        replace(track, notes=tuple(sorted(map(moved, track.notes), key=in_order)))
        for track in score.tracks
    ]
    return replace(score, tracks=tuple(tracks))


if __name__ == "__main__":
    main()

"""How much of a mel the score leaves open: what a network of notes could reach at best.

Validation excerpts of prepared data are rendered again by FluidSynth: as they are; with each note
moved by up to 4 ms, half a frame, which a piano roll does not tell; and note by note, of which the
powers of the mels are summed. Prints how far the last two are from the first.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from timbrel.bundles.bundle import load_bundle
from timbrel.constants import DEFAULT_MODEL
from timbrel.corpus.preparation import Clip, read_data
from timbrel.corpus.selection import SCORE
from timbrel.corpus.soundfont import render_parts, to_midi
from timbrel.geometry import MelConfig
from timbrel.measures.correlation import log_mel_measures
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.midi import read_midi
from timbrel.score.score import Note, Score, Track

SECONDS, NOTES_S = 10, 8.0  # what is rendered, and where the last note begins
JITTER_S = 0.004
BEFORE_S, AFTER_S = 0.1, 2.0  # a note alone


def main() -> None:
    """Render, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="what 'timbrel prepare' made")
    parser.add_argument("soundfont", type=Path, help="the one that it was made with")
    parser.add_argument("--every", type=int, default=16, help="measure only every so many programs")
    arguments = parser.parse_args()
    settings, clips = read_data(arguments.data)
    mel = load_bundle(DEFAULT_MODEL).mel
    random = np.random.default_rng(0)
    rows = []
    for program in range(0, 120, arguments.every):
        clip = next(c for c in clips if c.split == "valid" and is_of(c, program))
        notes = read_midi(arguments.data / "midi" / clip.midi).notes
        notes = [note for note in notes if note.start_s < NOTES_S]
        moved = [shifted(note, float(random.uniform(-JITTER_S, JITTER_S))) for note in notes]
        alone = [shifted(note, BEFORE_S - note.start_s) for note in notes]
        rate = mel.sample_rate
        parts = [(to_midi(score_of(some), program), SECONDS * rate) for some in (notes, moved)]
        for note in alone:
            length = round((note.end_s + AFTER_S) * rate)
            parts.append((to_midi(score_of([note]), program), length))
        audio = list(render_parts(parts, arguments.soundfont, sample_rate=rate, gain=settings.gain))
        true, jittered = (mel_spectrogram(one, mel) for one in audio[:2])
        summed = sum_of_powers(notes, audio[2:], mel, len(true))
        found = [log_mel_measures(true, made) for made in (jittered, summed)]
        rows.append([v for one in found for v in (one.centred_correlation, one.error_db)])
        print(f"{clip.instrument:28}" + "".join(f"{value:9.3f}" for value in rows[-1]), flush=True)
    print(f"{'mean':28}" + "".join(f"{value:9.3f}" for value in np.mean(rows, axis=0)))
    print("moved by up to 4 ms: correlation, error in dB; notes summed: the same")


def is_of(clip: Clip, program: int) -> bool:
    return clip.program == program and not clip.bank and clip.kind == SCORE


def score_of(notes: Sequence[Note]) -> Score:
    return Score((Track("", 0, 0, tuple(notes)),))


def shifted(note: Note, seconds: float) -> Note:
    start_s = max(note.start_s + seconds, 0.0)
    return note._replace(start_s=start_s, end_s=start_s + note.end_s - note.start_s)


def sum_of_powers(
    notes: Sequence[Note], audio: Sequence[np.ndarray], mel: MelConfig, n_frames: int
) -> np.ndarray:
    """The log-mel of notes, each at its time, of which each is heard alone in `audio`."""
    power = np.full((n_frames, mel.n_mels), mel.floor**2)
    for note, one in zip(notes, audio, strict=True):
        ahead = round((note.start_s - BEFORE_S) * mel.sample_rate)
        placed = np.concatenate([np.zeros(max(ahead, 0), np.float32), one[max(-ahead, 0) :]])
        found = np.exp(2.0 * mel_spectrogram(placed, mel))[:n_frames]
        power[: len(found)] += found - mel.floor**2
    return (0.5 * np.log(np.maximum(power, mel.floor**2))).astype(np.float32)


if __name__ == "__main__":
    main()

"""The shipped models of notes, on notes that FluidSynth plays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from timbrel.bundles.bundle import load_bundle
from timbrel.corpus.notes import render_notes
from timbrel.notes.baseline import BaselineConfig, SpectralBaseline
from timbrel.notes.classifier import ClassifierConfig, NoteClassifier
from timbrel.notes.codec import NoteCodec
from timbrel.notes.export import load_spectral
from timbrel.notes.measures import spectral_centroid_hz, tracked_pitch
from timbrel.notes.morphing import mix
from timbrel.notes.spectrum import log_spectrum, peak_magnitude, spectrum_to_audio

ORGAN, TRUMPET = 19, 56
PITCHES = (48, 57, 64, 72)
SHIPPED = ("notes", "notes-baseline", "notes-classifier")


@pytest.fixture(scope="module")
def organ_and_trumpet(soundfont: Path) -> list[list[np.ndarray]]:
    """The notes of two instruments, as loud as those of the training data."""
    sounds = [
        render_notes(soundfont, program, [(pitch, 100) for pitch in PITCHES])
        for program in (ORGAN, TRUMPET)
    ]
    return [[note * (0.7 / np.abs(note).max()) for note in notes] for notes in sounds]


@pytest.mark.parametrize("name", SHIPPED)
def test_bundles_are_small(name: str) -> None:
    assert sum(path.stat().st_size for path in load_bundle(name).path.iterdir()) <= 5_000_000


def test_the_classifier_hears_the_pitch(organ_and_trumpet: list[list[np.ndarray]]) -> None:
    model, _ = load_spectral("notes-classifier", NoteClassifier, ClassifierConfig)
    for notes in organ_and_trumpet:
        with torch.no_grad():
            pitches, _ = model(torch.from_numpy(np.stack([log_spectrum(note) for note in notes])))
        right = (pitches.argmax(1).numpy() == PITCHES).sum()
        assert right >= len(PITCHES) - 1


def test_the_baseline_keeps_the_spectrum(organ_and_trumpet: list[list[np.ndarray]]) -> None:
    model, _ = load_spectral("notes-baseline", SpectralBaseline, BaselineConfig)
    for notes in organ_and_trumpet:
        spectra = torch.from_numpy(np.stack([log_spectrum(note) for note in notes]))
        with torch.no_grad():
            made = model(spectra, torch.tensor(PITCHES))
        for true, predicted in zip(spectra.numpy(), made.numpy(), strict=True):
            assert np.corrcoef(true.ravel(), predicted.ravel())[0, 1] > 0.7


def test_the_baseline_keeps_the_pitch(organ_and_trumpet: list[list[np.ndarray]]) -> None:
    """As the classifier hears it in the sounds."""
    baseline, _ = load_spectral("notes-baseline", SpectralBaseline, BaselineConfig)
    judge, _ = load_spectral("notes-classifier", NoteClassifier, ClassifierConfig)
    for notes in organ_and_trumpet:
        spectra = torch.from_numpy(np.stack([log_spectrum(note) for note in notes]))
        with torch.no_grad():
            made = baseline(spectra, torch.tensor(PITCHES)).numpy()
        sounds = [
            spectrum_to_audio(one, peak=peak_magnitude(note), n_samples=len(note), iterations=4)
            for one, note in zip(made, notes, strict=True)
        ]
        with torch.no_grad():
            heard, _ = judge(torch.from_numpy(np.stack([log_spectrum(s) for s in sounds])))
        assert (heard.argmax(1).numpy() == PITCHES).sum() >= len(PITCHES) - 1


def test_codes_become_the_note_again(organ_and_trumpet: list[list[np.ndarray]]) -> None:
    codec = NoteCodec.load("notes")
    notes = [note[:32_000] for notes in organ_and_trumpet for note in notes]
    codes = [codec.encode(note) for note in notes]
    assert codec.encode(organ_and_trumpet[0][0]).shape == (125, 16)
    made = codec.decode(codes, seed=0)
    away = np.array([tracked_pitch(b) - tracked_pitch(a) for a, b in zip(notes, made, strict=True)])
    # Octaves are forgiven: the preset errs by one now and then, and an organ sounds in several.
    assert (np.abs((away + 6) % 12 - 6) < 0.5).sum() >= 6
    for note, sound in zip(notes, made, strict=True):
        level_db = 10 * np.log10(np.square(sound).mean() / np.square(note).mean())
        assert abs(level_db) < 6


def test_half_way_lies_between(organ_and_trumpet: list[list[np.ndarray]]) -> None:
    codec = NoteCodec.load("notes")
    organ, trumpet = (codec.encode(notes[1][:32_000]) for notes in organ_and_trumpet)
    ends_and_middle = [organ, mix([organ, trumpet], [0.5, 0.5]), trumpet]
    sounds = codec.decode(ends_and_middle, seed=0)
    first, middle, last = (spectral_centroid_hz(sound) for sound in sounds)
    assert min(first, last) <= middle <= max(first, last)

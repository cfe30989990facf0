"""The network of single notes, and its ONNX export."""

import numpy as np
import onnxruntime
import pytest
import torch

from timbrel.mel.film import NOTE_FILMS
from timbrel.mel.note_export import levels_part, notes_part
from timbrel.mel.note_generator import FILM_INPUT
from timbrel.mel.note_network import NoteNetwork, NoteNetworkConfig
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.score import Note
from timbrel.score.sounding import sounding_notes

FLOOR = 1e-5
SIZES = NoteNetworkConfig(3, 8, timbre_units=6, note_units=10, n_spectra=4, time_units=5)


@pytest.fixture
def network() -> NoteNetwork:
    torch.manual_seed(0)
    return NoteNetwork(SIZES).half().float()


def notes_of(*notes: Note) -> PerformanceRoll:
    return PerformanceRoll(notes, 125.0)


def mel_of(network: NoteNetwork, roll: PerformanceRoll, start: int, stop: int) -> np.ndarray:
    timbre = torch.full((1, 3), 0.3)
    told = [sounding_notes(roll, start, stop)]
    assert len(told[0].notes)
    return network.mel(told, timbre, stop - start, FLOOR)[0].detach().numpy()


def test_the_power_of_notes_is_the_sum_of_their_powers(network: NoteNetwork) -> None:
    first, second = Note(60, 80, 0.1, 0.5), Note(67, 100, 0.3, 0.9)
    alone = [np.exp(2 * mel_of(network, notes_of(one), 0, 100)) for one in (first, second)]
    both = np.exp(2 * mel_of(network, notes_of(first, second), 0, 100))
    np.testing.assert_allclose(both, alone[0] + alone[1] - FLOOR**2, rtol=1e-4)


def test_a_stretch_of_frames_is_a_part_of_the_whole(network: NoteNetwork) -> None:
    roll = notes_of(Note(60, 80, 0.1, 0.5), Note(67, 100, 0.3, 0.9))
    whole = mel_of(network, roll, 0, 100)
    np.testing.assert_allclose(mel_of(network, roll, 40, 70), whole[40:70], atol=1e-5)


def test_the_graphs_compute_what_the_network_does(network: NoteNetwork) -> None:
    roll = notes_of(Note(60, 80, 0.1, 0.5), Note(67, 100, 0.3, 0.9))
    told = sounding_notes(roll, 0, 96)
    notes, levels = (
        onnxruntime.InferenceSession(graph.SerializeToString())
        for graph in (notes_part(network, network), levels_part(network, network, FLOOR))
    )
    given = {"notes": told.notes, "timbre": np.full((len(told.notes), 3), 0.3, np.float32)}
    nothing = np.zeros((1, 2 * SIZES.note_units * NOTE_FILMS), np.float32)
    spectra, gains = notes.run(["spectra", "gains"], {**given, FILM_INPUT: nothing})
    (mel,) = levels.run(
        ["mel"],
        {
            "spectra": spectra,
            "gains": gains,
            "of_note": told.of_note.astype(np.float32),
            "places": np.eye(12, dtype=np.float32)[:, told.stretches],
            "times_s": told.times_s,
        },
    )
    np.testing.assert_allclose(mel.reshape(96, 8), mel_of(network, roll, 0, 96), atol=2e-4)


def test_stretches_are_computed_together_as_alone(network: NoteNetwork) -> None:
    rolls = notes_of(Note(60, 80, 0.1, 0.5)), notes_of(Note(67, 100, 0.3, 0.9))
    timbre = torch.full((2, 3), 0.3)
    both = network.mel([sounding_notes(roll, 0, 100) for roll in rolls], timbre, 100, FLOOR)
    for roll, mel in zip(rolls, both.detach().numpy(), strict=True):
        np.testing.assert_allclose(mel, mel_of(network, roll, 0, 100), atol=1e-5)

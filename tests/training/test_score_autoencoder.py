"""The autoencoder of scores: what the cycle says of levels, and that notes are learnt from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from support.sine_synthesizer import MEL, sine, sine_synthesizer
from support.small_transcriber import SMALL_SIZES
from timbrel.constants import PIANO
from timbrel.measures.notes_heard import note_scores
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.training.score_autoencoder import Heard, ScoreAutoencoder, cycle_loss
from timbrel.training.tasks.transcriber import new_transcriber
from timbrel.transcription.decoding import NoteDecoder, Thresholds, probabilities
from timbrel.transcription.heard import note_rows
from timbrel.transcription.relaxed_roll import RollLayout
from timbrel.transcription.sizes import TranscriberConfig
from timbrel.transcription.torch_front_end import TorchFrontEnd

N_FRAMES, RATE = 125, 16_000
KEYS = (48, 57, 64, 76)


def loss_of(made: torch.Tensor, true: torch.Tensor, level_range: float = 2.0) -> float:
    found = cycle_loss(
        made, true, loss="tanh-log-abs", floor=MEL.log_floor, level_range=level_range
    )
    return float(found)


def test_the_level_of_a_recording_does_not_matter_within_limits() -> None:
    made = torch.randn(2, 40, 8, generator=torch.manual_seed(1))
    other = made + torch.tensor([1.5, -1.5])[:, None, None]
    assert loss_of(made, other) == pytest.approx(0, abs=1e-9)
    assert loss_of(made, other, level_range=1.0) > 1e-4
    # Hearing nothing is never right.
    assert loss_of(torch.full_like(made, MEL.log_floor), made) > 0.2


def tunes() -> tuple[np.ndarray, list[np.ndarray]]:
    """Sines of half of a second one after the other: audio (batch, samples), and their notes."""
    random, audio, notes = np.random.default_rng(5), [], []
    for _ in range(4):
        pitches = random.permutation(KEYS)
        audio.append(np.concatenate([sine(pitch, 0.5) for pitch in pitches]))
        starts = 0.5 * np.arange(len(pitches))
        notes.append(np.column_stack([starts, starts + 0.5, pitches]))
    return np.stack(audio), notes


def test_notes_are_learnt_from_the_cycle_alone() -> None:
    """No labels: what must be found out is which keys, played as sines, sound like the tunes."""
    torch.manual_seed(3)
    config = TranscriberConfig(**SMALL_SIZES)
    transcriber, layout = new_transcriber(config), RollLayout(PIANO, MEL.frame_rate, 62.5)
    model = ScoreAutoencoder(
        transcriber, sine_synthesizer(), layout, Thresholds(), train_synthesizer=False
    )
    audio, notes = tunes()
    margin, ahead = max(config.windows) // 2, config.frames_ahead
    padded = np.pad(audio, ((0, 0), (margin, margin + ahead * config.hop_length)))
    with torch.no_grad():
        spectra = TorchFrontEnd(config)(torch.from_numpy(padded.astype(np.float32)))
    spectra = spectra[:, :, : N_FRAMES + ahead]
    true = torch.from_numpy(np.stack([mel_spectrogram(one, MEL) for one in audio]))
    heard = Heard(spectra, torch.zeros(len(audio), 1))

    def scores() -> float:
        with torch.no_grad():
            values = transcriber(spectra)[0][:, ahead:].numpy()
        found = []
        for one, reference in zip(values, notes, strict=True):
            decoder = NoteDecoder(config.frame_rate, Thresholds())
            rows = note_rows([*decoder.push(probabilities(one)), *decoder.finish()])
            found.append(note_scores(reference, rows[:, :3], 2.0).pitch)
        return float(np.mean(found))

    assert scores() < 0.1
    adam = torch.optim.Adam(transcriber.parameters(), lr=0.01)
    losses = []
    for _ in range(120):
        made = model.again(heard)
        n = min(made.shape[1], true.shape[1])
        loss = cycle_loss(
            made[:, :n], true[:, :n], loss="log-abs", floor=MEL.log_floor, level_range=1.0
        )
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    print(losses[::10], scores())
    assert losses[-1] < 0.5 * losses[0]
    assert scores() > 0.6

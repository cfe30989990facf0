"""The autoencoder of scores: what the cycle says of levels, and that notes are learnt from it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from support.sine_synthesizer import MEL, sine, sine_synthesizer
from timbrel.constants import LOWEST_PITCH, N_PITCHES, PIANO
from timbrel.measures.notes_heard import note_scores
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.training.score_autoencoder import Heard, ScoreAutoencoder, cycle_loss
from timbrel.training.tasks.transcriber import new_transcriber
from timbrel.transcription.decoding import NoteDecoder, Thresholds, probabilities
from timbrel.transcription.heard import note_rows
from timbrel.transcription.relaxed_roll import RollLayout
from timbrel.transcription.sizes import FRAME, OFFSET, ONSET, VELOCITY, TranscriberConfig
from timbrel.transcription.torch_front_end import TorchFrontEnd

KEYS = (76, 81, 86, 91)  # whose sines lie in mel bands of their own
NOTE_FRAMES = 13  # of a transcriber
SOFT = 0.15  # of the level of the loud notes
SIZES = TranscriberConfig(
    windows=(2048,),
    harmonics=(1.0,),
    stem_size=8,
    hidden_size=12,
    head_size=8,
    kernel_frames=5,
    kernel_keys=3,
    dilations=(1,),
    ahead=(3,),
)
N_FRAMES = len(KEYS) * NOTE_FRAMES


def loss_of(made: Tensor, true: Tensor, level_range: float = 2.0) -> Tensor:
    return cycle_loss(made, true, loss="tanh-log-abs", floor=MEL.log_floor, level_range=level_range)


def test_the_level_of_a_recording_does_not_matter_within_limits() -> None:
    made = torch.randn(2, 40, 8, generator=torch.manual_seed(1))
    other = made + torch.tensor([1.5, -1.5])[:, None, None]
    assert float(loss_of(made, other)) == pytest.approx(0, abs=1e-9)
    assert float(loss_of(made, other, level_range=1.0)) > 1e-4
    # Hearing nothing is never right.
    assert float(loss_of(torch.full_like(made, MEL.log_floor), made)) > 0.2


class Tunes:
    """Sines of the keys one after the other, every other one soft, and what is true of them."""

    def __init__(self, number: int = 2) -> None:
        random = np.random.default_rng(5)
        seconds, frames = NOTE_FRAMES / SIZES.frame_rate, NOTE_FRAMES * np.arange(len(KEYS))
        audio, self.notes = [], []
        # Onsets, sounding keys and releases of the loud notes alone: (tunes, frames, 88, 4).
        self.loud = np.zeros((number, N_FRAMES, N_PITCHES, 4), np.float32)
        for tune in range(number):
            pitches = random.permutation(KEYS)
            is_loud = (np.arange(len(KEYS)) + tune) % 2 == 0
            parts = [
                (1 if loud else SOFT) * sine(pitch, seconds)
                for pitch, loud in zip(pitches, is_loud, strict=True)
            ]
            audio.append(np.concatenate(parts))
            starts = frames / SIZES.frame_rate
            self.notes.append(np.column_stack([starts, starts + seconds, pitches]))
            for first, pitch in zip(frames[is_loud], pitches[is_loud], strict=True):
                column = self.loud[tune, :, pitch - LOWEST_PITCH]
                column[first : first + NOTE_FRAMES, FRAME] = 1
                column[first, [ONSET, VELOCITY]] = 1
                column[min(first + NOTE_FRAMES, N_FRAMES - 1), OFFSET] = 1
        self.mel = torch.from_numpy(np.stack([mel_spectrogram(a, MEL) for a in audio]))
        self.mel = self.mel[:, : 2 * N_FRAMES]
        margin, ahead = max(SIZES.windows) // 2, SIZES.frames_ahead * SIZES.hop_length
        padded = np.pad(np.stack(audio), ((0, 0), (margin, margin + ahead)))
        with torch.no_grad():
            spectra = TorchFrontEnd(SIZES)(torch.from_numpy(padded.astype(np.float32)))
        self.heard = Heard(spectra[:, :, : N_FRAMES + SIZES.frames_ahead], torch.zeros(number, 1))


def heard_values(model: ScoreAutoencoder, tunes: Tunes) -> Tensor:
    return model.transcriber(tunes.heard.spectra)[0][:, SIZES.frames_ahead :]


def f1(model: ScoreAutoencoder, tunes: Tunes) -> float:
    """Of onsets and pitches, the mean over the tunes."""
    with torch.no_grad():
        values = heard_values(model, tunes).numpy()
    found = []
    for one, reference in zip(values, tunes.notes, strict=True):
        decoder = NoteDecoder(SIZES.frame_rate, Thresholds())
        rows = note_rows([*decoder.push(probabilities(one)), *decoder.finish()])
        found.append(note_scores(reference, rows[:, :3], N_FRAMES / SIZES.frame_rate).pitch)
    return float(np.mean(found))


def descend(
    optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor], steps: int
) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        found = loss()
        found.backward()
        optimizer.step()
        losses.append(float(found.detach()))
    return losses


@pytest.mark.usefixtures("one_thread")
def test_notes_that_no_label_knows_are_learnt_from_the_cycle() -> None:
    """Its labels say that soft sines are none; that they are is heard in the cycle alone."""
    torch.manual_seed(3)
    layout, tunes = RollLayout(PIANO, MEL.frame_rate, SIZES.frame_rate), Tunes()
    model = ScoreAutoencoder(
        new_transcriber(SIZES),
        sine_synthesizer(),
        layout,
        Thresholds(),
        decided=False,
        train_synthesizer=False,
    )
    true = torch.from_numpy(tunes.loud)

    def labelled() -> Tensor:
        values = heard_values(model, tunes)
        entropy = functional.binary_cross_entropy_with_logits(
            values[..., : OFFSET + 1], true[..., : OFFSET + 1], reduction="sum"
        )
        velocity = true[..., ONSET] * (values[..., VELOCITY] - true[..., VELOCITY]).square()
        return (entropy + velocity.sum()) / (len(true) * N_FRAMES)

    weights = list(model.transcriber.parameters())
    descend(torch.optim.Adam(weights, lr=0.01), labelled, PRE_STEPS)
    before = f1(model, tunes)
    plain = torch.optim.SGD(weights, lr=RATE)
    losses = descend(plain, lambda: loss_of(model.again(tunes.heard), tunes.mel), STEPS)
    print(before, losses[::10], losses[-1], f1(model, tunes))
    assert losses[-1] < 0.7 * losses[0]
    assert f1(model, tunes) > before + 0.1


PRE_STEPS, STEPS, RATE = 150, 100, 0.002

"""The parallel vocoder's reference network."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
import torch

from conftest import FRAME_RATE
from timbrel.errors import InputError
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Note
from timbrel.vocoder.excitation import Excitation, NoteFrames, stack_notes
from timbrel.vocoder.parallel import (
    ParallelVocoder,
    ParallelVocoderConfig,
    pulses,
    tensors,
)

SMALL = {"width": 16, "n_blocks": 2, "lookahead": 5}


def roll_of(notes: Iterable[Note], *, n_frames: int | None = None) -> PianoRoll:
    """A roll at the default models' frame rate."""
    return PianoRoll(notes, FRAME_RATE, n_frames=n_frames)


def model(**options: object) -> ParallelVocoder:
    torch.manual_seed(0)
    return ParallelVocoder(ParallelVocoderConfig(**SMALL | options)).eval()


def playing(roll: PianoRoll, frames: int, **options: float) -> NoteFrames[np.ndarray]:
    notes = Excitation(roll, sample_rate=16_000, hop_length=128, onset_grid_s=0.002, **options)
    return notes.frames(0, frames)


def inputs(conditioning: str, batch: int, frames: int) -> list[torch.Tensor]:
    torch.manual_seed(1)
    given = [torch.randn(batch, frames, 80), torch.rand(batch, frames, 257)]
    if conditioning == "roll":
        given.append(torch.rand(batch, frames, 176))
    if conditioning == "excitation":
        roll = roll_of([Note(60, 90, 0.0, 1.0), Note(67, 90, 0.1, 0.3), Note(72, 90, 0.2, 9.0)])
        given.append(tensors(stack_notes(batch * [playing(roll, frames)])))
    return given


def test_keys_tell_which_notes_ring_and_how_far_they_have_faded() -> None:
    roll = roll_of([Note(21, 127, 0.0, 9.0), Note(60, 64, 0.08, 9.0), Note(108, 64, 0.16, 9.0)])
    for tuning_cents in (0.0, 40.0, -40.0):
        notes = playing(roll, 30, tuning_cents=tuning_cents)
        keys = model().keys(tensors(stack_notes([notes])))
        keys = keys.view(30, 3, 88)
        assert (keys[5] > 0).nonzero()[:, 1].tolist() == 3 * [0]
        assert (keys[25, 0] > 0).nonzero()[:, 0].tolist() == [0, 60 - 21, 87]
        # A frame ahead of the mel, which is 0.04 s after the first key is struck.
        age_s = 5 / 125
        expected = np.log1p(1000 * np.exp(-age_s / np.array([np.inf, 1.5, 0.25])))
        np.testing.assert_allclose(keys[4, :, 0], expected, rtol=1e-4)


def test_latency_is_at_most_sixteen_frames() -> None:
    assert ParallelVocoderConfig().lookahead == 11
    assert ParallelVocoderConfig().latency_frames == 13


@pytest.mark.parametrize(
    ("lookahead", "expected"),
    [
        (11, (3, 1, 1, 1, 1, 1, 1, 1, 1)),
        (4, (3, 1) + 7 * (0,)),
        (0, 9 * (0,)),
        (2, (2,) + 8 * (0,)),
    ],
)
def test_lookahead_is_shared_by_the_convolutions(lookahead: int, expected: tuple) -> None:
    config = ParallelVocoderConfig(lookahead=lookahead)
    assert config.lookaheads == expected
    assert config.past_frames + lookahead == 9 * 6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"conditioning": "words"}, "conditioning 'words' is unknown; known: mel, roll, excit"),
        ({"n_fft": 1000}, "n_fft 1000 is not an even multiple of the hop, 128"),
        ({"lookahead": 80}, "3 convolutions of 7 frames cannot look 80 frames ahead"),
        ({"lookahead": -1}, "cannot look -1 frames ahead"),
    ],
)
def test_impossible_sizes_are_refused(options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ParallelVocoderConfig(**SMALL | options)


@pytest.mark.parametrize("conditioning", ["mel", "roll", "excitation"])
def test_one_hop_of_audio_for_each_frame(conditioning: str) -> None:
    network = model(conditioning=conditioning)
    with torch.no_grad():
        audio = network(*inputs(conditioning, 2, 50))
    assert audio.shape == (2, 50 * 128)
    assert torch.isfinite(audio).all()


def test_the_score_must_be_given_where_it_is_wanted() -> None:
    with pytest.raises(InputError, match="needs the score beside the mel"):
        model()(*inputs("mel", 1, 8))


def test_whitened_pulses_are_as_loud_in_every_band_whoever_plays_however_loudly() -> None:
    network = model()
    for pitches, velocity in (((45,), 127), ((45,), 5), ((40, 52, 57, 61, 64), 60)):
        roll = roll_of([Note(pitch, velocity, 0.0, 9.0) for pitch in pitches])
        trains = pulses(tensors(stack_notes([playing(roll, 60)])), hop_length=128)
        white = network.whitened(network.spectrum(trains))[0, :, 10:50]  # inside the crop
        power = white.abs().square().mean(1)  # (envelopes, bins)
        bands = power[:, 4:244].unflatten(-1, (-1, 24)).mean(-1)  # of 750 Hz
        torch.testing.assert_close(bands, torch.ones_like(bands), atol=0.25, rtol=0)


def test_spectrum_and_audio_are_inverse() -> None:
    network = model()
    audio = torch.randn(1, 60 * 128)
    back = network.audio(network.spectrum(audio))
    torch.testing.assert_close(back[:, 1024:-1024], audio[:, 1024:-1024], atol=1e-5, rtol=0)


@pytest.mark.parametrize("lookahead", [2, 5])
def test_nothing_beyond_the_lookahead_matters(lookahead: int) -> None:
    network = model(lookahead=lookahead)
    mel, noise, excitation = inputs("excitation", 1, 60)
    changed = mel.clone()
    changed[:, 40:] += 1.0
    with torch.no_grad():
        difference = network(changed, noise, excitation) - network(mel, noise, excitation)
    difference = difference[0].abs()
    # The first spectrum that knows of frame 40, less the reach of its window.
    untouched = (40 - lookahead) * 128 - network.config.n_fft // 2
    assert not difference[:untouched].any()
    assert difference[untouched : untouched + 256].max() > 0
    assert difference[40 * 128 :].max() > 1e-5


def test_what_lies_further_behind_than_said_does_not_matter() -> None:
    network = model()
    mel, noise, excitation = inputs("excitation", 1, 60)
    changed = mel.clone()
    changed[:, :10] += 1.0
    with torch.no_grad():
        difference = network(changed, noise, excitation) - network(mel, noise, excitation)
    reach = (9 + network.config.past_frames) * 128 + network.config.n_fft // 2
    assert difference[0, reach:].abs().max() < 1e-7
    assert difference[0, :reach].abs().max() > 1e-5


def test_noise_is_random_but_only_where_it_is_wanted() -> None:
    network = model(conditioning="mel")
    mel, noise = inputs("mel", 1, 50)
    other = torch.rand_like(noise)
    with torch.no_grad():
        changed = (network(mel, noise) - network(mel, other)).abs().max()
        assert changed > 1e-6
        network.head.bias[: network.config.n_bins] = -100.0
        network.head.weight[: network.config.n_bins] = 0.0
        assert torch.equal(network(mel, noise), network(mel, other))


def test_gradients_reach_every_weight() -> None:
    network = model()
    network(*inputs("excitation", 1, 20)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name

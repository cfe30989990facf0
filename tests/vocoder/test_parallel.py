"""The parallel vocoder's reference network."""

from __future__ import annotations

import pytest
import torch

from timbrel.errors import InputError
from timbrel.vocoder.parallel import ParallelVocoder, ParallelVocoderConfig

SMALL = {"width": 16, "n_blocks": 2}


def model(**options: object) -> ParallelVocoder:
    torch.manual_seed(0)
    return ParallelVocoder(ParallelVocoderConfig(**SMALL | options)).eval()


def test_latency_is_below_sixteen_frames() -> None:
    assert ParallelVocoderConfig().lookahead == 11
    assert ParallelVocoderConfig().latency_frames == 13


def test_unknown_conditioning_is_refused() -> None:
    with pytest.raises(InputError, match="conditioning 'roll' is unknown"):
        ParallelVocoderConfig(conditioning="roll")


@pytest.mark.parametrize("conditioning", ["mel", "excitation"])
def test_one_hop_of_audio_for_each_frame(conditioning: str) -> None:
    network = model(conditioning=conditioning)
    excitation = torch.randn(2, 50 * 128) if conditioning == "excitation" else None
    with torch.no_grad():
        audio = network(torch.randn(2, 50, 80), excitation)
    assert audio.shape == (2, 50 * 128)
    assert torch.isfinite(audio).all()


def test_the_score_must_be_given_where_it_is_wanted() -> None:
    with pytest.raises(InputError, match="needs the score's excitation"):
        model()(torch.randn(1, 8, 80))


def test_spectrum_and_audio_are_inverse() -> None:
    network = model()
    audio = torch.randn(1, 60 * 128)
    back = network.audio(network.spectrum(audio))
    torch.testing.assert_close(back[:, 512:-512], audio[:, 512:-512], atol=1e-5, rtol=0)


def test_nothing_beyond_the_lookahead_matters() -> None:
    network = model()
    mel, excitation = torch.randn(1, 60, 80), torch.randn(1, 60 * 128)
    changed = mel.clone()
    changed[:, 40:] += 1.0
    with torch.no_grad():
        difference = (network(changed, excitation) - network(mel, excitation))[0].abs()
    # The last spectrum that knows nothing of frame 40, less the reach of its window's overlap.
    untouched = (40 - network.config.lookahead) * 128 - network.config.n_fft // 2
    assert difference[:untouched].max() < 1e-5
    assert difference[40 * 128 :].max() > 1e-3


def test_gradients_reach_every_weight() -> None:
    network = model()
    network(torch.randn(1, 20, 80), torch.randn(1, 20 * 128)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name

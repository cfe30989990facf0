"""The encoder's runtime says what the reference says, of sounds of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from support.small_encoder import small_encoder_bundle
from timbrel.bundles.bundle import Bundle
from timbrel.errors import InputError
from timbrel.hearing.encoder import Encoded, load_encoder, negative_log_likelihood
from timbrel.hearing.sizes import EncoderConfig, embeddings_of, normalisation
from timbrel.hearing.stream import EncoderStream
from timbrel.mel.spectrogram import mel_spectrogram

RATE = 16_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_encoder_bundle(tmp_path_factory.mktemp("models") / "small")


def sound(seconds: float) -> np.ndarray:
    times_s = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(2).standard_normal(len(times_s))
    return (0.2 * np.sin(2000 * times_s**1.5) + 0.01 * noise).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.05, 0.4, 1.0])
def test_the_graph_equals_the_reference(bundle: Bundle, seconds: float) -> None:
    audio = sound(seconds)
    heard = EncoderStream(bundle).hear([audio])
    assert len(heard) == 1
    mel = torch.from_numpy(mel_spectrogram(audio, bundle.mel))[None]
    with torch.no_grad():
        reference = load_encoder(bundle)(mel)
    centre, deviation = normalisation(embeddings_of(bundle.instruments))
    np.testing.assert_allclose(heard.means, reference.mean.numpy() * deviation + centre, atol=2e-5)
    factor = reference.factor.numpy() * deviation[:, None]
    np.testing.assert_allclose(
        heard.covariances, factor @ factor.transpose(0, 2, 1), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(heard.logs, reference.logits.log_softmax(dim=1).numpy(), atol=1e-4)
    assert heard.ends_s[0] == pytest.approx(seconds, abs=0.01)


def test_windows_cover_all_and_blocks_change_nothing(bundle: Bundle) -> None:
    audio, stream = sound(4.3), EncoderStream(bundle)
    whole = stream.hear([audio])
    np.testing.assert_allclose(
        whole.starts_s, [0, 0.496, 0.992, 1.488, 1.984, 2.48, 2.976, 3.296], atol=0.01
    )
    assert whole.ends_s[-1] == pytest.approx(4.296, abs=0.01)
    parts = stream.hear(audio[i : i + 3001] for i in range(0, len(audio), 3001))
    np.testing.assert_allclose(parts.starts_s, whole.starts_s)
    np.testing.assert_allclose(parts.means, whole.means, atol=1e-4)
    np.testing.assert_allclose(parts.logs, whole.logs, atol=1e-3)


def test_the_level_of_a_sound_says_nothing(bundle: Bundle) -> None:
    stream = EncoderStream(bundle)
    loud, soft = (stream.hear([gain * sound(1.0)]) for gain in (1.0, 0.25))
    np.testing.assert_allclose(loud.logs, soft.logs, atol=2e-3)
    assert loud.levels_db[0] - soft.levels_db[0] == pytest.approx(12.04, abs=0.01)


def test_the_likelihood_is_that_of_a_gaussian() -> None:
    factor = torch.tensor([[[2.0, 0.0], [1.0, 0.5]]])
    encoded = Encoded(torch.tensor([[1.0, -1.0]]), factor, torch.zeros(1, 3))
    point = torch.tensor([[0.5, 0.25]])
    gaussian = torch.distributions.MultivariateNormal(encoded.mean, scale_tril=factor)
    found = negative_log_likelihood(encoded, point) + np.log(2 * np.pi)
    torch.testing.assert_close(found, -gaussian.log_prob(point))


def test_sizes_are_checked() -> None:
    with pytest.raises(InputError, match="4 numbers of channels"):
        EncoderConfig(10, 2, 80, channels=(8, 8))


def test_a_calibration_that_is_none_is_refused(tmp_path: Path) -> None:
    bundle = small_encoder_bundle(tmp_path / "odd", calibration={"temperature": -1.0})
    with pytest.raises(InputError, match="is not possible"):
        EncoderStream(bundle)

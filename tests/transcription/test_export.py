"""The bundle of a transcriber: what its graph computes, block by block, is the network's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from support.small_transcriber import SMALL_SIZES, small_transcriber, small_transcriber_bundle
from timbrel.bundles.bundle import Bundle
from timbrel.bundles.weights import with_weights
from timbrel.transcription.decoding import probabilities
from timbrel.transcription.network import Transcriber
from timbrel.transcription.sizes import TranscriberConfig
from timbrel.transcription.stream import ProbabilityStream
from timbrel.transcription.torch_front_end import TorchFrontEnd

AUDIO = (0.1 * np.random.default_rng(3).standard_normal(30_001)).astype(np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_transcriber_bundle(tmp_path_factory.mktemp("models") / "small")


def streamed(bundle: Bundle, size: int) -> np.ndarray:
    stream = ProbabilityStream(bundle)
    parts = [stream.push(AUDIO[i : i + size]) for i in range(0, len(AUDIO), size)]
    return np.concatenate([*parts, stream.finish()])


@torch.no_grad()
def test_the_graph_computes_what_the_network_does(bundle: Bundle) -> None:
    found = streamed(bundle, len(AUDIO))
    config = TranscriberConfig(**SMALL_SIZES)
    margin, ahead = max(config.windows) // 2, config.frames_ahead
    padded = np.pad(AUDIO, (margin, margin + (ahead + 1) * config.hop_length))
    values, _ = small_transcriber()(TorchFrontEnd(config)(torch.from_numpy(padded)[None]))
    expected = probabilities(values[0, ahead:].numpy())[: len(found)]
    # A frame for each hop that has begun.
    assert found.shape == (118, 88, 5)
    np.testing.assert_allclose(found[..., :4], expected[..., :4], atol=1e-4)
    np.testing.assert_allclose(found[..., 4], expected[..., 4], atol=1e-2)  # cents
    assert found[..., 0].std() > 1e-3


@pytest.mark.parametrize("size", [100, 1024, 7000])
def test_blocks_change_nothing(bundle: Bundle, size: int) -> None:
    np.testing.assert_allclose(streamed(bundle, size), streamed(bundle, 30_001), atol=1e-4)


def test_says_of_a_frame_as_soon_as_the_latency_is_over(bundle: Bundle) -> None:
    stream = ProbabilityStream(bundle)
    config = stream.config
    n_needed = round(config.latency_s * config.sample_rate)
    assert len(stream.push(AUDIO[: n_needed - 1])) == 0
    assert len(stream.push(AUDIO[n_needed - 1 : n_needed])) == 1


def test_a_stream_can_be_used_again_and_nothing_gives_nothing(bundle: Bundle) -> None:
    stream = ProbabilityStream(bundle)
    first = np.concatenate([stream.push(AUDIO[:5000]), stream.finish()])
    stream.reset()
    second = np.concatenate([stream.push(AUDIO[:5000]), stream.finish()])
    np.testing.assert_array_equal(first, second)
    stream.reset()
    assert stream.finish().shape == (0, 88, 5)


def test_the_weights_come_back(bundle: Bundle) -> None:
    config = TranscriberConfig(**bundle.model)
    assert config == TranscriberConfig(**SMALL_SIZES)
    model = with_weights(Transcriber(config), bundle)
    for a, b in zip(model.parameters(), small_transcriber().parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    card = (bundle.path / "README.md").read_text()
    assert "release" in card
    assert "Not trained." in card

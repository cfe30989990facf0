"""What rounding costs a trained network, in nats a sample of its teacher-forced likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from support.small_wavenet import MOST_NLL, engine_of, nll_of
from timbrel.engine.mulaw import mu_law_encode
from timbrel.engine.wavenet import PRECISIONS, instruction_sets
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig

N_FRAMES, N_STREAMS, STEPS = 16, 2, 150


@dataclass
class Trained:
    model: WaveNet
    levels: np.ndarray  # (streams, samples)
    mel: np.ndarray
    logits: np.ndarray
    nll: float


def notes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels and conditioning of some decaying tones with a little noise."""
    random = np.random.default_rng(seed)
    config = MelConfig()
    time = np.arange(N_FRAMES * 128) / 16_000
    levels, mels = [], []
    for _ in range(N_STREAMS):
        pitch = 110 * 2 ** random.uniform(0, 3)
        audio = sum(
            np.sin(2 * np.pi * (k * pitch * time + random.uniform())) / k**1.5 for k in range(1, 9)
        )
        audio *= 0.3 * np.exp(-time * random.uniform(1, 8))
        audio += 0.003 * random.standard_normal(len(time))
        mel = normalised(mel_spectrogram(audio.astype(np.float32), config), config)[:N_FRAMES]
        mels.append(np.concatenate([mel[:1], mel, mel[-1:], mel[-1:]]))
        levels.append(mu_law_encode(audio))
    return np.stack(levels).astype(np.int64), np.stack(mels).astype(np.float32)


@pytest.fixture(scope="module")
def trained() -> Trained:
    """A small network that has learnt tones, and tones that it has not heard."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # products so small are slower on several
    config = WaveNetConfig(n_layers=8, n_cycle=4, residual_size=32, skip_size=64)
    model = WaveNet(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for step in range(STEPS):
        levels, mel = (torch.from_numpy(x) for x in notes(seed=1 + step))
        loss = model.output.nll(model(levels, mel), levels).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.set_num_threads(threads)
    levels, mel = notes(seed=0)
    model.eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(levels), torch.from_numpy(mel)).numpy()
    return Trained(model, levels, mel, logits, nll_of(logits, levels))


def test_the_network_has_learnt(trained: Trained) -> None:
    assert trained.nll < 3.5  # nats; log(256) = 5.5 without knowledge
    # It is sure of some samples and not of others, unlike a network with random weights.
    assert trained.logits.std() > 2


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("precision", PRECISIONS)
def test_rounding_costs_little_likelihood(trained: Trained, isa: str, precision: str) -> None:
    session = engine_of(trained.model, precision, isa).session(range(N_STREAMS))
    session.feed(trained.mel)
    found = session.force(trained.levels)
    assert nll_of(found, trained.levels) - trained.nll == pytest.approx(0, abs=MOST_NLL[precision])
    if precision == "float32":
        np.testing.assert_allclose(found, trained.logits, atol=1e-3, rtol=0)

"""What rounding costs a trained network, in nats a sample of its teacher-forced likelihood."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from support.small_wavenet import KERNELS, MOST_NLL, engine_of
from timbrel.engine.mulaw import mu_law_encode
from timbrel.engine.wavenet import instruction_sets, precisions
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.wavenet import Continuous, WaveNet, WaveNetConfig

N_FRAMES, N_STREAMS, STEPS = 16, 2, 150
# Nats a sample of a tone that is known without a network: of levels, and of a density.
UNKNOWING = {"categorical": np.log(256), "gaussian": 0.0}


@dataclass
class Trained:
    model: WaveNet
    samples: np.ndarray  # levels or amplitudes, (streams, samples)
    mel: np.ndarray
    parameters: np.ndarray  # of the distributions
    nll: float

    def nll_of(self, parameters: np.ndarray) -> float:
        """Negative log-likelihood of the samples, in nats each."""
        given, samples = torch.from_numpy(parameters), torch.from_numpy(self.samples)
        return float(self.model.output.nll(given.double(), samples).mean())


def notes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Amplitudes and conditioning of some decaying tones with a little noise."""
    random = np.random.default_rng(seed)
    config = MelConfig()
    time = np.arange(N_FRAMES * 128) / 16_000
    audios, mels = [], []
    for _ in range(N_STREAMS):
        pitch = 110 * 2 ** random.uniform(0, 3)
        audio = sum(
            np.sin(2 * np.pi * (k * pitch * time + random.uniform())) / k**1.5 for k in range(1, 9)
        )
        audio *= 0.3 * np.exp(-time * random.uniform(1, 8))
        audio += 0.003 * random.standard_normal(len(time))
        mel = normalised(mel_spectrogram(audio.astype(np.float32), config), config)[:N_FRAMES]
        mels.append(np.concatenate([mel[:1], mel, mel[-1:], mel[-1:]]))
        audios.append(audio)
    return np.stack(audios).astype(np.float32), np.stack(mels).astype(np.float32)


@pytest.fixture(scope="module", params=list(UNKNOWING))
def trained(request: pytest.FixtureRequest) -> Trained:
    """A small network that has learnt tones, and tones that it has not heard."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # products so small are slower on several
    config = WaveNetConfig(
        n_layers=8, n_cycle=4, residual_size=32, skip_size=64, output=request.param
    )
    model = WaveNet(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for step in range(STEPS):
        audio, mel = notes(seed=1 + step)
        samples = torch.from_numpy(samples_of(model, audio))
        loss = model.output.nll(model(samples, torch.from_numpy(mel)), samples).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    torch.set_num_threads(threads)
    audio, mel = notes(seed=0)
    samples = samples_of(model, audio)
    model.eval()
    with torch.no_grad():
        parameters = model(torch.from_numpy(samples), torch.from_numpy(mel)).numpy()
    found = Trained(model, samples, mel, parameters, np.nan)
    return replace(found, nll=found.nll_of(parameters))


def samples_of(model: WaveNet, audio: np.ndarray) -> np.ndarray:
    return audio if isinstance(model.output, Continuous) else mu_law_encode(audio)


def test_the_network_has_learnt(trained: Trained) -> None:
    assert trained.nll < UNKNOWING[trained.model.config.output] - 1.5
    if isinstance(trained.model.output, Continuous):
        left = trained.samples - trained.parameters[..., 0]
        assert left.std() < 0.5 * trained.samples.std()
    else:  # it is sure of some levels and not of others, unlike a network with random weights
        assert trained.parameters.std() > 2


@pytest.mark.parametrize(("isa", "precision"), KERNELS)
def test_rounding_costs_little_likelihood(trained: Trained, isa: str, precision: str) -> None:
    session = engine_of(trained.model, precision, isa).session(range(N_STREAMS))
    session.feed(trained.mel)
    found = session.force(trained.samples)
    cost = trained.nll_of(found) - trained.nll
    assert cost == pytest.approx(0, abs=MOST_NLL[precision])
    if precision == "float32":
        np.testing.assert_allclose(found, trained.parameters, atol=1e-3, rtol=0)


@pytest.mark.parametrize("trained", ["gaussian"], indirect=True)
@pytest.mark.parametrize("isa", instruction_sets())
def test_the_mean_of_an_amplitude_needs_more_than_eight_bits(trained: Trained, isa: str) -> None:
    """Why a continuous output is computed in single precision unless another is asked for."""
    least_deviation = np.exp(-9)
    errors = {}
    for precision in precisions(isa):
        session = engine_of(trained.model, precision, isa).session(range(N_STREAMS))
        session.feed(trained.mel)
        means = session.force(trained.samples)[..., 0]
        errors[precision] = abs(means - trained.parameters[..., 0]).mean()
    assert errors["float32"] < 0.01 * least_deviation
    assert errors["int16"] < 3 * least_deviation
    assert errors["int8"] > 8 * least_deviation
    if "bfloat16" in errors:
        assert errors["bfloat16"] > 3 * least_deviation

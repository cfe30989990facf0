"""Small WaveNets with random weights, and the engine's view of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from timbrel.engine.wavenet import Engine, instruction_sets, precisions
from timbrel.vocoder.mel_scale import N_AROUND
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig
from timbrel.vocoder.wavenet_stream import engine_config, engine_weights

SMALL: dict[str, Any] = {
    "n_layers": 6,
    "n_cycle": 5,
    "residual_size": 24,
    "skip_size": 40,
    "n_mixtures": 3,
    "n_mels": 12,
    "strides": (4, 8),
}

# What rounding may cost in teacher-forced likelihood, by precision, in nats a sample.
MOST_NLL = {"float32": 1e-4, "int16": 0.002, "int8": 0.01, "bfloat16": 0.005}

# Instruction sets of this processor with each of their precisions.
KERNELS = [(isa, precision) for isa in instruction_sets() for precision in precisions(isa)]


def small_wavenet(**sizes: object) -> WaveNet:
    """A model whose weights are large enough for its predictions to differ."""
    torch.manual_seed(3)
    model = WaveNet(WaveNetConfig(**SMALL | sizes)).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
        for kernel in model.upsampling:
            kernel.copy_(torch.rand_like(kernel) / 2)
    return model


def engine_of(model: WaveNet, precision: str = "float32", isa: str = "") -> Engine:
    sizes = asdict(model.config)
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    return Engine(
        engine_config(sizes), engine_weights(weights, sizes), precision=precision, isa=isa
    )


def mel_of(model: WaveNet, n_frames: int, n_streams: int = 1) -> np.ndarray:
    """Conditioning for `n_frames` frames of samples."""
    shape = (n_streams, n_frames + N_AROUND - 1, model.config.n_mels)
    return np.random.default_rng(4).standard_normal(shape).astype(np.float32)


def samples_of(model: WaveNet, n_frames: int, n_streams: int = 1) -> np.ndarray:
    shape = (n_streams, n_frames * model.config.hop_length)
    random = np.random.default_rng(5)
    if model.config.output == "categorical":
        return random.integers(0, 256, shape)
    return random.uniform(-1, 1, shape).astype(np.float32)


def predicted(model: WaveNet, samples: np.ndarray, mel: np.ndarray) -> np.ndarray:
    """What the reference predicts, teacher-forced."""
    with torch.no_grad():
        return model(torch.from_numpy(samples), torch.from_numpy(mel)).numpy()


def nll_of(logits: np.ndarray, levels: np.ndarray) -> float:
    """Negative log-likelihood of levels (…) by logits (…, 256), in nats a sample."""
    logits = logits.astype(np.float64)
    total = np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)) + logits.max(-1)
    taken = np.take_along_axis(logits, levels[..., None], -1)[..., 0]
    return float((total - taken).mean())

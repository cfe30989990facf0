"""The mel of a stream is that of the whole sound."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.geometry import MelConfig
from timbrel.mel.mel_stream import MelStream
from timbrel.mel.spectrogram import mel_spectrogram

CONFIGS = (MelConfig(), MelConfig(sample_rate=48_000, hop_length=384, n_fft=3072, n_mels=128))


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("n_samples", [0, 100, 1000, 16_001])
@pytest.mark.parametrize("block", [97, 1024, 50_000])
def test_blocks_change_nothing(config: MelConfig, n_samples: int, block: int) -> None:
    audio = np.random.default_rng(1).uniform(-0.5, 0.5, n_samples).astype(np.float32)
    stream = MelStream(config)
    parts = [stream.push(audio[i : i + block]) for i in range(0, n_samples, block)]
    mel = np.concatenate([*parts, stream.finish()])
    whole = mel_spectrogram(audio, config)
    assert mel.shape == whole.shape
    np.testing.assert_allclose(mel, whole, atol=1e-4)

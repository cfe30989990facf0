"""The mel spectrogram, against librosa, PyTorch and what can be computed by hand."""

from __future__ import annotations

import tracemalloc

import librosa
import numpy as np
import pytest
import torch

from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel import spectrogram
from timbrel.mel.spectrogram import mel_filters, mel_spectrogram, stft
from timbrel.mel.torch_spectrogram import TorchMelSpectrogram

GEOMETRIES = [
    MelConfig(),
    MelConfig(sample_rate=48_000, hop_length=384, n_fft=2048, n_mels=128, f_max_hz=16_000.0),
]


def music(n_samples: int, sample_rate: int = 16_000) -> np.ndarray:
    """Notes that are struck and fade, each with harmonics, over a little noise."""
    random = np.random.default_rng(3)
    time = np.arange(n_samples) / sample_rate
    audio = 0.003 * random.standard_normal(n_samples)
    for start_s in np.arange(0, n_samples / sample_rate, 0.4):
        since = time[time >= start_s] - start_s
        pitch_hz = 440 * 2 ** (random.integers(-30, 30) / 12)
        for harmonic in range(1, 8):
            if harmonic * pitch_hz < 0.45 * sample_rate:
                partial = np.sin(2 * np.pi * harmonic * pitch_hz * since)
                audio[-len(since) :] += 0.1 / harmonic * np.exp(-3 * harmonic * since) * partial
    return audio.astype(np.float32)


def librosa_log_mel(audio: np.ndarray, config: MelConfig) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=audio,
        sr=config.sample_rate,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        window="hann",
        center=True,
        pad_mode="constant",
        power=1.0,
        n_mels=config.n_mels,
        fmin=config.f_min_hz,
        fmax=config.f_max_hz,
        htk=True,
        norm=None,
    )
    # librosa adds a frame that is centred on the end of the clip.
    return np.log(np.maximum(mel, config.floor)).T[: len(audio) // config.hop_length]


@pytest.mark.parametrize("config", GEOMETRIES, ids=["16 kHz", "48 kHz"])
def test_equals_librosa(config: MelConfig) -> None:
    audio = music(5 * config.sample_rate + 77, config.sample_rate)
    mel = mel_spectrogram(audio, config)
    assert mel.dtype == np.float32
    np.testing.assert_allclose(mel, librosa_log_mel(audio, config), rtol=0, atol=1e-4)
    assert mel.max() - mel.min() > 5  # it was no comparison of silence


@pytest.mark.parametrize("config", GEOMETRIES, ids=["16 kHz", "48 kHz"])
def test_numpy_equals_torch(config: MelConfig) -> None:
    clips = np.stack([music(20_011, config.sample_rate), np.zeros(20_011, np.float32)])
    with torch.no_grad():
        found = TorchMelSpectrogram(config)(torch.from_numpy(clips)).numpy()
    expected = np.stack([mel_spectrogram(clip, config) for clip in clips])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_torch_gradient_tells_to_be_louder_or_softer() -> None:
    audio = torch.from_numpy(music(4096))[None].requires_grad_()
    TorchMelSpectrogram()(audio).sum().backward()
    gradient = audio.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    # ln S grows by 1 for each neper of every sample, as long as nothing is at the floor.
    grown = float((gradient * audio.detach()).sum())
    assert grown == pytest.approx(32 * 80, rel=1e-3)


@pytest.mark.parametrize(
    ("n_samples", "n_frames"), [(65_536, 512), (65_535, 511), (128, 1), (127, 0), (0, 0)]
)
def test_one_frame_for_each_whole_hop(n_samples: int, n_frames: int) -> None:
    audio = music(70_000)[:n_samples]
    assert mel_spectrogram(audio).shape == (n_frames, 80)
    assert TorchMelSpectrogram()(torch.from_numpy(audio)[None]).shape == (1, n_frames, 80)


@pytest.mark.parametrize("frame", [0, 1, 20, 63])
def test_frame_k_is_centred_on_sample_128_k(frame: int) -> None:
    audio = np.zeros(64 * 128, np.float32)
    audio[frame * 128] = 1.0
    spectrum = np.abs(stft(audio, n_fft=1024, hop_length=128))
    # The window is 1 in its centre, and 0.5 · (1 + cos(2π · 128 j / 1024)) j frames beside it.
    window = 0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(64) - frame) / 8)
    window[np.abs(np.arange(64) - frame) >= 4] = 0
    np.testing.assert_allclose(spectrum[:, 10], window, atol=1e-6)


def test_silence_is_at_the_floor_of_magnitude() -> None:
    mel = mel_spectrogram(np.zeros(1280, np.float32))
    np.testing.assert_allclose(mel, np.log(1e-5), rtol=1e-6)
    assert MelConfig().log_floor == pytest.approx(-11.5129, abs=1e-4)


def test_is_of_magnitudes_not_of_powers() -> None:
    """A sine of amplitude A in the middle of a bin has the magnitude A · 1024 / 4 there."""
    bin_number = 64  # 1,000 Hz
    sine = np.sin(2 * np.pi * bin_number / 1024 * np.arange(16_000)).astype(np.float32)
    loud, soft = mel_spectrogram(0.5 * sine), mel_spectrogram(0.25 * sine)
    filters = mel_filters(MelConfig())
    # The Hann window gives half of it to either neighbour.
    heard = filters[bin_number] + (filters[bin_number - 1] + filters[bin_number + 1]) / 2
    inside = slice(8, -8)  # frames whose windows the sine fills
    for mel, amplitude in ((loud, 0.5), (soft, 0.25)):
        magnitude = np.exp(mel[inside])[:, heard > 0]
        np.testing.assert_allclose(
            magnitude, np.tile(amplitude * 256 * heard[heard > 0], (len(magnitude), 1)), rtol=1e-3
        )
    loudest = loud[60].argmax()
    np.testing.assert_allclose((loud - soft)[inside, loudest], np.log(2), atol=1e-4)


def test_filters_are_triangles_that_add_up_to_one() -> None:
    filters = mel_filters(MelConfig())
    assert filters.shape == (513, 80)
    assert filters.min() == 0
    assert filters.max() <= 1
    # Between the centres of the first and the last filter, neighbours share each bin.
    shared = filters.sum(axis=1)[3:490]
    np.testing.assert_allclose(shared, 1, atol=1e-5)


def test_block_border_leaves_no_trace() -> None:
    border = spectrogram._BLOCK_FRAMES
    audio = np.resize(music(50_000), (border + 60) * 128 + 50)
    mel = mel_spectrogram(audio)
    assert len(mel) == border + 60
    # The same frames in the midst of one block.
    first = border - 100
    part = mel_spectrogram(audio[first * 128 :])
    np.testing.assert_allclose(mel[first + 8 :], part[8:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("block", [1, 7, 64, 311, 312, 313])
def test_blocks_of_any_size_equal_the_whole(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = music(312 * 128 + 127)
    whole = mel_spectrogram(audio)
    monkeypatch.setattr(spectrogram, "_BLOCK_FRAMES", block)
    np.testing.assert_allclose(mel_spectrogram(audio), whole, rtol=0, atol=1e-5)


def test_long_clip_needs_the_memory_of_a_block_beside_the_result() -> None:
    n_samples = 10 * 60 * 16_000
    audio = np.random.default_rng(0).standard_normal(n_samples, np.float32)
    tracemalloc.start()
    mel = mel_spectrogram(audio)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mel.shape == (75_000, 80)
    # All windows at once would be 75,000 · 1,024 · 4 bytes = 307 MB.
    assert peak < 150e6
    np.testing.assert_allclose(mel[-100:-10], mel_spectrogram(audio[-200 * 128 :])[-100:-10], 1e-5)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros((2, 4096), np.float32), "one channel"),
        (np.zeros((4096, 1), np.float32), "one channel"),
        (np.array([0.0] * 300 + [np.nan], np.float32), "not finite"),
        (np.array([0.0] * 300 + [np.inf], np.float32), "not finite"),
    ],
)
def test_what_is_no_clip_is_refused(audio: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mel_spectrogram(audio)

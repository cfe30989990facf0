"""The mel spectrogram of `timbrel.mel.spectrogram` in PyTorch, for losses on audio."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import hann_window, mel_filters


class TorchMelSpectrogram(nn.Module):
    """Audio (batch, samples) → natural-log mel (batch, samples // hop_length, n_mels)."""

    window: Tensor
    filters: Tensor

    def __init__(self, config: MelConfig | None = None) -> None:
        super().__init__()
        self.config = config or MelConfig()
        window = torch.from_numpy(hann_window(self.config.n_fft))
        self.register_buffer("window", window, persistent=False)
        self.register_buffer(
            "filters", torch.from_numpy(mel_filters(self.config)), persistent=False
        )

    def forward(self, audio: Tensor) -> Tensor:
        config = self.config
        n_frames = audio.shape[-1] // config.hop_length
        padded = functional.pad(audio, (config.n_fft // 2, config.n_fft // 2))
        spectrum = torch.stft(
            padded,
            config.n_fft,
            config.hop_length,
            window=self.window,
            center=False,
            return_complex=True,
        )  # (batch, bins, frames)
        magnitude = spectrum[..., :n_frames].abs().transpose(1, 2)
        return (magnitude @ self.filters).clamp(min=config.floor).log()

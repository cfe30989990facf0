"""The front end of `timbrel.transcription.front_end` in PyTorch, for training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from timbrel.transcription.front_end import TINY_POWER, band_filters, scaled_window
from timbrel.transcription.sizes import TranscriberConfig


class TorchFrontEnd(nn.Module):
    """Audio (batch, samples) → spectra (batch, windows, frames, bands).

    Only whole windows are transformed: frame k is centred on sample
    k · hop_length + max(windows) / 2.
    """

    def __init__(self, config: TranscriberConfig) -> None:
        super().__init__()
        self.config = config
        for size in config.windows:
            window = torch.from_numpy(scaled_window(size))
            filters = torch.from_numpy(band_filters(config, size))
            self.register_buffer(f"window_{size}", window, persistent=False)
            self.register_buffer(f"filters_{size}", filters, persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        config, longest = self.config, max(self.config.windows)
        spectra = []
        for size in config.windows:
            margin = (longest - size) // 2
            inner = audio[:, margin : audio.shape[1] - margin]
            window, filters = getattr(self, f"window_{size}"), getattr(self, f"filters_{size}")
            transformed = torch.fft.rfft(inner.unfold(-1, size, config.hop_length) * window)
            power = transformed.real.square() + transformed.imag.square()
            magnitude = (power @ filters + TINY_POWER).sqrt()
            spectra.append(torch.log1p(config.scale * magnitude))
        return torch.stack(spectra, dim=1)

"""Losses on audio for vocoders that generate all samples at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from timbrel.constants import SAMPLE_RATE
from timbrel.geometry import MelConfig
from timbrel.mel.torch_spectrogram import TorchMelSpectrogram

# Window and hop in samples at 16 kHz; at other rates they have the same durations. The longest
# window resolves the semitones of the second octave.
RESOLUTIONS = ((256, 64), (512, 128), (1024, 256), (2048, 512), (4096, 1024), (8192, 2048))
_FLOOR = 1e-4  # magnitude; what is quieter is not worth matching
# Corner of the ear's frequency scale (Glasberg and Moore 1990), whose slope is that of
# log(f + corner).
_ERB_CORNER_HZ = 228.8


class MultiResolutionStftLoss(nn.Module):
    """Spectral convergence and log-magnitude distance at several resolutions.

    Yamamoto, Song and Kim, "Parallel WaveGAN" (2020), section 2.2. The distance is weighted as the
    ear spaces frequencies: else half of it would be what lies above 4 kHz. A share of the
    difference of the complex spectra, weighted alike and relative to the original's sum, teaches
    the phase where it can be known.
    """

    def __init__(self, sample_rate: int = SAMPLE_RATE, *, phase_weight: float = 0.0) -> None:
        super().__init__()
        self.sample_rate, self.phase_weight = sample_rate, phase_weight
        self.resolutions = [
            (n_fft * sample_rate // SAMPLE_RATE, hop * sample_rate // SAMPLE_RATE)
            for n_fft, hop in RESOLUTIONS
        ]

    def forward(self, predicted: Tensor, true: Tensor) -> Tensor:
        """Loss of audio (batch, samples) against the original."""
        total = predicted.new_zeros(())
        for n_fft, hop in self.resolutions:
            spectra = [stft(audio, n_fft, hop) for audio in (predicted, true)]
            a, b = (magnitude(spectrum) for spectrum in spectra)
            convergence = torch.linalg.norm(b - a) / torch.linalg.norm(b).clamp(min=_FLOOR)
            distance = (a.clamp(min=_FLOOR).log() - b.clamp(min=_FLOOR).log()).abs()
            hz = torch.linspace(0, self.sample_rate / 2, distance.shape[1], device=a.device)
            weight = (1 / (_ERB_CORNER_HZ + hz))[:, None]
            weight = weight / weight.mean()
            total = total + convergence + (distance * weight).mean()
            if self.phase_weight:
                apart = (magnitude(spectra[0] - spectra[1]) * weight).mean()
                total = total + self.phase_weight * apart / (b * weight).mean().clamp(min=_FLOOR)
        return total / len(self.resolutions)


class MelLoss(nn.Module):
    """Mean absolute difference of the natural-log mels that Timbrel's models use."""

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.spectrogram = TorchMelSpectrogram(config)
        self._floor = _FLOOR

    def forward(self, predicted: Tensor, true: Tensor) -> Tensor:
        """Loss of audio (batch, samples) against the original."""
        floor = torch.log(predicted.new_tensor(self._floor))
        a, b = (self.spectrogram(audio).maximum(floor) for audio in (predicted, true))
        return (a - b).abs().mean()


def stft(audio: Tensor, n_fft: int, hop: int) -> Tensor:
    """Complex spectra (batch, bins, frames)."""
    window = torch.hann_window(n_fft, device=audio.device)
    return torch.stft(
        audio, n_fft, hop, window=window, center=True, pad_mode="constant", return_complex=True
    )


def magnitude(spectrum: Tensor) -> Tensor:
    """Magnitudes of complex numbers with a gradient also where they vanish."""
    return torch.sqrt(spectrum.real.square() + spectrum.imag.square() + 1e-9)

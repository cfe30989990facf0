"""Losses on audio for vocoders that generate all samples at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from timbrel.constants import SAMPLE_RATE
from timbrel.geometry import MelConfig
from timbrel.mel.torch_spectrogram import TorchMelSpectrogram, stft

# Window and hop in samples at 16 kHz; at other rates they have the same durations. The longest
# window resolves the semitones of the second octave.
RESOLUTIONS = ((256, 64), (512, 128), (1024, 256), (2048, 512), (4096, 1024), (8192, 2048))
_POWER_RESOLUTION = (1024, 256)
# The constant-Q spectrum: from C1, at 16 kHz; window and hop as of librosa.
LOWEST_SEMITONE_HZ, HIGHEST_SEMITONE_HZ = 32.703, 17_000.0
_SEMITONE_WINDOW, _SEMITONE_HOP = 8192, 512
_SEMITONE_FLOOR = 1e-5
_SMALLEST = 1e-12
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

    def forward(
        self, predicted: Tensor, true: Tensor, resolutions: Sequence[tuple[int, int]] | None = None
    ) -> Tensor:
        """Loss of audio (batch, samples) against the original, at some resolutions or at all."""
        chosen = self.resolutions if resolutions is None else resolutions
        total = predicted.new_zeros(())
        for n_fft, hop in chosen:
            window = torch.hann_window(n_fft, device=predicted.device)
            a, b = (stft(audio, window, hop) for audio in (predicted, true))
            hz = torch.linspace(0, self.sample_rate / 2, a.shape[-1], device=a.device)
            weight = 1 / (_ERB_CORNER_HZ + hz)
            weight = weight / weight.mean()
            total = total + _Distance.apply(a, b, weight, self.phase_weight)
        return total / len(chosen)


class _Distance(torch.autograd.Function):
    """How far spectra (batch, frames, bins) are from the original's, with the gradient at once.

    Written by hand, since a vocoder's training would spend half of its time on the gradient that
    PyTorch makes of it.
    """

    @staticmethod
    def forward(
        ctx: Any, predicted: Tensor, true: Tensor, weight: Tensor, phase_weight: float
    ) -> Tensor:
        a, b, apart = (magnitude(x) for x in (predicted, true, predicted - true))
        difference = a - b
        norm = torch.linalg.norm(b).clamp(min=_FLOOR)
        distance = torch.linalg.norm(difference)
        logs = a.clamp(min=_FLOOR).log() - b.clamp(min=_FLOOR).log()
        loss = distance / norm + (logs.abs() * weight).mean()
        # By the magnitude, over the magnitude: its direction is the spectrum's.
        by_magnitude = difference / (distance * norm).clamp(min=_SMALLEST)
        by_magnitude += torch.sign(logs) * (a > _FLOOR) * (weight / a.numel()) / a
        grad = predicted * (by_magnitude / a)
        if phase_weight:
            level = (b * weight).mean().clamp(min=_FLOOR)
            loss = loss + phase_weight * (apart * weight).mean() / level
            grad += (predicted - true) * (weight * (phase_weight / a.numel()) / level / apart)
        ctx.save_for_backward(grad)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.saved_tensors[0] * grad, None, None, None


class MelLoss(nn.Module):
    """Mean absolute difference of the natural-log mels that Timbrel's models use.

    `level_weight` counts how far the level of each band is from the original's, too: the natural
    log of its power, averaged over the clip. Of what is random in detail, distances of magnitudes
    teach the median, which is softer than the mean, and steadier than the original.
    """

    def __init__(self, config: MelConfig, *, level_weight: float = 0.0) -> None:
        super().__init__()
        self.spectrogram = TorchMelSpectrogram(config)
        self._level_weight = level_weight

    def forward(self, predicted: Tensor, true: Tensor) -> Tensor:
        """Loss of audio (batch, samples) against the original."""
        floor = math.log(_FLOOR)
        a, b = (self.spectrogram(audio).clamp(min=floor) for audio in (predicted, true))
        loss = (a - b).abs().mean()
        if self._level_weight:
            # The clips are of one length, by which no mean has to be divided.
            c, d = (torch.logsumexp(2 * mel, dim=1) / 2 for mel in (a, b))
            loss = loss + self._level_weight * (c - d).abs().mean()
        return loss


class SemitoneLoss(nn.Module):
    """Mean absolute difference of natural-log constant-Q spectra, all semitones alike.

    Brown, "Calculation of a constant Q spectral transform" (1991). The other losses count what lies
    below the lowest tones of a chord, and between low tones, for little. Each octave has a window
    of half the length of the one below.
    """

    def __init__(self, sample_rate: int = SAMPLE_RATE) -> None:
        super().__init__()
        longest = _SEMITONE_WINDOW * sample_rate // SAMPLE_RATE
        self._hops: list[int] = []
        octave = 0
        while LOWEST_SEMITONE_HZ * 2 ** (octave + 1) <= min(sample_rate / 2, HIGHEST_SEMITONE_HZ):
            length = longest >> octave
            time = torch.arange(length) / sample_rate
            hz = LOWEST_SEMITONE_HZ * 2 ** (octave + torch.arange(12) / 12)
            window = torch.hann_window(length)
            # About as loud as librosa's transform at 16 kHz has it.
            window = window / window.sum() * math.sqrt(length * SAMPLE_RATE / sample_rate)
            phase = 2 * math.pi * hz[:, None] * time
            waves = torch.cat([torch.cos(phase), torch.sin(phase)]) * window
            self.register_buffer(f"waves{octave}", waves.T.contiguous(), persistent=False)
            self._hops.append(min(_SEMITONE_HOP * sample_rate // SAMPLE_RATE, length // 2))
            octave += 1

    def forward(self, predicted: Tensor, true: Tensor) -> Tensor:
        """Loss of audio (batch, samples) against the original.

        Octaves whose window is longer than the audio are left out.
        """
        distances = []
        for octave, hop in enumerate(self._hops):
            waves = self.get_buffer(f"waves{octave}")
            if predicted.shape[1] < len(waves):
                continue
            logs = []
            for audio in (predicted, true):
                cos, sin = (audio.float().unfold(1, len(waves), hop) @ waves).chunk(2, dim=-1)
                power = cos.square() + sin.square()
                logs.append(0.5 * power.clamp(min=_SEMITONE_FLOOR**2).log())
            distances.append((logs[0] - logs[1]).abs().mean())
        return torch.stack(distances).mean()


class PowerLoss(nn.Module):
    """Distance of power spectra that are averaged over time, relative to the original's.

    Van den Oord et al., "Parallel WaveNet" (2017), section 5.1: how loud each frequency is in all,
    which a sound that is random in detail can still match.
    """

    def __init__(self, sample_rate: int = SAMPLE_RATE) -> None:
        super().__init__()
        n_fft, hop = _POWER_RESOLUTION
        self.n_fft = n_fft * sample_rate // SAMPLE_RATE
        self.hop = hop * sample_rate // SAMPLE_RATE

    def forward(self, predicted: Tensor, true: Tensor) -> Tensor:
        """Loss of audio (batch, samples) against the original."""
        window = torch.hann_window(self.n_fft, device=predicted.device)
        a, b = (
            torch.view_as_real(stft(audio, window, self.hop)).square().sum(-1).mean(1)
            for audio in (predicted, true)
        )  # (batch, bins)
        norm = torch.linalg.norm(b, dim=-1).clamp(min=_FLOOR)
        return (torch.linalg.norm(a - b, dim=-1) / norm).mean()


def magnitude(spectrum: Tensor) -> Tensor:
    """Magnitudes of complex numbers with a gradient also where they vanish."""
    return torch.sqrt(spectrum.real.square() + spectrum.imag.square() + 1e-9)

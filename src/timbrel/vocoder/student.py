"""The parallel student: inverse autoregressive flows, mel spectrogram and noise → audio.

Ping, Peng and Chen, "ClariNet" (2019), after van den Oord et al., "Parallel WaveNet" (2017). Each
flow is a small WaveNet with a Gaussian output that reads the noise before a sample instead of the
sound before it: all samples are computed at once, and yet each one is normally distributed, given
the noise before it, with a mean and a deviation that are known. So its divergence from the
prediction of a WaveNet, the teacher, has a closed form.

What the flows read is noise with the spectrum that the mel tells (`timbrel.vocoder.shaping`), and
they begin as the identity: an untrained student so is noise in the colour of the music. Inside the
network all is relative to the loudness that the mel tells: a silent mel gives silence whatever the
flows have learnt, and quiet passages are as large as loud ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from timbrel.constants import N_MELS
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.vocoder.mel_scale import natural
from timbrel.vocoder.shaping import band_widths, noise_power
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig
from timbrel.vocoder.wavenet_native import NativeWaveNet, is_possible

# A flow changes the logarithm of a deviation by no more than this; a smooth limit always has a
# gradient.
LOG_SCALE_LIMIT = 5.0


@dataclass(frozen=True)
class StudentConfig:
    """Sizes of the network."""

    n_flows: int = 3
    n_layers: int = 10  # of each flow
    n_cycle: int = 10  # layers until the dilation starts again at 1
    residual_size: int = 64
    skip_size: int = 64
    n_mels: int = N_MELS
    strides: tuple[int, ...] = (8, 16)  # of the transposed convolutions, as of `WaveNetConfig`

    def __post_init__(self) -> None:
        object.__setattr__(self, "strides", tuple(self.strides))  # JSON knows lists only
        for name in ("n_flows", "n_layers", "n_cycle", "residual_size", "skip_size"):
            if getattr(self, name) < 1:
                raise InputError(f"'{name}' is {getattr(self, name)}; it must be at least 1")

    @property
    def hop_length(self) -> int:
        return math.prod(self.strides)

    @property
    def flow(self) -> WaveNetConfig:
        """The network of each flow."""
        return WaveNetConfig(
            n_layers=self.n_layers,
            n_cycle=self.n_cycle,
            residual_size=self.residual_size,
            skip_size=self.skip_size,
            output="gaussian",
            n_mels=self.n_mels,
            strides=self.strides,
        )


class Student(nn.Module):
    """The network.

    Parameters
    ----------
    config
        Its sizes.
    mel
        The geometry of the mels that it reads.

    Raises
    ------
    InputError
        If the sizes do not fit the mel.
    """

    powers: Tensor

    def __init__(self, config: StudentConfig, mel: MelConfig) -> None:
        super().__init__()
        if (config.hop_length, config.n_mels) != (mel.hop_length, mel.n_mels):
            raise InputError(
                f"the student's sizes are those of hops of {config.hop_length} samples and "
                f"{config.n_mels} mels; the mel is {mel}"
            )
        self.config, self.mel = config, mel
        self.flows = nn.ModuleList(_flow(config.flow) for _ in range(config.n_flows))
        self.register_buffer("powers", torch.from_numpy(band_powers(mel)), persistent=False)

    def forward(self, shaped: Tensor, log_deviation: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Audio, and the logarithm of each sample's deviation, given the noise before it.

        The mean is ``audio - exp(log_deviation) * noise``, where the noise is that which was
        shaped.

        Parameters
        ----------
        shaped, log_deviation
            As `timbrel.vocoder.shaping.shaped` gives them, shape (batch, frames · hop_length).
        mel
            Normalised mel, shape (batch, frames + 3, n_mels): one frame more in front and two
            behind, as a WaveNet's.

        Returns
        -------
        audio, log_deviation
            Each of shape (batch, frames · hop_length).
        """
        return self.through(self.flows, shaped, log_deviation, mel)

    def through(
        self, flows: Iterable[nn.Module], shaped: Tensor, log_deviation: Tensor, mel: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`forward` with the flows computed by other modules."""
        level = self.log_level(mel)
        x = shaped * torch.exp(-level)
        for flow in flows:
            mean, log_scale = flow(x, mel).float().unbind(-1)
            log_scale = limited(log_scale)
            x = x * log_scale.exp() + mean
            log_deviation = log_deviation + log_scale
        return x * level.exp(), log_deviation

    def log_level(self, mel: Tensor) -> Tensor:
        """The logarithm of the loudness (RMS) at each sample: (batch, frames · hop_length).

        It lies on the straight line between those of the frames on either side.
        """
        power = (2 * natural(mel, self.mel)).exp() * self.powers
        level = 0.5 * power.sum(-1).log()  # (batch, frames + 3)
        hop = self.config.hop_length
        share = torch.arange(hop, device=mel.device) / hop
        before, after = level[:, 1:-2, None], level[:, 2:-1, None]
        return (before + share * (after - before)).flatten(1)


class NativeStudent(nn.Module):
    """A student on the CPU whose flows' layers are computed natively; see `NativeWaveNet`."""

    def __init__(self, model: Student) -> None:
        super().__init__()
        self.model = model
        self._flows = [NativeWaveNet(flow) for flow in model.flows if isinstance(flow, WaveNet)]

    def forward(self, shaped: Tensor, log_deviation: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """See `Student.forward`."""
        return self.model.through(self._flows, shaped, log_deviation, mel)


def can_be_native(config: StudentConfig) -> bool:
    """Whether `NativeStudent` is possible for these sizes on this processor."""
    return is_possible(config.flow)


def limited(log_scale: Tensor) -> Tensor:
    """Log scales within the limit."""
    return LOG_SCALE_LIMIT * torch.tanh(log_scale / LOG_SCALE_LIMIT)


def divergence(mean: Tensor, log: Tensor, other_mean: Tensor, other_log: Tensor) -> Tensor:
    """Kullback–Leibler divergence of normal distributions from others, in nats.

    Parameters
    ----------
    mean, log, other_mean, other_log
        Means, and logarithms of deviations, of the same shape.
    """
    apart = (mean - other_mean) * torch.exp(-other_log)
    return other_log - log + 0.5 * (torch.exp(2 * (log - other_log)) + apart.square() - 1)


def band_powers(config: MelConfig) -> np.ndarray:
    """What the square of each band of a mel adds to a sound's mean square: (n_mels,) float32.

    A band holds its bins' magnitudes, weighted; it is taken for noise, whose bins are alike.
    """
    # Both halves of the spectrum; Parseval.
    return (2 / (config.n_fft * noise_power(config) * band_widths(config))).astype(np.float32)


def _flow(config: WaveNetConfig) -> WaveNet:
    """A flow that is the identity, and reads what is about as large as one."""
    flow = WaveNet(config)
    nn.init.normal_(dict(flow.input.named_parameters())["dense.weight"])
    nn.init.zeros_(flow.last.weight)
    nn.init.zeros_(flow.last.bias)
    return flow

"""The parallel vocoder: mel spectrogram, and the score where it is known, → audio, all at once.

ConvNeXt blocks over mel frames predict a short-time spectrum, as in Vocos (Siuzdak 2023). It is the
sum of noise, of which only the magnitude is predicted, and of sources multiplied by complex masks.
If the score is known, the sources are the spectra of its pulse trains
(`timbrel.vocoder.excitation`), one for each envelope, whitened to the same level in every band: the
pitch and phase of the sounding notes come from the score, and the network acts as a filter. If not,
the source is 1, as in Vocos, and the network has to make up the phase; while the mel is constant,
the sound then repeats with the frames. All magnitudes are relative to the mel, spread over the
bins, so that the network has to learn only what the mel does not say.

Every convolution has a fixed number of look-ahead frames, `lookahead` in total, so that audio can
be streamed with a latency of these frames plus that of the inverse transform. This file is the
reference; its export is used at run time (`timbrel.vocoder.parallel_export`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.bundles.bundle import Bundle
from timbrel.bundles.weights import with_weights
from timbrel.constants import (
    A4_HZ,
    A4_PITCH,
    HOP_LENGTH,
    LOWEST_PITCH,
    N_MELS,
    N_PITCHES,
    SAMPLE_RATE,
)
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import hann_window
from timbrel.score.performance_roll import N_KEYS
from timbrel.score.piano_roll import N_CHANNELS
from timbrel.score.pitch import Timing
from timbrel.vocoder.excitation import ENVELOPES, SMALLEST_HALF_ANGLE, NoteFrames
from timbrel.vocoder.masks import masked
from timbrel.vocoder.mel_scale import natural, spread_of
from timbrel.vocoder.strokes import (
    AGES_S,
    ATTACK_NOISE,
    BODY_IMPULSES,
    BODY_NOISE,
    IMPULSE,
    StrokeFrames,
)

CONDITIONINGS = ("mel", "roll", "excitation", "performance")
# Initial magnitudes of masks and noise, as natural logs relative to the mel. A mel band sums over
# several bins, so they are lower; the noise is nearly silent at first.
_FIRST_LOG_MASK, _FIRST_LOG_NOISE = -3.0, -6.0
# Power below which whitening leaves bands alone: relative to the frame's mean, and absolute.
FAINT_SHARE, FAINT = 1e-3, 1e-9
SMALLEST_BAND = 1e-9
# A kit has two sums of sources: one for the attack, one for the body.
_KIT_OUTPUTS = (1, 0, 0, 1)
QUIETEST_KEY = 1e-3  # gain below which a key hardly counts


@dataclass(frozen=True)
class ParallelVocoderConfig:
    """Sizes of the network."""

    # "mel" is a drop-in for any mel; "roll" sees the piano roll beside it, for comparison;
    # "excitation" has pulse trains of the notes; "performance" has bent ones, and plays kits.
    conditioning: str = "excitation"
    n_mels: int = N_MELS
    sample_rate: int = SAMPLE_RATE
    hop_length: int = HOP_LENGTH
    n_fft: int = 4 * HOP_LENGTH
    width: int = 256
    expansion: int = 3
    n_blocks: int = 8
    kernel_size: int = 7
    lookahead: int = 11  # frames of mel ahead of a spectrum that it depends on
    # Of all but kits. What is below is not heard, but windows would bring it up to twice a bin.
    lowest_bin: int = 0
    # When the notes of the training data begin: see `timbrel.score.pitch.Timing`.
    onset_grid_s: float = 0.002
    onset_clock_s: float = 0.0
    onset_delay_s: float = 0.0

    def __post_init__(self) -> None:
        if self.conditioning not in CONDITIONINGS:
            known = ", ".join(CONDITIONINGS)
            raise InputError(f"conditioning '{self.conditioning}' is unknown; known: {known}")
        if self.n_fft % (2 * self.hop_length):
            raise InputError(
                f"n_fft {self.n_fft} is not an even multiple of the hop, {self.hop_length}"
            )
        if not 0 <= self.lowest_bin < self.n_bins:
            raise InputError(f"the lowest bin must be from 0 to {self.n_bins - 1}")
        if self.lookahead < 0 or max(self.lookaheads) >= self.kernel_size:
            raise InputError(
                f"{self.n_blocks + 1} convolutions of {self.kernel_size} frames cannot look "
                f"{self.lookahead} frames ahead"
            )

    @property
    def lookaheads(self) -> tuple[int, ...]:
        """Frames ahead that each convolution sees; the first, which is dense, takes the most."""
        first = min(self.kernel_size // 2, self.lookahead)
        share, rest = divmod(self.lookahead - first, self.n_blocks)
        return (first, *(share + (i < rest) for i in range(self.n_blocks)))

    @property
    def past_frames(self) -> int:
        """Frames of mel behind a spectrum that it depends on."""
        return (self.n_blocks + 1) * (self.kernel_size - 1) - self.lookahead

    @property
    def latency_frames(self) -> int:
        """From a mel frame's arrival to the last sample of its spectrum."""
        return self.lookahead + self.n_fft // 2 // self.hop_length

    @property
    def n_bins(self) -> int:
        return self.n_fft // 2 + 1

    @property
    def timing(self) -> Timing:
        """When the notes of the training data begin."""
        return Timing(self.onset_grid_s, self.onset_clock_s, self.onset_delay_s)

    @property
    def knows_pulses(self) -> bool:
        return self.conditioning in ("excitation", "performance")

    @property
    def plays_kits(self) -> bool:
        return self.conditioning == "performance"

    @property
    def lowest_key(self) -> int:
        return 0 if self.plays_kits else LOWEST_PITCH

    @property
    def n_keys(self) -> int:
        return N_KEYS if self.plays_kits else N_PITCHES


class Block(nn.Module):
    """A ConvNeXt block: depthwise convolution over time, then an inverted bottleneck."""

    def __init__(self, config: ParallelVocoderConfig, lookahead: int) -> None:
        super().__init__()
        width, hidden = config.width, config.expansion * config.width
        self.depthwise = TimeConvolution(width, width, config.kernel_size, lookahead, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.scale = nn.Parameter(torch.full((width,), 1 / config.n_blocks))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, width) → the same."""
        change = self.down(functional.gelu(self.up(self.norm(self.depthwise(x)))))
        return x + self.scale * change


class ParallelVocoder(nn.Module):
    """The network on whole crops, with zeros around them."""

    window: Tensor
    spread: Tensor
    band_means: Tensor

    def __init__(self, config: ParallelVocoderConfig, mel: MelConfig | None = None) -> None:
        super().__init__()
        self.config = config
        self.register_buffer(
            "window", torch.from_numpy(hann_window(config.n_fft)), persistent=False
        )
        self.mel_config = mel = mel or MelConfig()
        spread = torch.from_numpy(spread_of(mel, config.n_fft))
        self.register_buffer("spread", spread, persistent=False)
        self.register_buffer("band_means", band_means(spread), persistent=False)
        self.mel = nn.Linear(config.n_mels, config.width)
        # What is known of the score beside the mel: how far each key's sound has faded by each
        # envelope, which tells its age, too; or the piano roll.
        n_score = N_CHANNELS if config.conditioning == "roll" else 0
        if config.knows_pulses:
            n_score = len(ENVELOPES) * config.n_keys
        self.score = nn.Linear(n_score, config.width) if n_score else None
        first, *others = config.lookaheads
        self.first = TimeConvolution(config.width, config.width, config.kernel_size, first)
        self.first_norm = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(Block(config, lookahead) for lookahead in others)
        self.last_norm = nn.LayerNorm(config.width)
        # For each bin the log magnitude of the noise, and the log magnitude and the phase, as
        # (cos, sin), of each source's mask.
        self.n_sources = len(ENVELOPES) if config.knows_pulses else 1
        self.n_parts = 1 + 3 * self.n_sources
        self.head = self._new_head()
        # Kits have a head of their own, with as many parts: for each bin the log magnitude of the
        # mask of the body's noise, and the masks of the three other sources.
        self.strokes: nn.Linear | None = None
        self.kit_head: nn.Linear | None = None
        if config.plays_kits:
            self.strokes = nn.Linear(len(AGES_S) * N_KEYS, config.width)
            self.kit_head = self._new_head()

    def _new_head(self) -> nn.Linear:
        head = nn.Linear(self.config.width, self.n_parts * self.config.n_bins)
        with torch.no_grad():
            bias = head.bias.unflatten(0, (self.n_parts, self.config.n_bins))
            bias[0].fill_(_FIRST_LOG_NOISE)
            bias[1::3].fill_(_FIRST_LOG_MASK)
        return head

    def forward(
        self,
        mel: Tensor,
        noise: Tensor,
        score: Tensor | NoteFrames[Tensor] | StrokeFrames[Tensor] | None = None,
    ) -> Tensor:
        """Make audio.

        Parameters
        ----------
        mel
            Normalised mels, (batch, frames, n_mels).
        noise
            Random phases in cycles, (batch, frames, n_bins).
        score
            With the conditionings "excitation" and "performance", what the notes do, with a leading
            batch axis; with "roll", the piano roll, (batch, frames, 176). With "performance", it
            may be what the strokes of kits do instead, of which all tracks are then.

        Returns
        -------
        Tensor, shape (batch, frames · hop_length)
        """
        envelope = natural(mel, self.mel_config) @ self.spread
        if isinstance(score, StrokeFrames):
            return self.kits(mel, envelope, score)
        x = self.mel(mel)
        spectrum = None
        if self.score is not None:
            if score is None:
                raise InputError("this vocoder needs the score beside the mel")
            if isinstance(score, NoteFrames):
                with torch.autocast(mel.device.type, enabled=False):
                    # (batch, envelopes, frames, n_bins)
                    spectrum = self.spectrum(pulses(score, hop_length=self.config.hop_length))
                    spectrum = self.whitened(spectrum)
                    score = self.keys(score)
            x = x + self.score(score)
        head = self.head(self.trunk(x))
        return self.audio(self.combined(head, envelope, noise, spectrum))

    def trunk(self, x: Tensor) -> Tensor:
        """What the heads read, (batch, frames, width), from what is known of each frame."""
        x = self.first_norm(self.first(x))
        for block in self.blocks:
            x = block(x)
        return self.last_norm(x)

    def kits(self, mel: Tensor, envelope: Tensor, strokes: StrokeFrames[Tensor]) -> Tensor:
        """Make the audio of kits, of which the attacks begin with their strokes and not before."""
        if self.strokes is None or self.kit_head is None:
            raise InputError("this vocoder plays no kits")
        with torch.autocast(mel.device.type, enabled=False):
            spectrum = self.whitened(self.spectrum(strokes.sources))
            ages = self.ahead(torch.log1p(strokes.keys / QUIETEST_KEY))
        head = self.kit_head(self.trunk(self.mel(mel) + self.strokes(ages)))
        # In the order of the head's parts: the noise, of which only the magnitude is coloured.
        spectra = spectrum[:, [BODY_NOISE, IMPULSE, ATTACK_NOISE, BODY_IMPULSES]]
        attack, body = masked(head, envelope, spectra, _KIT_OUTPUTS).unbind(1)
        return self.audio(body) + self.audio(attack) * strokes.gate

    def keys(self, notes: NoteFrames[Tensor]) -> Tensor:
        """What the network reads of the notes: (batch, frames, envelopes · keys)."""
        a4s = (notes.step * self.config.sample_rate / A4_HZ).clamp(min=2.0**-6)
        key = torch.round(12 * torch.log2(a4s)) + (A4_PITCH - self.config.lowest_key)
        keys = torch.arange(self.config.n_keys, device=key.device)
        of_key = (key[..., None] == keys).float()  # (batch, notes, 1 or frames, keys)
        gain = torch.einsum("bnfe,bnfk->bfek", notes.gain, of_key.expand(*notes.phase.shape, -1))
        return self.ahead(torch.log1p(gain / QUIETEST_KEY).flatten(2))

    def ahead(self, features: Tensor) -> Tensor:
        """What is known of the frame that the last window around each frame reaches.

        In a stream, the pulses reach half a window further than the mel.
        """
        ahead = self.config.n_fft // 2 // self.config.hop_length - 1
        return functional.pad(features[:, ahead:], (0, 0, 0, ahead))

    def spectrum(self, audio: Tensor) -> Tensor:
        """Complex spectrum (…, frames, n_bins), frame k centred on sample k · hop_length."""
        config = self.config
        padded = functional.pad(audio, (config.n_fft // 2, config.n_fft // 2))
        frames = padded.unfold(-1, config.n_fft, config.hop_length)
        frames = frames[..., : audio.shape[-1] // config.hop_length, :]
        return torch.fft.rfft(frames.float() * self.window)

    def whitened(self, spectrum: Tensor) -> Tensor:
        """Spectra of the pulses, as loud in every band of the mel; how loud is the mel's affair."""
        power = spectrum.real.square() + spectrum.imag.square()
        faint = FAINT_SHARE * power.mean(dim=-1, keepdim=True) + FAINT
        level = power @ self.band_means @ self.spread + faint
        return spectrum * torch.rsqrt(level)

    def combined(
        self, head: Tensor, envelope: Tensor, noise: Tensor, spectrum: Tensor | None
    ) -> Tensor:
        """The output's complex spectrum from what the head says and the excitation's."""
        noise_spectrum = torch.polar(torch.ones_like(noise), 2 * torch.pi * noise)[:, None]
        if spectrum is None:
            spectrum = torch.ones_like(noise_spectrum)
        spectra = torch.cat([noise_spectrum, spectrum], dim=1)
        total = masked(head, envelope, spectra, [0] * (1 + self.n_sources))[:, 0]
        lowest = self.config.lowest_bin
        return functional.pad(total[..., lowest:], (lowest, 0)) if lowest else total

    def audio(self, spectrum: Tensor) -> Tensor:
        """Inverse transform of (batch, frames, n_bins) with overlap-add."""
        config = self.config
        n_frames, overlap = spectrum.shape[1], config.n_fft // config.hop_length
        frames = torch.fft.irfft(spectrum, config.n_fft) * self.window
        parts = frames.unflatten(-1, (overlap, config.hop_length))  # (batch, frames, overlap, hop)
        total = torch.stack(
            [functional.pad(parts[:, :, i], (0, 0, i, overlap - 1 - i)) for i in range(overlap)]
        ).sum(0)
        audio = total.flatten(1)[:, config.n_fft // 2 :][:, : n_frames * config.hop_length]
        return audio / self.window.square().unflatten(0, (overlap, -1)).sum(0).repeat(n_frames)


def band_means(spread: Tensor) -> Tensor:
    """Matrix that gives the mean of each band's bins, (n_bins, n_mels)."""
    # Low bands are narrower than a bin, and some hold none.
    return (spread / spread.sum(dim=1, keepdim=True).clamp(min=SMALLEST_BAND)).T.contiguous()


Frames = TypeVar("Frames", NoteFrames, StrokeFrames)


def tensors(frames: Frames, device: torch.device | None = None) -> Frames:
    """What the notes or strokes of some tracks do, as tensors on a device."""
    arrays = (getattr(frames, field.name) for field in fields(frames))
    return type(frames)(*(torch.from_numpy(array).to(device) for array in arrays))


def pulses(notes: NoteFrames[Tensor], *, hop_length: int) -> Tensor:
    """Make the excitation, as `timbrel.vocoder.excitation.pulses` does.

    Parameters
    ----------
    notes
        What the notes do, with a leading batch axis.
    hop_length
        Samples of a frame.

    Returns
    -------
    Tensor, shape (batch, envelopes, frames · hop_length)
    """
    batch, _, n_frames, n_envelopes = notes.gain.shape
    # Most notes ring in a few frames only, and this is what training spends its time on.
    track, note, frame = notes.gain.amax(dim=-1).nonzero(as_tuple=True)
    samples = torch.arange(hop_length, device=track.device, dtype=notes.phase.dtype)
    # What stays over the frames may be given once.
    varying = frame if notes.step.shape[2] > 1 else 0
    step, harmonics = (part[track, note, varying, None] for part in (notes.step, notes.harmonics))
    cycles = notes.phase[track, note, frame, None] + step * samples
    half = torch.pi * (cycles - torch.round(cycles))  # (ringing, hop_length)
    half = half.abs().clamp(min=SMALLEST_HALF_ANGLE)
    train = torch.sin((2 * harmonics + 1) * half) / (2 * torch.sin(half)) - 0.5
    begun = samples >= notes.first[track, note, frame, None]
    train = torch.where(begun, train * torch.sqrt(2 / harmonics), 0.0)
    total = train.new_zeros(batch * n_frames, n_envelopes, hop_length)
    gain = notes.gain[track, note, frame]  # (ringing, envelopes)
    total.index_add_(0, track * n_frames + frame, gain[..., None] * train[:, None])
    return total.unflatten(0, (batch, n_frames)).transpose(1, 2).flatten(2)


class TimeConvolution(nn.Module):
    """A convolution over (batch, frames, channels) that sees some frames ahead."""

    def __init__(
        self, n_in: int, n_out: int, kernel_size: int, lookahead: int, *, groups: int = 1
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(n_in, n_out, kernel_size, groups=groups)
        self.behind, self.lookahead = kernel_size - 1 - lookahead, lookahead

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x.transpose(1, 2), (self.behind, self.lookahead))
        return self.convolution(padded).transpose(1, 2)


def load_parallel(bundle: Bundle) -> ParallelVocoder:
    """Make the reference network of a bundle, in single precision, ready to compute."""
    return with_weights(ParallelVocoder(ParallelVocoderConfig(**bundle.model), bundle.mel), bundle)

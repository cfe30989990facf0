"""Examples for the timbre encoder: mels of renders, of a Mel2Mel's own making, and of no music.

Each batch is a function of its step. Renders say what instruments are; a Mel2Mel says what lies
between them, and at points where there is no instrument; noise, silence and something like speech
say what is none, and that of these nothing can be known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from timbrel.bundles.bundle import Bundle, Instrument
from timbrel.constants import PERFORMANCE
from timbrel.errors import InputError
from timbrel.hearing.sizes import embeddings_of, normalisation, normalised_points
from timbrel.mel.mel2mel import Mel2Mel, load_mel2mel
from timbrel.mel.spectrogram import band_edges_hz, mel_spectrogram
from timbrel.progress import Progress, silent
from timbrel.training.augmentation import speech
from timbrel.training.dataset import MelClips
from timbrel.training.mel_augmentation import noise_power
from timbrel.vocoder.catalog import contrast_of

SILENT_NATS = -3.0  # a mel that is nowhere louder is silent
WARM_UP_FRAMES = 48  # that a Mel2Mel hears before what counts
_DRAWS = 6  # of a place, until something sounds there
_SPEECH_PIECES, _SPEECH_S = 12, 6.0
_NOISE_DEVIATION = 0.35  # of points near the cloud, in normalised coordinates


class Known(NamedTuple):
    """What is true of some windows."""

    points: np.ndarray  # (batch, timbre_size) float32, in normalised coordinates
    shares: np.ndarray  # (batch, n_instruments + 1) float32: of the instruments; all 0 if unknown


@dataclass(frozen=True)
class Making:
    """How a Mel2Mel is asked for examples."""

    sizes: tuple[float, ...] = (0.3, 0.3, 0.4)  # shares of mixes of one instrument, two, three …
    stray_share: float = 0.15  # of points that are moved away from the mixes


class Renders:
    """The clips of a folder that a Mel2Mel has instruments for.

    Parameters
    ----------
    clips
        Mels of the split.
    instruments
        Those of the Mel2Mel. A clip belongs to the one of its name, or of its program.

    Raises
    ------
    InputError
        If it knows none of the clips' instruments.
    """

    def __init__(self, clips: MelClips, instruments: Sequence[Instrument], where: Path) -> None:
        self.clips = clips
        by_name = {(i.name.lower(), i.is_kit): n for n, i in enumerate(instruments)}
        by_program = {(i.program, i.is_kit): n for n, i in reversed([*enumerate(instruments)])}
        found = [
            by_name.get((c.instrument.lower(), c.is_kit), by_program.get((c.program, c.is_kit), -1))
            for c in clips.clips
        ]
        self.labels = np.array(found)
        shares = clips.shares * (self.labels >= 0)
        if not shares.any():
            raise InputError(f"{where}: holds no instrument that the Mel2Mel knows")
        self.shares = shares / shares.sum()

    def draw(self, random: np.random.Generator, n_frames: int) -> tuple[np.ndarray, int]:
        """A part of a clip with its label; -1 where it is silent."""
        clips, mel = self.clips, np.zeros((0, 0), np.float32)
        for _ in range(_DRAWS):
            index = int(random.choice(len(self.labels), p=self.shares))
            mel = part(clips, index, self.start(random, index, n_frames), n_frames)
            if mel.max() > SILENT_NATS:
                return mel, int(self.labels[index])
        return mel, -1

    def start(self, random: np.random.Generator, index: int, n_frames: int) -> int:
        return int(random.integers(0, max(int(self.clips.n_frames[index]) - n_frames, 0) + 1))


def part(clips: MelClips, index: int, start: int, n_frames: int) -> np.ndarray:
    """Frames of a clip, silent beyond its end."""
    mel = clips.mel(index, start, start + n_frames)
    lacking = n_frames - len(mel)
    return (
        np.pad(mel, ((0, lacking), (0, 0)), constant_values=clips.config.log_floor)
        if lacking
        else mel
    )


class Truth:
    """What is true of examples, in the coordinates and with the classes of an encoder."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.n_instruments = len(instruments)
        self.centre, self.deviation = normalisation(embeddings_of(instruments))
        self.points = normalised_points(instruments)
        self.is_kit = np.array([instrument.is_kit for instrument in instruments])

    def of_label(self, label: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Of an instrument; of none (-1) any point may be meant."""
        shares = np.zeros(self.n_instruments + 1, np.float32)
        shares[label] = 1.0
        place = int(random.integers(self.n_instruments)) if label < 0 else label
        return self.points[place], shares

    def mix(
        self, random: np.random.Generator, making: Making, *, of_kits: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """A random point and the shares of its instruments."""
        among = np.flatnonzero(self.is_kit == of_kits)
        size = 1 + int(random.choice(len(making.sizes), p=making.sizes))
        chosen = random.choice(among, min(size, len(among)), replace=False)
        weights = random.dirichlet(np.ones(len(chosen))).astype(np.float32)
        shares = np.zeros(self.n_instruments + 1, np.float32)
        point = weights @ self.points[chosen]
        if random.random() < making.stray_share:
            stray = random.standard_normal(len(point)).astype(np.float32)
            return point + np.float32(_NOISE_DEVIATION) * stray, shares
        shares[chosen] = weights
        return point, shares


class Maker:
    """Has a Mel2Mel play scores of the data at random points of its space.

    Its mels have the contrast with which they are heard.
    """

    def __init__(self, bundle: Bundle, renders: Renders, truth: Truth, making: Making) -> None:
        self._network: Mel2Mel = load_mel2mel(bundle).requires_grad_(False)
        self._contrast = contrast_of(bundle)
        self._renders, self._truth, self._making = renders, truth, making

    def make(self, random: np.random.Generator, number: int, n_frames: int) -> MadeMels:
        """Some mels, (number, n_frames, n_mels), and what is true of them."""
        rolls, points, shares, is_kit = [], [], [], []
        clips = self._renders.clips
        for _ in range(number):
            index = int(random.choice(len(self._renders.labels), p=self._renders.shares))
            start = self._renders.start(random, index, n_frames)
            rolls.append(clips.roll(index).window(start - WARM_UP_FRAMES, start + n_frames))
            is_kit.append(bool(clips.is_kit[index]))
            point, share = self._truth.mix(random, self._making, of_kits=is_kit[-1])
            points.append(point)
            shares.append(share)
        known, played = Known(np.stack(points), np.stack(shares)), np.stack(rolls)
        return MadeMels(self._mels(played, known.points, is_kit), known)

    def _mels(self, rolls: np.ndarray, points: np.ndarray, is_kit: Sequence[bool]) -> np.ndarray:
        """The mels at points in normalised coordinates, without the frames of the warm-up."""
        timbres = points * self._truth.deviation + self._truth.centre
        device, config = next(self._network.parameters()).device, self._renders.clips.config
        with torch.no_grad():
            roll = torch.from_numpy(rolls.astype(np.float32)).to(device)
            timbre = torch.from_numpy(timbres.astype(np.float32)).to(device)
            alone = self._network.alone_in_rolls(roll, timbre, config, is_kit)
            mel = self._network(roll, timbre, alone)
        found = mel[:, WARM_UP_FRAMES:].float().cpu().numpy()
        if self._contrast is not None:
            for one, of_kit in zip(found, is_kit, strict=True):
                contrast = self._contrast.of_kits if of_kit else self._contrast
                one[:] = contrast.widened(one, config.log_floor)
        return np.maximum(found, np.float32(config.log_floor))


class MadeMels(NamedTuple):
    """Mels of a Mel2Mel's making."""

    mels: np.ndarray  # (number, frames, n_mels) float32
    known: Known


class Nothings:
    """Mels of noise, silence, clicks and something like speech."""

    def __init__(self, clips: MelClips) -> None:
        config = clips.config
        self._log_floor = clips.config.log_floor
        self._octaves = np.log2(np.maximum(band_edges_hz(config)[1:-1], 20.0) / 1000.0)
        n_samples = round(_SPEECH_S * config.sample_rate)
        self._speech = [
            mel_spectrogram(
                speech(n_samples, config.sample_rate, np.random.default_rng(seed)), config
            )
            for seed in range(_SPEECH_PIECES)
        ]

    def draw(self, random: np.random.Generator, n_frames: int) -> np.ndarray:
        """One of them, (n_frames, n_mels)."""
        kind = random.random()
        shape = (n_frames, len(self._octaves))
        if kind < 0.4:
            piece = self._speech[int(random.integers(len(self._speech)))]
            start = int(random.integers(0, max(len(piece) - n_frames, 0) + 1))
            mel = np.full(shape, self._log_floor, np.float32)
            found = piece[start : start + n_frames]
            mel[: len(found)] = found
            return mel
        if kind < 0.5:
            return np.full(shape, self._log_floor, np.float32)
        noise = 0.5 * np.log(noise_power((1, *shape), self._octaves, random)[0])
        if kind < 0.6:  # clicks
            loud = random.random(n_frames) < random.uniform(0.005, 0.05)
            noise = np.where(loud[:, None], noise, noise - 6)
        elif kind < 0.75:  # it comes and goes
            knots = random.uniform(-4, 0, int(random.integers(3, 12)))
            places = np.linspace(0, len(knots) - 1, n_frames)
            noise = noise + np.interp(places, np.arange(len(knots)), knots)[:, None]
        return noise.astype(np.float32)


def read_clips(
    folder: Path, split: str, bundle: Bundle, *, progress: Progress = silent
) -> MelClips:
    """The clips of a folder with rolls for a Mel2Mel, all instruments equally likely."""
    return MelClips(
        folder,
        split,
        bundle.mel,
        performance=bundle.roll == PERFORMANCE,
        equal_instruments=True,
        progress=progress,
    )

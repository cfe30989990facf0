"""Prepared data → batches for vocoders: crops of audio with the corresponding mel and score."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from timbrel.bundles.bundle import SUMS_FILE, Bundle, load_bundle
from timbrel.corpus.preparation import Clip
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.generator import MelGenerator
from timbrel.progress import Progress, silent
from timbrel.timbre.timbre import Timbre
from timbrel.training.cached import cached_arrays
from timbrel.training.dataset import MelClips, read_roll


@dataclass(frozen=True)
class AudioBatch:
    """Crops of `frames` frames; the mels hold some frames more in front and behind."""

    audio: np.ndarray  # (batch, frames · hop_length) float32
    mel: np.ndarray  # (batch, before + frames + after, n_mels) float32, natural logarithm
    clip: np.ndarray  # (batch,) index of the clip
    start: np.ndarray  # (batch,) first frame of the crop


class AudioClips(MelClips):
    """The clips of one split with their audio.

    Parameters
    ----------
    predicted_by
        A Mel2Mel bundle whose predictions can take the place of the true mels, so that a vocoder
        learns what it will be given; none if empty. They are computed once and kept in the folder.
    predicted_clips
        Of so many clips, drawn by chance, that this takes less time; 0 stands for all.
    performance, equal_instruments
        As for `MelClips`.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        config: MelConfig,
        *,
        predicted_by: str = "",
        predicted_clips: int = 0,
        performance: bool = False,
        equal_instruments: bool = False,
        progress: Progress = silent,
    ) -> None:
        super().__init__(
            folder,
            split,
            config,
            performance=performance,
            equal_instruments=equal_instruments,
            progress=progress,
        )
        self.config = config
        self.predicted_shares = self.shares
        self._predicted: dict[int, np.ndarray] = {}
        if not predicted_by:
            return
        bundle = mel2mel_of(predicted_by, config, self.instruments)
        order = np.random.default_rng(0).permutation(len(self.clips))
        chosen = order[: predicted_clips or None].tolist()
        self.predicted_shares = np.where(np.isin(np.arange(len(order)), chosen), self.shares, 0.0)
        self.predicted_shares /= self.predicted_shares.sum()
        key = hashlib.sha256((bundle.path / SUMS_FILE).read_bytes()).hexdigest()[:12]
        kept = folder / "predicted" / key
        mels = cached_arrays(
            [kept / f"{self.clips[i].audio_sha256}.npy" for i in chosen],
            _prediction,
            [
                (folder, self.clips[i], predicted_by, int(self.n_frames[i]), performance)
                for i in chosen
            ],
            progress=progress,
            label=f"predicted mels ({split})",
        )
        self._predicted = dict(zip(chosen, mels, strict=True))

    def audio(self, index: int, start: int, stop: int) -> np.ndarray:
        """Samples of a clip, float32; zeros beyond its end."""
        audio, _ = soundfile.read(
            self._folder / self.clips[index].audio,
            frames=stop - start,
            start=min(start, self.clips[index].n_samples),
            dtype="float32",
        )
        return np.pad(audio, (0, stop - start - len(audio)))

    def padded_mel(
        self, index: int, start: int, stop: int, *, predicted: bool = False
    ) -> np.ndarray:
        """Frames of a clip's mel, true or predicted; what lies outside the clip is silence."""
        first, last = max(start, 0), min(stop, int(self.n_frames[index]))
        mel = np.full((stop - start, self.config.n_mels), self.config.log_floor, np.float32)
        if last > first:
            source = self._predicted[index] if predicted else self._mels[index]
            mel[first - start : last - start] = source[first:last]
        return mel


def audio_batch(
    clips: AudioClips,
    step: int,
    items: Iterable[int],
    *,
    frames: int,
    before: int,
    after: int,
    seed: int,
    predicted_share: float = 0.0,
    among: np.ndarray | None = None,
) -> AudioBatch:
    """Draw a step's crops, a pure function of its arguments; `items` number them in the batch.

    A share of the crops has predicted mels instead of true ones. Where `among` is given, only the
    clips that it marks are drawn.
    """
    hop = clips.config.hop_length
    audio, mel, indices, starts = [], [], [], []
    for item in items:
        random = np.random.default_rng((seed, step, item))
        predicted = bool(random.random() < predicted_share)
        shares = clips.predicted_shares if predicted else clips.shares
        if among is not None:
            shares = shares * among / (shares * among).sum()
        index = int(random.choice(len(clips.clips), p=shares))
        start = int(random.integers(0, max(int(clips.n_frames[index]) - frames, 0) + 1))
        audio.append(clips.audio(index, start * hop, (start + frames) * hop))
        mel.append(
            clips.padded_mel(index, start - before, start + frames + after, predicted=predicted)
        )
        indices.append(index)
        starts.append(start)
    return AudioBatch(np.stack(audio), np.stack(mel), np.array(indices), np.array(starts))


def mel2mel_of(name: str, config: MelConfig, instruments: Iterable[str]) -> Bundle:
    """The Mel2Mel of a name or folder, which can play data for a vocoder.

    Raises
    ------
    InputError
        If it makes mels of another geometry, or lacks an instrument of the data.
    """
    bundle = load_bundle(name, kind="mel2mel")
    if bundle.mel != config:
        raise InputError(f"{name}: makes mels of {bundle.mel}; the recipe's are of {config}")
    known = {instrument.name for instrument in bundle.instruments}
    unknown = [instrument for instrument in instruments if instrument not in known]
    if unknown:
        raise InputError(f"{name}: does not know the instrument '{unknown[0]}' of the data")
    return bundle


def _prediction(
    folder: Path, clip: Clip, model: str, n_frames: int, performance: bool
) -> np.ndarray:
    bundle = load_bundle(model, kind="mel2mel")
    point = next(i.embedding for i in bundle.instruments if i.name == clip.instrument)
    roll = read_roll(folder, clip, bundle.mel.frame_rate, performance=performance)
    blocks = MelGenerator(bundle).stream([roll], [Timbre.constant(point)], n_frames)
    return np.concatenate([block[0] for block in blocks]).astype(np.float16)

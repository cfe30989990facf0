"""A post-filter: the sound of a vocoder is held to the mel that it was made from.

A network that draws samples leaves noise between partials, as µ-law does, and its levels wander.
What the spectrum is to be, though, is known: the mel says it, band by band. So the sound's own mel
is measured, and each bin of its short-time spectrum multiplied by what the bands around it lack
or have too much; its phases stay. A window that is changed meets its neighbours, which were
changed otherwise, so the result comes near and not quite there: further passes come nearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_filters
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder.mel_scale import spread_of
from timbrel.vocoder.overlap_add import OverlapAdd
from timbrel.vocoder.vocoder import Vocoder, VocoderStream

KEY = "post_filter"  # of a bundle's config.json
MOST_PASSES = 8
MOST_GAIN_DB = 20.0  # of a pass: what a vocoder left out is not to be made of its noise alone
_MOST_LOG_GAIN = np.float32(MOST_GAIN_DB / 20 * np.log(10))
_LONGEST_STEP = 64  # frames


@dataclass(frozen=True)
class PostFilter:
    """How a vocoder's sound is held to its mel.

    Raises
    ------
    InputError
        If the number of passes is not possible.
    """

    passes: int

    def __post_init__(self) -> None:
        if type(self.passes) is not int or not 1 <= self.passes <= MOST_PASSES:
            raise InputError(f"a post-filter has 1 to {MOST_PASSES} passes, not {self.passes}")

    @classmethod
    def of_bundle(cls, config: dict[str, Any], where: object) -> PostFilter | None:
        """What a bundle's config.json says, if it says anything of it.

        Raises
        ------
        InputError
            If that is no post-filter.
        """
        if KEY not in config:
            return None
        try:
            return cls(**config[KEY])
        except (TypeError, InputError):
            raise InputError(
                f"{where}: its '{KEY}' must hold a number of passes, 1 to {MOST_PASSES}"
            ) from None


# Of new bundles whose samples are drawn by chance. The gain of each further pass is less.
DRAWN = PostFilter(passes=3)


class PostFiltered:
    """A vocoder whose sound is held to its mel.

    Parameters
    ----------
    vocoder
        The vocoder.
    post_filter
        How.
    """

    def __init__(self, vocoder: Vocoder, post_filter: PostFilter) -> None:
        self.vocoder, self.post_filter = vocoder, post_filter
        self.mel: MelConfig = vocoder.mel
        self.roll: str | None = vocoder.roll

    def stream(
        self, rolls: Sequence[PianoRoll], *, seed: int = 0, numbers: Sequence[int] | None = None
    ) -> VocoderStream:
        """Begin with some tracks; see `Vocoder.stream`."""
        inner = self.vocoder.stream(rolls, seed=seed, numbers=numbers)
        return _PostFilteredStream(inner, len(rolls), self.mel, self.post_filter.passes)


class _PostFilteredStream:
    """Some tracks on their way through a vocoder and all passes."""

    def __init__(self, inner: VocoderStream, n_tracks: int, mel: MelConfig, n_passes: int) -> None:
        self._inner, self._n_tracks, self._mel, self._n_passes = inner, n_tracks, mel, n_passes
        self._begin()

    def _begin(self) -> None:
        self._passes = [PostFilterPass(self._n_tracks, self._mel) for _ in range(self._n_passes)]

    def restart(self, frame: int) -> None:
        """Go on at a frame as after long silence."""
        self._inner.restart(frame)
        self._begin()

    def process(self, mel: np.ndarray, *, last: bool = False) -> np.ndarray:
        """Take a block of mel (tracks, frames, n_mels) and give what is finished."""
        audio = self._inner.process(mel, last=last)
        for one in self._passes:
            audio = one.process(audio, mel, last=last)
        return audio


class PostFilterPass:
    """One pass over some tracks, block by block.

    Parameters
    ----------
    n_tracks
        Rows of audio.
    mel
        The geometry.
    """

    def __init__(self, n_tracks: int, mel: MelConfig) -> None:
        self._config = mel
        self._filters, self._spread = mel_filters(mel), spread_of(mel, mel.n_fft)
        self._overlap = OverlapAdd(n_tracks, n_fft=mel.n_fft, hop_length=mel.hop_length)
        self._mel = np.zeros((n_tracks, 0, mel.n_mels), np.float32)  # of windows to come
        # Before the first sample there is silence, of which the first window sees a half.
        self._audio = np.zeros((n_tracks, mel.n_fft // 2), np.float32)

    def process(self, audio: np.ndarray, mel: np.ndarray, *, last: bool = False) -> np.ndarray:
        """Take what follows of the sound and of the mel that it was made from.

        Parameters
        ----------
        audio : ndarray, shape (tracks, samples)
            It may lag behind the mel.
        mel : ndarray, shape (tracks, frames, n_mels)
            Natural logarithm.
        last
            Nothing follows: give all that is left.

        Returns
        -------
        audio : ndarray of float32, shape (tracks, samples)
            What no later window touches.
        """
        n_fft, hop = self._config.n_fft, self._config.hop_length
        parts = [self._audio, audio]
        if last:
            parts.append(np.zeros((len(audio), n_fft // 2), np.float32))
        self._audio = np.concatenate(parts, axis=1)
        self._mel = np.concatenate([self._mel, mel], axis=1)
        ready = max((self._audio.shape[1] - n_fft) // hop + 1, 0)
        ready = min(ready, self._mel.shape[1])
        done = [np.zeros((len(audio), 0), np.float32)]
        while ready:
            n_frames = min(ready, _LONGEST_STEP)
            ready -= n_frames
            spectra = self._filtered(n_frames)
            done.append(self._overlap.add(spectra, last=last and not ready))
            self._mel = self._mel[:, n_frames:]
            self._audio = self._audio[:, n_frames * hop :]
        return np.concatenate(done, axis=1)

    def _filtered(self, n_frames: int) -> np.ndarray:
        """The spectra of the next windows, as they are to be."""
        config = self._config
        samples = config.n_fft + (n_frames - 1) * config.hop_length
        spectra = self._overlap.transformed(self._audio[:, :samples])
        found = np.log(np.maximum(np.abs(spectra) @ self._filters, np.float32(config.floor)))
        lacking = np.minimum(self._mel[:, :n_frames] - found, _MOST_LOG_GAIN)
        return spectra * np.exp(lacking @ self._spread)

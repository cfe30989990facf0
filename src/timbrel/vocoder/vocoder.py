"""The interface of every vocoder: blocks of mel (and the score) in, blocks of audio out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.score.piano_roll import PianoRoll


@dataclass(frozen=True)
class Sampling:
    """How a vocoder that draws samples one by one does so; None: as it likes best."""

    precision: str | None = None  # of `timbrel.engine.wavenet`
    temperature: float | None = None

    def refuse(
        self, name: str, why: str = "draws no samples, so it has no precision or temperature"
    ) -> None:
        """Raise an error where a vocoder that cannot be told how to draw samples was told."""
        if self != Sampling():
            raise InputError(f"{name}: {why}")


class VocoderStream(Protocol):
    """Some tracks on their way from mel to audio; state is kept from block to block."""

    def process(self, mel: np.ndarray, *, last: bool = False) -> np.ndarray:
        """Take a block and give what is finished.

        Parameters
        ----------
        mel : ndarray of float32, shape (tracks, frames, n_mels)
            Natural logarithm. Blocks may be of any length, also empty.
        last
            Nothing follows: give all that is left.

        Returns
        -------
        audio : ndarray of float32, shape (tracks, samples)
            In all, ``frames · hop_length`` samples; sample ``k · hop_length`` lies at frame `k`.
        """

    def restart(self, frame: int) -> None:
        """Go on at a frame of the rolls as after long silence: what was before is forgotten."""


class Vocoder(Protocol):
    """A way from mel spectrograms to sound."""

    mel: MelConfig
    roll: str | None  # the kind of piano roll that it wants; None where it does not look at them

    def stream(
        self, rolls: Sequence[PianoRoll], *, seed: int = 0, numbers: Sequence[int] | None = None
    ) -> VocoderStream:
        """Begin with some tracks, at frame 0.

        Parameters
        ----------
        rolls
            What they play, for vocoders that want to know.
        seed
            Of whatever chance the vocoder uses.
        numbers
            One for each track: with the seed, it decides the track's chance, whatever other tracks
            there are. By default, they are counted from 0.
        """


def check_mel(mel: np.ndarray, n_tracks: int, config: MelConfig) -> np.ndarray:
    """Refuse what is not a block of mel for a vocoder's stream."""
    if mel.ndim != 3 or mel.shape[0] != n_tracks or mel.shape[2] != config.n_mels:
        raise InputError(
            f"a mel of shape {mel.shape} was given; this vocoder expects ({n_tracks}, frames, "
            f"{config.n_mels}) at {config}"
        )
    if not np.isfinite(mel).all():
        raise InputError("the mel holds values that are not finite")
    return mel.astype(np.float32, copy=False)

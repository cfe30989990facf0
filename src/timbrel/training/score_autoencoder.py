"""The autoencoder of scores: a transcriber and a Mel2Mel, trained through each other.

Audio of which no notes are known is transcribed and played again by Mel2Mel in its own timbre; that
what is played sounds like the audio is what both can be trained for. The roll between them is
relaxed (`timbrel.transcription.relaxed_roll`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from timbrel.geometry import MelConfig
from timbrel.mel.losses import LOSSES
from timbrel.mel.mel2mel import Mel2Mel
from timbrel.transcription.decoding import Thresholds
from timbrel.transcription.network import Transcriber
from timbrel.transcription.relaxed_roll import RollLayout, relaxed_roll

_TINY_POWER = 1e-20


class Heard(NamedTuple):
    """Audio without labels, as the transcriber hears it, and the timbre to play it again in."""

    spectra: Tensor  # (batch, windows, frames, bands)
    timbre: Tensor  # (batch, timbre_size)


class Played(NamedTuple):
    """Scores for Mel2Mel, whose sound is known."""

    roll: Tensor  # (batch, frames, roll_size)
    timbre: Tensor  # (batch, timbre_size)


class Said(NamedTuple):
    """What the networks say of a batch; None of what was not asked."""

    values: Tensor  # of labelled audio; see `Transcriber`
    cycle: Tensor | None  # log-mels of audio without labels, from its first frame on
    played: Tensor | None  # log-mels of scores


class ScoreAutoencoder(nn.Module):
    """Both networks.

    Parameters
    ----------
    transcriber, synthesizer
        The networks. The synthesizer's embeddings stay, so that timbres mean what they meant.
    mel
        Of the synthesizer.
    layout, thresholds
        Of the rolls between them.
    decided
        See `relaxed_roll`.
    train_synthesizer
        Whether the synthesizer is trained, too.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        synthesizer: Mel2Mel,
        mel: MelConfig,
        layout: RollLayout,
        thresholds: Thresholds,
        *,
        decided: bool,
        train_synthesizer: bool,
    ) -> None:
        super().__init__()
        self.transcriber, self.synthesizer = transcriber, synthesizer
        self._layout, self._thresholds, self._decided = layout, thresholds, decided
        self._mel = mel
        synthesizer.embedding.requires_grad_(False)
        if not train_synthesizer:
            synthesizer.requires_grad_(False)

    def forward(self, spectra: Tensor, heard: Heard | None, played: Played | None) -> Said:
        values, _ = self.transcriber(spectra)
        return Said(
            values,
            None if heard is None else self.again(heard),
            None if played is None else self.made(*played),
        )

    def again(self, heard: Heard) -> Tensor:
        """Log-mels of audio that is transcribed and played, (batch, frames, n_mels)."""
        values, _ = self.transcriber(heard.spectra)
        values = values[:, self.transcriber.config.frames_ahead :]
        with torch.autocast(values.device.type, enabled=False):
            roll = relaxed_roll(values, self._layout, self._thresholds, decided=self._decided)
        return self.made(roll, heard.timbre)

    def made(self, roll: Tensor, timbre: Tensor) -> Tensor:
        """Log-mels of rolls, (batch, frames, n_mels)."""
        # Transcribers hear keys of a piano, no kits.
        alone = self.synthesizer.alone_in_rolls(roll, timbre, self._mel)
        return self.synthesizer(roll, timbre, alone)


def cycle_loss(
    made: Tensor, true: Tensor, *, loss: str, floor: float, level_range: float
) -> Tensor:
    """How far what is played is from the audio, whatever the level of the recording.

    Parameters
    ----------
    made, true : Tensor, shape (batch, frames, n_mels)
        Log-mels; the true ones not floored.
    loss
        Of `timbrel.mel.losses.LOSSES`.
    floor
        Of mels, natural logarithm.
    level_range
        Nepers by which the level of a recording may be changed. Without a limit, a transcriber that
        hears nothing would be right: of a recording as soft as silence, nothing is left.
    """
    gain = (level(made.detach()) - level(true)).clamp(-level_range, level_range)
    target = (true + gain[:, None, None]).clamp(min=floor)
    return LOSSES[loss](made, target).mean()


def level(mel: Tensor) -> Tensor:
    """The logarithm of the root mean square of mels (batch, frames, n_mels): (batch,)."""
    power = (2 * mel.double()).exp().mean(dim=(1, 2))
    return (0.5 * (power + _TINY_POWER).log()).float()

"""What a transcriber says → the piano roll that Mel2Mel reads, with gradients.

The notes of a roll are decisions (`timbrel.transcription.decoding`), which have no gradient. So the
same rules are followed in probabilities: a key sounds since it was struck, as long as it goes on
and is not released. An onset that is missing is thus missed by all the frames of its note.

There are two ways to use these likely notes. The relaxed roll holds them as they are: a key that
is half likely is played half as loud, and keys that could explain a sound share it. Or the roll
holds the decoded notes, the only ones that Mel2Mel has met in its training, and only the gradient
is that of the likely ones (the straight-through estimator; Bengio, Léonard and Courville 2013).
That gradient misleads where several keys could explain what is missing: each is asked to sound
until it is decided, and then all do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from timbrel.constants import LOWEST_PITCH, N_PITCHES, PERFORMANCE
from timbrel.errors import InputError
from timbrel.score.performance_roll import ROLL_SIZES, PerformanceRoll
from timbrel.score.piano_roll import PianoRoll
from timbrel.transcription.decoding import NoteDecoder, Thresholds, probabilities
from timbrel.transcription.heard import note_rows
from timbrel.transcription.sizes import FRAME, OFFSET, ONSET, VELOCITY


@dataclass(frozen=True)
class RollLayout:
    """How the roll of a Mel2Mel is laid out, and at which rates.

    Raises
    ------
    InputError
        If a frame of the transcriber is not a whole number of the roll's.
    """

    kind: str  # of `timbrel.score.performance_roll.ROLL_SIZES`
    roll_rate: float  # frames a second, as of the transcriber's
    transcriber_rate: float

    def __post_init__(self) -> None:
        if self.ratio < 1 or self.ratio * self.transcriber_rate != self.roll_rate:
            raise InputError(
                f"a Mel2Mel of {self.roll_rate:g} frames a second cannot read what a transcriber "
                f"says {self.transcriber_rate:g} times a second: its rate must be a multiple"
            )

    @property
    def ratio(self) -> int:
        """Frames of the roll for one of the transcriber."""
        return int(self.roll_rate / self.transcriber_rate)

    @property
    def roll(self) -> type[PianoRoll]:
        return PerformanceRoll if self.kind == PERFORMANCE else PianoRoll


def relaxed_roll(
    values: Tensor, layout: RollLayout, thresholds: Thresholds, *, decided: bool
) -> Tensor:
    """The roll of what is heard, with the gradient of `likely_notes`.

    Parameters
    ----------
    values
        Of a `Transcriber`, (batch, frames, 88, heads): logits, velocities and bends, of which the
        latter stay out of the roll.
    layout, thresholds
        Of the roll, and those that decide.
    decided
        Whether the roll has the decoded notes instead of the likely ones.

    Returns
    -------
    Tensor, shape (batch, frames · layout.ratio, channels)
    """
    sounding, struck = likely_notes(values)
    sounding = sounding.repeat_interleave(layout.ratio, dim=1)
    # An onset is one frame long.
    later = struck.new_zeros(*struck.shape[:2], layout.ratio - 1, struck.shape[2])
    struck = torch.cat([struck[:, :, None], later], dim=2).flatten(1, 2)
    low = LOWEST_PITCH - layout.roll.lowest_key
    high = layout.roll.n_keys - low - N_PITCHES
    keys = torch.cat([functional.pad(part, (low, high)) for part in (sounding, struck)], dim=-1)
    likely = functional.pad(keys, (0, ROLL_SIZES[layout.kind] - keys.shape[-1]))
    if not decided:
        return likely
    hard = decided_rolls(values.detach().cpu().numpy(), layout, thresholds)
    return torch.from_numpy(hard).to(values.device) + (likely - likely.detach())


def likely_notes(values: Tensor) -> tuple[Tensor, Tensor]:
    """The expected velocities of keys that sound and of keys that are struck, 0 to 1.

    Parameters
    ----------
    values
        See `relaxed_roll`.

    Returns
    -------
    sounding, struck : Tensor, shape (batch, frames, 88)
    """
    likely = torch.sigmoid(values[..., : OFFSET + 1].float())
    # Onsets and releases are triangles of several frames, of which the decoder takes the peaks.
    onset, release = (_peaks(likely[..., head]) for head in (ONSET, OFFSET))
    struck = onset * values[..., VELOCITY].float()
    stays = (1 - onset) * likely[..., FRAME] * (1 - release)
    velocity = torch.zeros_like(struck[:, 0])
    sounding = []
    for begins, goes_on in zip(struck.unbind(1), stays.unbind(1), strict=True):
        velocity = begins + goes_on * velocity
        sounding.append(velocity)
    return torch.stack(sounding, dim=1), struck


def _peaks(likely: Tensor) -> Tensor:
    """Probabilities (batch, frames, keys) where they peak over time, 0 elsewhere."""
    around = functional.pad(likely.detach(), (0, 0, 1, 1), value=-1.0)
    peaks = (likely >= around[:, :-2]) & (likely > around[:, 2:])
    return likely * peaks


def decided_rolls(values: np.ndarray, layout: RollLayout, thresholds: Thresholds) -> np.ndarray:
    """The rolls of the notes that are decoded, (batch, frames · ratio, channels) float32."""
    rolls = []
    for found in values:
        decoder = NoteDecoder(layout.transcriber_rate, thresholds)
        rows = note_rows([*decoder.push(probabilities(found)), *decoder.finish()])
        rolls.append(layout.roll(rows, layout.roll_rate).window(0, len(found) * layout.ratio))
    return np.stack(rolls)

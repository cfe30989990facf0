"""Mel2Mel: piano roll and timbre → mel spectrogram.

The network of Kim, Bittner, Kumar and Bello, "Neural Music Synthesis for Flexible Timbre Control"
(ICASSP 2019): 1×1 convolution, FiLM, bidirectional LSTM, FiLM, 1×1 convolution. Where `head_size`
is not 0, a residual layer of so many units stands before the last convolution: the level of a band
is no linear function of the notes that sound in it, least of all in 166 instruments. Where
`film_size` is not 0, the FiLM vectors are no linear function of the timbre either: as one, those of
166 instruments would lie in as few dimensions as the timbre has. Where `note_units` is not 0, a
network of single notes (`timbrel.mel.note_network`) says what each note sounds like, and all the
above adds how simultaneous notes change each other. This file is the reference; its ONNX export is
used at run time (`timbrel.mel.generator`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from timbrel.bundles.bundle import Bundle
from timbrel.bundles.weights import with_weights
from timbrel.constants import N_MELS, PERFORMANCE, PIANO
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.film import FilmSizes
from timbrel.mel.note_network import TIMBRE_UNITS, NoteNetwork, NoteNetworkConfig
from timbrel.mel.notes_of_roll import notes_of_rolls
from timbrel.score.performance_roll import ROLL_SIZES
from timbrel.score.sounding import SoundingNotes

State = tuple[Tensor, Tensor]  # of an LSTM: hidden and cell, each (1, batch, hidden_size)


@dataclass(frozen=True)
class Mel2MelConfig:
    """Sizes of the network; the defaults are the published ones."""

    n_instruments: int
    timbre_size: int = 2
    roll: str = PIANO  # the kind of roll that it reads, of `ROLL_SIZES`
    hidden_size: int = 256
    n_mels: int = N_MELS
    head_size: int = 0  # units of the residual layer before the output; 0 is the published network
    film_size: int = 0  # units between a timbre and its FiLM vectors; 0 is the published network
    note_units: int = 0  # of the network of single notes; 0 is the published network, without one
    timbre_units: int = TIMBRE_UNITS  # of the same
    roll_size: int = 0  # follows from the roll where it is 0

    def __post_init__(self) -> None:
        if self.roll not in ROLL_SIZES:
            raise InputError(f"roll '{self.roll}' is unknown; known: {', '.join(ROLL_SIZES)}")
        if self.roll_size not in (0, ROLL_SIZES[self.roll]):
            raise InputError(f"a {self.roll} roll has {ROLL_SIZES[self.roll]} channels")
        object.__setattr__(self, "roll_size", ROLL_SIZES[self.roll])
        if self.note_units and self.roll != PERFORMANCE:
            raise InputError(f"a network of single notes needs {PERFORMANCE} rolls")


class FiLM(nn.Module):
    """Feature-wise linear modulation: scale and shift every feature as the timbre says.

    Parameters
    ----------
    timbre_size, n_features
        Sizes of what it reads and modulates.
    inner_size
        Units of a layer whose answer is added to the vectors; it begins as nothing. 0 for none.
    """

    def __init__(self, timbre_size: int, n_features: int, inner_size: int = 0) -> None:
        super().__init__()
        self.dense = nn.Linear(timbre_size, 2 * n_features)
        self.bent = TwoLayers(timbre_size, inner_size, 2 * n_features) if inner_size else None
        with torch.no_grad():  # start near the identity, so that the signal passes from the start
            self.dense.bias[:n_features] = 1.0
            self.dense.bias[n_features:] = 0.0

    def forward(self, features: Tensor, timbre: Tensor, film: Tensor | None = None) -> Tensor:
        """Modulate (batch, time, n_features) by a timbre (batch, 1 or time, timbre_size).

        Where `film` is given, (batch, 1 or time, 2 · n_features), it is added to the timbre's γ, β.
        """
        vectors = self.dense(timbre)
        if self.bent is not None:
            vectors = vectors + self.bent(timbre)
        if film is not None:
            vectors = vectors + film
        gamma, beta = vectors.chunk(2, dim=-1)  # (batch, 1 or time, n_features) each
        return gamma * features + beta


class TwoLayers(nn.Module):
    """What two layers add, the same for each frame. It begins as nothing."""

    def __init__(self, size: int, inner_size: int, outer_size: int) -> None:
        super().__init__()
        self.up = nn.Linear(size, inner_size)
        self.down = nn.Linear(inner_size, outer_size)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, values: Tensor) -> Tensor:
        """(…, size) → (…, outer_size)."""
        return self.down(torch.relu(self.up(values)))


class Mel2Mel(nn.Module):
    """The network, whole (`forward`) and in the parts that windowed inference runs.

    A timbre is a point of the embedding space, (batch, timbre_size) where it is constant, or
    (batch, time, timbre_size) where it moves. Behind the coordinates may follow FiLM vectors of the
    timbre's own; see `timbrel.mel.film`.
    """

    def __init__(self, config: Mel2MelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.n_instruments, config.timbre_size)
        self.input = nn.Linear(config.roll_size, config.hidden_size)
        self.film1 = FiLM(config.timbre_size, config.hidden_size, config.film_size)
        self.forward_lstm = _lstm(config.hidden_size)
        self.backward_lstm = _lstm(config.hidden_size)
        self.film2 = FiLM(config.timbre_size, 2 * config.hidden_size, config.film_size)
        both = 2 * config.hidden_size
        self.head = TwoLayers(both, config.head_size, both) if config.head_size else None
        self.output = nn.Linear(2 * config.hidden_size, config.n_mels)
        self.notes = None
        if config.note_units:
            sizes = NoteNetworkConfig(
                config.timbre_size,
                config.n_mels,
                timbre_units=config.timbre_units,
                note_units=config.note_units,
            )
            self.notes = NoteNetwork(sizes)
            nn.init.zeros_(self.output.weight)  # single notes alone, to begin with
            nn.init.zeros_(self.output.bias)

    def forward(self, roll: Tensor, timbre: Tensor, alone: Tensor | None = None) -> Tensor:
        """Natural-log mel (batch, time, n_mels) of a whole roll (batch, time, roll_size).

        `alone` is the mel of the single notes, as `mel` wants it.
        """
        features = self.features(roll, timbre)
        past, _ = self.past(features)
        future = self.future(features)
        return self.mel(past, future, timbre, alone)

    def features(self, roll: Tensor, timbre: Tensor) -> Tensor:
        """What both LSTMs read, (batch, time, hidden_size)."""
        place, own, _, _ = self._parts(timbre)
        return self.film1(self.input(roll), place, own)

    def past(self, features: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The forward LSTM from a state on: (batch, time, hidden_size) and the next state."""
        return self.forward_lstm(features, state)

    def future(self, features: Tensor, state: State | None = None) -> Tensor:
        """The backward LSTM, from the end of the features: (batch, time, hidden_size)."""
        hidden, _ = self.backward_lstm(features.flip(1), state)
        return hidden.flip(1)

    def windowed_future(self, features: Tensor, n_frames: int, hop: int, context: int) -> Tensor:
        """The backward LSTM as windowed inference runs it, begun anew for every hop.

        Parameters
        ----------
        features : Tensor, shape (batch, n_frames + context, hidden_size)
        n_frames
            Frames to give, a multiple of `hop`.
        hop, context
            Each hop sees `context` frames beyond its own.

        Returns
        -------
        Tensor, shape (batch, n_frames, hidden_size)
        """
        batch = len(features)
        windows = features[:, : n_frames + context].unfold(1, hop + context, hop)
        # (batch, n_windows, hidden_size, hop + context)
        windows = windows.permute(0, 1, 3, 2).flatten(0, 1)
        future = self.future(windows)[:, :hop]  # (batch · n_windows, hop, hidden_size)
        return future.reshape(batch, n_frames, -1)

    def mel(
        self, past: Tensor, future: Tensor, timbre: Tensor, alone: Tensor | None = None
    ) -> Tensor:
        """Natural-log mel (batch, time, n_mels) from what both LSTMs say.

        Where the model has a network of single notes, `alone` is their mel, (batch, time, n_mels).
        """
        place, _, own, _ = self._parts(timbre)
        features = self.film2(torch.cat([past, future], dim=-1), place, own)
        if self.head is not None:
            features = features + self.head(features)
        mel = self.output(features)
        return mel if alone is None else alone + mel

    def alone(
        self, told: Sequence[SoundingNotes], timbre: Tensor, n_frames: int, floor: float
    ) -> Tensor | None:
        """The mel of the single notes of each sequence, (batch, n_frames, n_mels).

        None where the model has no network of single notes. The timbres, (batch, size), may have
        FiLM vectors of their own.
        """
        if self.notes is None:
            return None
        place, _, _, own = self._parts(timbre)
        still = None if own is None else own[:, 0]
        return self.notes.mel(told, place[:, 0], n_frames, floor, still)

    def alone_in_rolls(
        self,
        rolls: Tensor,
        timbre: Tensor,
        mel: MelConfig,
        is_kit: Sequence[bool] | np.ndarray | None = None,
    ) -> Tensor | None:
        """The same of the notes that are in rolls, (batch, time, roll_size).

        One roll may be played in many timbres. See `notes_of_rolls`.
        """
        if self.notes is None:
            return None
        told = notes_of_rolls(rolls, mel.frame_rate, is_kit) * (len(timbre) // len(rolls))
        return self.alone(told, timbre, rolls.shape[1], mel.floor)

    def _parts(self, timbre: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """The embedding, and what is the timbre's own for both layers and notes if it has it."""
        timbre, size = _over_time(timbre), self.config.timbre_size
        if timbre.shape[-1] == size:
            return timbre, None, None, None
        return timbre.split([size, *FilmSizes.of(vars(self.config))], dim=-1)


def load_mel2mel(bundle: Bundle) -> Mel2Mel:
    """Make the reference network of a bundle, in single precision, ready to compute."""
    try:
        model = Mel2Mel(Mel2MelConfig(**bundle.model))
    except TypeError as error:
        raise InputError(f"{bundle.path}: is not a Mel2Mel of this Timbrel ({error})") from None
    return with_weights(model, bundle)


def _over_time(timbre: Tensor) -> Tensor:
    return timbre[:, None] if timbre.ndim == 2 else timbre


def _lstm(size: int) -> nn.LSTM:
    lstm = nn.LSTM(size, size, batch_first=True)
    parameters = dict(lstm.named_parameters())
    with torch.no_grad():
        # PyTorch adds two biases; the second stays at zero, so that there is one for each gate.
        parameters["bias_hh_l0"].zero_()
        parameters["bias_ih_l0"].zero_()
        parameters["bias_ih_l0"][size : 2 * size] = 1.0  # the forget gate starts open
    parameters["bias_hh_l0"].requires_grad_(False)
    return lstm

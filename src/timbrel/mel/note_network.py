"""Notes, one by one → mel spectrogram: the part of Mel2Mel that knows what one note sounds like.

The power of several notes of an instrument is, but for their phases, the sum of the powers that
each has alone. So the network says what one note sounds like, of which there is much less to learn
than of all that can sound together. A first part reads what is known of the note (key, pitch,
velocity, timbre) and gives a few spectra and the gains of a small second part, which reads the time
since its onset and since its release and weights the spectra. The first part is costly, and runs
once for a note as long as nothing about it moves; the second is cheap, and runs for every frame.

This file is the reference; its ONNX export is used at run time (`timbrel.mel.generator`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from timbrel.errors import InputError
from timbrel.mel.film import NOTE_FILMS
from timbrel.score.performance_roll import N_KEYS
from timbrel.score.sounding import STRETCH, SoundingNotes

# Where the bumps lie that say how much time went by, in the natural logarithm of seconds.
SINCE_ONSET = torch.linspace(-4.8, 1.3, 14)
SINCE_RELEASE = torch.linspace(-4.8, 1.0, 10)
ONSET_WIDTH, RELEASE_WIDTH = 0.45, 0.6
SHORTEST_S = 0.008  # times below it are told apart by ramps, not by logarithms
NEAR_S = 0.04  # so far the ramps reach on either side: half the window of a mel frame and more
LONGEST_S, LONGEST_RELEASE_S = 4.0, 2.0
# Bumps over the pitches.
PITCHES, PITCH_WIDTH = torch.arange(12.0, 124.0, 4.0), 3.0
LEAST_SHARE = 0.02  # of the largest velocity, below which levels fall no further
N_NOTE_FEATURES = len(PITCHES) + 6
N_TIME_FEATURES = len(SINCE_ONSET) + len(SINCE_RELEASE) + 6
TIMBRE_SCALE = 0.4  # about the standard deviation of the places in the space
TIMBRE_UNITS = 384  # features of a timbre, unless a model says more
LOUDEST = math.log(1e4)  # of levels; beyond it their powers would only overflow
_QUIET = -6.0  # natural logarithm: where spectra begin


@dataclass(frozen=True)
class NoteNetworkConfig:
    """Sizes of the network."""

    timbre_size: int
    n_mels: int
    timbre_units: int = TIMBRE_UNITS
    note_units: int = 512
    n_spectra: int = 24  # that are weighted over time, beside the one that is always there
    time_units: int = 64

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 1:
            raise InputError("the sizes of a note network must be positive")


class NoteNetwork(nn.Module):
    """The network in its two parts: `codes` for each note, `levels` for each of its frames."""

    def __init__(self, config: NoteNetworkConfig) -> None:
        super().__init__()
        self.config = c = config
        self.timbre1 = nn.Linear(c.timbre_size, c.timbre_units)
        self.timbre2 = nn.Linear(c.timbre_units, c.timbre_units)
        self.note = nn.Linear(N_NOTE_FEATURES, c.note_units)
        self.key = nn.Embedding(N_KEYS, c.note_units)
        films = [nn.Linear(c.timbre_units, 2 * c.note_units) for _ in range(NOTE_FILMS)]
        layers = [nn.Linear(c.note_units, c.note_units) for _ in range(NOTE_FILMS - 1)]
        self.films, self.layers = nn.ModuleList(films), nn.ModuleList(layers)
        self.spectra = nn.Linear(c.note_units, (c.n_spectra + 1) * c.n_mels)
        self.gains = nn.Linear(c.note_units, 2 * c.time_units)
        self.time = nn.Linear(N_TIME_FEATURES, c.time_units)
        self.weights = nn.Linear(c.time_units, c.n_spectra)
        with torch.no_grad():
            self.key.weight.mul_(0.2)
            self.spectra.weight.mul_(0.3)
            self.spectra.bias[: c.n_mels] += _QUIET

    def codes(
        self, notes: Tensor, timbre: Tensor, own: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What is computed once for a note.

        Parameters
        ----------
        notes : Tensor, shape (notes, 4)
            The struck key, the pitch that sounds (MIDI, with its fraction), the velocity (1–127),
            and 1 for a stroke of a drum kit, else 0.
        timbre : Tensor, shape (notes, timbre_size)
            Of each note.
        own : Tensor, shape (notes, FilmSizes.notes)
            What the timbre adds to the FiLM vectors of its place; see `mel/film.py`.

        Returns
        -------
        spectra : Tensor, shape (notes, n_spectra + 1, n_mels)
        gains : Tensor, shape (notes, 2 · time_units)
        """
        space = gelu(self.timbre1(timbre / TIMBRE_SCALE))
        space = space + gelu(self.timbre2(space))
        vectors = [film(space) for film in self.films]
        if own is not None:
            vectors = [v + more for v, more in zip(vectors, own.chunk(NOTE_FILMS, 1), strict=True)]
        struck = self.note(_note_features(notes)) + self.key(notes[:, 0].long())
        features = gelu(_modulated(struck, vectors[0]))
        for layer, film in zip(self.layers, vectors[1:], strict=True):
            features = features + gelu(_modulated(layer(features), film))
        spectra = self.spectra(features)
        return spectra.unflatten(1, (-1, self.config.n_mels)), self.gains(features)

    def levels(self, spectra: Tensor, gains: Tensor, times_s: Tensor) -> Tensor:
        """Natural-log mel of some frames of each note.

        Parameters
        ----------
        spectra, gains
            Of `codes`.
        times_s : Tensor, shape (notes, frames, 2)
            Since the onset and since the release of the note, negative before them.

        Returns
        -------
        Tensor, shape (notes, frames, n_mels)
        """
        units = _modulated(self.time(_time_features(times_s)), gains[:, None])
        weights = self.weights(gelu(units))
        return spectra[:, :1] + weights @ spectra[:, 1:]

    def forward(self, notes: Tensor, timbre: Tensor, times_s: Tensor) -> Tensor:
        """Both parts: (notes, frames, n_mels)."""
        return self.levels(*self.codes(notes, timbre), times_s)

    @torch.compiler.disable  # the numbers of notes and rows change with each batch
    def mel(
        self,
        told: Sequence[SoundingNotes],
        timbre: Tensor,
        n_frames: int,
        floor: float,
        own: Tensor | None = None,
    ) -> Tensor:
        """Natural-log mel (batch, n_frames, n_mels) of what is heard in stretches of a length.

        Parameters
        ----------
        told
            The notes of each stretch.
        timbre : Tensor, shape (batch, timbre_size)
            In which each is played.
        n_frames
            How long the stretches are.
        floor
            Of the mels' magnitude.
        own : Tensor, shape (batch, FilmSizes.notes)
            As of `codes`.
        """
        device = timbre.device
        counts = [len(one.notes) for one in told]
        notes = torch.cat([torch.as_tensor(one.notes, device=device) for one in told])
        which = torch.repeat_interleave(torch.arange(len(told)), torch.tensor(counts)).to(device)
        spectra, gains = self.codes(notes, timbre[which], None if own is None else own[which])
        firsts = np.cumsum([0, *counts[:-1]])
        of_note = np.concatenate([one.of_note + f for one, f in zip(told, firsts, strict=True)])
        n_stretches = -(-n_frames // STRETCH)
        stretches = np.concatenate([one.stretches + i * n_stretches for i, one in enumerate(told)])
        times_s = torch.from_numpy(np.concatenate([one.times_s for one in told])).to(device)
        of = torch.from_numpy(of_note).to(device)
        levels = self.levels(spectra[of], gains[of], times_s)
        places = torch.from_numpy(stretches).to(device)
        mel = summed(levels, places, len(told) * n_stretches, floor)
        return mel.reshape(len(told), n_stretches * STRETCH, -1)[:, :n_frames]


def _modulated(features: Tensor, vectors: Tensor) -> Tensor:
    gamma, beta = vectors.chunk(2, dim=-1)
    return features * (1 + gamma) + beta


def _note_features(notes: Tensor) -> Tensor:
    """(notes, 4) → (notes, N_NOTE_FEATURES)."""
    _, pitch, velocity, kit = notes[:, None].unbind(-1)
    share = velocity / 127
    bumps = torch.exp(-(((pitch - PITCHES.to(pitch)) / PITCH_WIDTH) ** 2))
    level = torch.cat([share, share**2, torch.log(share + LEAST_SHARE) / 4], 1)
    return torch.cat([bumps, level, (pitch - 60) / 24, 2 * (pitch - pitch.round()), kit], 1)


def _time_features(times_s: Tensor) -> Tensor:
    """(…, 2) → (…, N_TIME_FEATURES)."""
    age, released = times_s.split(1, dim=-1)
    begun, over = (age >= 0).to(age), (released > 0).to(age)
    return torch.cat(
        [
            _bumps(age, SINCE_ONSET, ONSET_WIDTH) * begun,
            _bumps(released, SINCE_RELEASE, RELEASE_WIDTH) * over,
            begun,
            over,
            age.clamp(-NEAR_S, NEAR_S) / NEAR_S,
            released.clamp(-NEAR_S, NEAR_S) / NEAR_S,
            age.clamp(0, LONGEST_S),
            released.clamp(0, LONGEST_RELEASE_S),
        ],
        dim=-1,
    )


def _bumps(times_s: Tensor, places: Tensor, width: float) -> Tensor:
    logarithm = torch.log(times_s.clamp(min=0) + SHORTEST_S)
    return torch.exp(-(((logarithm - places.to(times_s)) / width) ** 2))


def summed(levels: Tensor, places: Tensor, n_places: int, floor: float) -> Tensor:
    """Natural-log mel (n_places, frames, n_mels) of notes that sound together.

    Parameters
    ----------
    levels : Tensor, shape (rows, frames, n_mels)
        Natural-log mels of notes.
    places : Tensor of int64, shape (rows,)
        In which stretch of frames each row sounds.
    n_places
        Stretches of the result.
    floor
        Of the mels' magnitude.
    """
    with torch.autocast(levels.device.type, enabled=False):  # powers need single precision
        levels = levels.float()
        power = levels.new_full((n_places, *levels.shape[1:]), floor**2)
        power = power.index_add(0, places, torch.exp((2 * levels).clamp(max=2 * LOUDEST)))
        return 0.5 * torch.log(power)

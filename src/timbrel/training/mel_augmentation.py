"""Chance changes of mel spectrograms, for training that is to know sounds of other makers.

They stand for what recordings do to a sound: another level, an equaliser, a narrow channel, a room,
noise, other tunings and speeds. Since all of them work on mels, a batch takes a few hundredths of a
second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import band_edges_hz
from timbrel.training.augmentation import Chances

NATS_PER_DB = np.log(10) / 20  # of magnitude
_TINY = 1e-12
_REFERENCE_HZ = 1000.0


@dataclass(frozen=True)
class MelAugmentation(Chances):
    """How often and how much mels are changed; shares are of crops, ranges uniform.

    Raises
    ------
    InputError
        If a share is no share.
    """

    warp_share: float = 0.5  # other speeds and tunings
    speed: tuple[float, float] = (0.8, 1.25)
    shift_bands: float = 1.5  # to either side
    equalizer_share: float = 0.7
    equalizer_knots: tuple[int, int] = (3, 12)  # evenly spaced over the bands
    equalizer_db: float = 9.0  # at each knot, to either side
    tilt_share: float = 0.5
    tilt_db: float = 4.0  # an octave, to either side
    low_pass_share: float = 0.4
    low_pass_hz: tuple[float, float] = (4000.0, 20_000.0)
    high_pass_share: float = 0.2
    high_pass_hz: tuple[float, float] = (40.0, 300.0)
    room_share: float = 0.3
    room_s: tuple[float, float] = (0.2, 2.0)  # in which it falls by 60 dB
    room_db: tuple[float, float] = (-20.0, 0.0)  # the room's power where a sound is held
    envelope_share: float = 0.2  # the level moves
    envelope_db: float = 6.0
    noise_share: float = 0.6
    noise_db: tuple[float, float] = (-70.0, -8.0)  # against the mean power
    level_db: tuple[float, float] = (-36.0, 12.0)

    def source_frames(self, n_frames: int) -> int:
        """How many frames a crop of so many may need."""
        return int(np.ceil(n_frames * max(self.speed))) + 2


def augmented(
    mels: np.ndarray,
    n_frames: int,
    config: MelConfig,
    how: MelAugmentation,
    random: np.random.Generator,
) -> np.ndarray:
    """Change each mel of a batch by chance.

    Parameters
    ----------
    mels
        Natural-log mels, (batch, how.source_frames(n_frames), n_mels).
    n_frames
        Frames to give.
    config
        The mels' geometry.

    Returns
    -------
    ndarray of float32, shape (batch, n_frames, n_mels)
    """
    n_batch, _, n_mels = mels.shape

    def chosen(share: float) -> np.ndarray:
        return np.asarray(random.random(n_batch) < share)

    out = np.ascontiguousarray(mels[:, :n_frames], np.float32)
    for i in np.flatnonzero(chosen(how.warp_share)):
        shift = random.uniform(-how.shift_bands, how.shift_bands)
        out[i] = _warped(mels[i], n_frames, random.uniform(*how.speed), shift)
    curve = np.zeros((n_batch, n_mels))
    for i in np.flatnonzero(chosen(how.equalizer_share)):
        n_knots = int(random.integers(how.equalizer_knots[0], how.equalizer_knots[1] + 1))
        knots = random.uniform(-how.equalizer_db, how.equalizer_db, n_knots)
        curve[i] = np.interp(np.linspace(0, n_knots - 1, n_mels), np.arange(n_knots), knots)
    octaves = np.log2(np.maximum(band_edges_hz(config)[1:-1], 20.0) / _REFERENCE_HZ)
    tilt = chosen(how.tilt_share) * random.uniform(-how.tilt_db, how.tilt_db, n_batch)
    curve += tilt[:, None] * octaves
    curve += _passes(octaves, how, random, n_batch)
    curve[:] = np.clip(curve, -200.0, 60.0)
    out += (curve * NATS_PER_DB).astype(np.float32)[:, None]
    moving = np.flatnonzero(chosen(how.envelope_share))
    for i in moving:
        knots = random.uniform(-how.envelope_db, how.envelope_db, int(random.integers(2, 8)))
        places = np.linspace(0, len(knots) - 1, n_frames)
        out[i] += (NATS_PER_DB * np.interp(places, np.arange(len(knots)), knots))[:, None]
    power = np.exp(2 * out)
    rooms = np.flatnonzero(chosen(how.room_share))
    if len(rooms):
        power[rooms] = _in_room(power[rooms], config, how, random)
    noisy = np.flatnonzero(chosen(how.noise_share))
    if len(noisy):
        db = random.uniform(*how.noise_db, len(noisy))
        level = power[noisy].mean(axis=(1, 2)) * 10 ** (db / 10)
        shape = noise_power((len(noisy), n_frames, n_mels), octaves, random)
        power[noisy] += level[:, None, None].astype(np.float32) * shape
    level = (NATS_PER_DB * random.uniform(*how.level_db, n_batch)).astype(np.float32)
    out = 0.5 * np.log(power + _TINY) + level[:, None, None]
    return np.maximum(out, np.float32(np.log(config.floor)))


def noise_power(
    shape: tuple[int, int, int], octaves: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Noises of all colours as power spectra (batch, frames, bands) with a mean near 1."""
    tilt = random.uniform(-6.0, 3.0, shape[0])  # dB an octave
    colour = 10 ** (tilt[:, None] * octaves / 10)
    colour /= colour.mean(axis=1, keepdims=True)
    texture = np.exp(0.7 * random.standard_normal(shape, np.float32) - 0.25)
    return texture * colour[:, None].astype(np.float32)


def _warped(mel: np.ndarray, n_frames: int, speed: float, shift: float) -> np.ndarray:
    """A mel played at another speed, its bands moved."""
    n_bands = mel.shape[1]
    times = np.minimum(np.arange(n_frames) * speed, len(mel) - 1.001)
    first = times.astype(int)
    part = (times - first).astype(np.float32)[:, None]
    mel = mel[first] * (1 - part) + mel[first + 1] * part
    places = np.clip(np.arange(n_bands) - shift, 0, n_bands - 1.001)
    lower = places.astype(int)
    part = (places - lower).astype(np.float32)
    return mel[:, lower] * (1 - part) + mel[:, lower + 1] * part


def _passes(
    octaves: np.ndarray, how: MelAugmentation, random: np.random.Generator, n_batch: int
) -> np.ndarray:
    """Low-pass and high-pass filters of chance steepness, in dB, (batch, bands)."""
    curve = np.zeros((n_batch, len(octaves)))
    for share, edges, sign in (
        (how.low_pass_share, how.low_pass_hz, 1),
        (how.high_pass_share, how.high_pass_hz, -1),
    ):
        filtered = random.random(n_batch) < share
        low, high = np.log2(np.array(edges) / _REFERENCE_HZ)
        edge = random.uniform(low, high, n_batch)
        steepness = random.choice((12.0, 48.0, 400.0), n_batch)  # dB an octave
        beyond = np.maximum(sign * (octaves - edge[:, None]), 0)
        curve -= (filtered * steepness)[:, None] * beyond
    return curve


def _in_room(
    power: np.ndarray, config: MelConfig, how: MelAugmentation, random: np.random.Generator
) -> np.ndarray:
    """Power spectra with what a room adds: it decays, sooner at high frequencies."""
    n_batch, n_frames, n_bands = power.shape
    decay_s = np.asarray(random.uniform(*how.room_s, size=n_batch))[:, None]
    decay_s = decay_s * np.linspace(1.0, random.uniform(0.3, 1.0), n_bands)
    frame_rate = config.sample_rate / config.hop_length
    kept = (10 ** (-6 / (decay_s * frame_rate))).astype(np.float32)
    share_db = np.asarray(random.uniform(*how.room_db, size=n_batch))[:, None]
    share = (10 ** (share_db / 10)).astype(np.float32)
    state = np.zeros((n_batch, n_bands), np.float32)
    out = np.empty_like(power)
    for k in range(n_frames):
        out[:, k] = power[:, k] + share * state
        state = kept * state + (1 - kept) * power[:, k]
    return out

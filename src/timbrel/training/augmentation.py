"""What happens to sound on its way from an instrument to a recording, drawn by chance.

Rooms, equalisers and band limits are filters, and so are applied in one go; noise and level come
last. All draws are from a generator that is given, so that a crop is a function of its seed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from timbrel.errors import InputError

_SOFT = 1e-2  # a peak; noise is added as if a sound were no softer
_SILENT = 1e-4  # a loudness below which nothing is to be made louder
_MOST_GAIN = 30.0
_VOICE_HARMONICS = 24


@dataclass(frozen=True)
class Chances:
    """Options of what happens by chance: shares of crops, and ranges.

    Raises
    ------
    InputError
        If a share is not from 0 to 1.
    """

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name.endswith("_share") and not 0 <= value <= 1:
                raise InputError(f"'{each.name}' must be from 0 to 1, not {value}")
            if isinstance(value, list):  # YAML gives lists
                object.__setattr__(self, each.name, tuple(value))


@dataclass(frozen=True)
class Augmentation(Chances):
    """How often sound is changed, and how much.

    Raises
    ------
    InputError
        If a share is not from 0 to 1.
    """

    second_share: float = 0.45  # crops in which another instrument plays as well
    third_share: float = 0.15
    drums_share: float = 0.3
    noise_share: float = 0.4
    reverb_share: float = 0.4
    equalizer_share: float = 0.5
    band_limit_share: float = 0.2
    detune_share: float = 0.5
    speech_share: float = 0.04  # crops in which somebody seems to speak
    empty_share: float = 0.05  # crops without any note, of drums, speech, noise or silence
    detune_cents: float = 30.0  # to either side
    softest_other_db: float = -9.0  # another instrument, against the first
    drums_db: tuple[float, float] = (-18.0, 0.0)  # against the first instrument's peak
    speech_db: tuple[float, float] = (-18.0, 3.0)  # against the first instrument's peak
    noise_db: tuple[float, float] = (-60.0, -15.0)  # against the peak
    equalizer_db: float = 9.0  # at each octave, to either side
    reverb_s: tuple[float, float] = (0.2, 1.8)  # in which it falls by 60 dB
    reverb_db: tuple[float, float] = (-18.0, 0.0)  # its energy, against the direct sound's
    highest_hz: tuple[float, float] = (2500.0, 7500.0)  # where a low-pass begins
    lowest_hz: tuple[float, float] = (30.0, 250.0)
    # The level of all, against that of the data, but never beyond full scale: a wide range, but not
    # so wide that the level of a note would say nothing of its velocity.
    level_db: tuple[float, float] = (-14.0, 20.0)


def gain(db: float) -> float:
    """The factor of so many decibels."""
    return float(10 ** (db / 20))


def filtered(
    audio: np.ndarray, sample_rate: int, how: Augmentation, random: np.random.Generator
) -> np.ndarray:
    """Sound in a room, through an equaliser and a narrow channel, or as it is: (samples,)."""
    reverb = random.random() < how.reverb_share
    equalizer = random.random() < how.equalizer_share
    band_limit = random.random() < how.band_limit_share
    if not (reverb or equalizer or band_limit):
        return audio
    room = _room(sample_rate, how, random) if reverb else np.ones(1, np.float32)
    size = 1 << int(np.ceil(np.log2(len(audio) + len(room))))
    response = np.fft.rfft(room, size)
    hz = np.fft.rfftfreq(size, 1 / sample_rate)
    if equalizer:
        octaves = np.log2(np.maximum(hz, 20) / 20)
        knots = random.uniform(-how.equalizer_db, how.equalizer_db, int(octaves[-1]) + 2)
        response = response * 10 ** (np.interp(octaves, np.arange(len(knots)), knots) / 20)
    if band_limit:
        low, high = random.uniform(*how.lowest_hz), random.uniform(*how.highest_hz)
        steepness = random.uniform(8, 40)
        response = response / np.sqrt(1 + (hz / high) ** steepness)
        response = response / np.sqrt(1 + (low / np.maximum(hz, 1)) ** 8)
    return np.fft.irfft(np.fft.rfft(audio, size) * response, size)[: len(audio)].astype(np.float32)


def recorded(
    audio: np.ndarray, sample_rate: int, how: Augmentation, random: np.random.Generator
) -> np.ndarray:
    """Sound as a recording may hold it: filtered, with noise, at another level; (samples,)."""
    audio = filtered(audio, sample_rate, how, random)
    if random.random() < how.noise_share:
        level = gain(random.uniform(*how.noise_db)) * max(float(np.abs(audio).max()), _SOFT)
        audio = audio + level * noise(len(audio), sample_rate, random)
    level = min(gain(random.uniform(*how.level_db)), 1 / max(float(np.abs(audio).max()), _SOFT))
    return (audio * level).astype(np.float32)


def balance(audio: np.ndarray, part: np.ndarray) -> float:
    """The factor that makes a part as loud as what there is, where both can be heard."""
    loudness, other = (float(np.sqrt(np.mean(sound**2))) for sound in (audio, part))
    return min(loudness / other, _MOST_GAIN) if min(loudness, other) > _SILENT else 1.0


def speech(n_samples: int, sample_rate: int, random: np.random.Generator) -> np.ndarray:
    """Something like a voice that speaks, with a peak near 0.3: a transcriber must hear no notes.

    A buzz whose pitch never stays, with three formants that move from syllable to syllable, and
    hisses between.
    """
    times_s = np.arange(n_samples) / sample_rate
    knots_s = np.arange(0, times_s[-1] + 0.5, random.uniform(0.12, 0.25))  # one for each syllable

    def curve(low: float, high: float) -> np.ndarray:
        return np.interp(times_s, knots_s, random.uniform(low, high, len(knots_s)))

    octaves = curve(-0.35, 0.35) + np.interp(
        times_s, knots_s, np.linspace(0.15, -0.15, len(knots_s))
    )
    pitch_hz = random.uniform(90, 240) * 2**octaves
    phase = 2 * np.pi * np.cumsum(pitch_hz) / sample_rate
    formants_hz = [curve(*edges) for edges in ((300, 900), (900, 2300), (2300, 3200))]
    voice = np.zeros(n_samples)
    for harmonic in range(1, _VOICE_HARMONICS + 1):
        hz = harmonic * pitch_hz
        peaks = sum(1 / (1 + ((hz - formant) / 120) ** 2) for formant in formants_hz)
        voice += (peaks + 0.02) / np.sqrt(harmonic) * np.sin(harmonic * phase)
    loud = np.maximum(curve(-0.4, 1.0), 0)
    hiss = np.diff(random.standard_normal(n_samples + 1)) * np.maximum(curve(-1.0, 0.3), 0)
    sound = voice * loud + hiss
    return (0.3 * sound / max(np.abs(sound).max(), _SOFT)).astype(np.float32)


def _room(sample_rate: int, how: Augmentation, random: np.random.Generator) -> np.ndarray:
    """An impulse response: the direct sound, and noise that decays."""
    decay_s = random.uniform(*how.reverb_s)
    times_s = np.arange(round(min(decay_s, 1.0) * sample_rate)) / sample_rate
    tail = random.standard_normal(len(times_s)).astype(np.float32)
    tail *= np.exp(-np.log(1000) * times_s / decay_s).astype(np.float32)
    tail[: round(random.uniform(0.001, 0.02) * sample_rate)] = 0
    # High frequencies decay faster: a smoothed tail is mixed in as it grows older.
    smooth = np.convolve(tail, np.full(4, 0.25, np.float32), "same")
    age = np.minimum(times_s / decay_s * 2, 1).astype(np.float32)
    tail = tail * (1 - age) + smooth * age
    energy = max(float((tail**2).sum()), 1e-9)
    tail *= gain(random.uniform(*how.reverb_db)) / float(np.sqrt(energy))
    tail[0] += 1
    return tail


def noise(n_samples: int, sample_rate: int, random: np.random.Generator) -> np.ndarray:
    """Noise with a peak near 1, from white to brown, sometimes with mains hum."""
    spectrum = np.fft.rfft(random.standard_normal(n_samples).astype(np.float32))
    hz = np.fft.rfftfreq(n_samples, 1 / sample_rate)
    tilted = np.fft.irfft(spectrum / np.maximum(hz, 40) ** random.uniform(0, 1), n_samples)
    tilted /= np.abs(tilted).max()
    if random.random() < 0.1:
        mains_hz = random.choice((50.0, 60.0))
        times_s = np.arange(n_samples) / sample_rate
        for k in range(1, 8):
            tilted += random.uniform(0, 0.3) / k * np.sin(2 * np.pi * mains_hz * k * times_s)
    return tilted.astype(np.float32)

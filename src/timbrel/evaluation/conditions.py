"""The conditions of an evaluation: the ways in which a score is turned into sound.

The original is FluidSynth's rendering; the others are the original after µ-law, each vocoder on the
true mel, and each model's mel through each vocoder.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.engine.mulaw import mu_law_decode, mu_law_encode
from timbrel.errors import InputError
from timbrel.evaluation.cache import Cache, key_of, source_key
from timbrel.evaluation.originals import Original, keep_audio
from timbrel.geometry import MelConfig
from timbrel.measures.sound import level_db
from timbrel.mel.generator import MelGenerator
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Note
from timbrel.sound import read_audio
from timbrel.timbre.timbre import Timbre
from timbrel.vocoder.catalog import load_vocoder
from timbrel.vocoder.vocoder import Vocoder

ORIGINAL, MU_LAW, TRUE_MEL = "original", "µ-law only", "true mel"


@dataclass(frozen=True)
class Condition:
    """A way from a score to sound."""

    source: str  # a model's name, or what there is without one
    vocoder: str = ""  # its name; none for the original and for µ-law
    vocoder_source: str = ""  # the same, or its bundle's folder
    model: str = ""  # a bundle's folder; none for what is made of the true mel
    loss: str = ""  # that the model was trained with
    key: str = ""  # of what its vocoder and its model do
    model_key: str = ""
    mel: MelConfig = field(default_factory=MelConfig)

    @property
    def name(self) -> str:
        return f"{self.source}, {self.vocoder}" if self.vocoder else self.source


def plan_conditions(bundles: Sequence[Bundle], vocoders: Sequence[str]) -> list[Condition]:
    """All conditions of some models, of one mel geometry, and vocoders.

    Raises
    ------
    InputError
        If a vocoder is not known, or two have one name.
    """
    mel = bundles[0].mel
    keys = {source: vocoder_key(source, mel) for source in vocoders}
    names = {source: vocoder_name(source) for source in vocoders}
    if len(set(names.values())) < len(names):
        raise InputError("two of the vocoders have the same name; rename the folder of one")
    conditions = [Condition(ORIGINAL, mel=mel), Condition(MU_LAW, mel=mel)]
    conditions += [
        Condition(TRUE_MEL, name, source, key=keys[source], mel=mel)
        for source, name in names.items()
    ]
    for bundle in bundles:
        model_key = generator_key(str(bundle.path))
        conditions += [
            Condition(
                bundle.name,
                name,
                source,
                model=str(bundle.path),
                loss=str(bundle.training.get("loss", "")),
                key=key_of(keys[source], model_key),
                model_key=model_key,
                mel=mel,
            )
            for source, name in names.items()
        ]
    return conditions


def audio_key(condition: Condition, original_key: str) -> str:
    """Under which the sound of a condition is cached."""
    if condition.name == ORIGINAL:
        return original_key
    here = source_key(sys.modules[__name__])
    return key_of(here, condition.key or condition.name, original_key)


class Maker:
    """Makes the sounds of one clip, or takes them from the cache.

    Parameters
    ----------
    original
        The clip as FluidSynth plays it.
    cache
        For the sounds.
    """

    def __init__(self, original: Original, cache: Cache) -> None:
        self._original, self._cache = original, cache
        self._mels: dict[str, np.ndarray] = {}

    def audio(self, condition: Condition) -> np.ndarray:
        """The sound of a condition, (samples,), in 16 bits as the original."""
        original = self._original
        if condition.name == ORIGINAL:
            return original.audio
        path = self._cache.path("audio", audio_key(condition, original.clip.key), ".flac")
        if not path.exists():
            made = self._made(condition)
            keep_audio(self._cache, path, made, original.clip.sample_rate)
        return read_audio(path)[0]

    def mel(self, model: str) -> np.ndarray:
        """A model's mel of the excerpt, (frames, n_mels), natural logarithm."""
        bundle = _bundle(model)
        n_frames = len(self._original.audio) // bundle.mel.hop_length
        return self._whole_mel(model)[-n_frames:]

    def _made(self, condition: Condition) -> np.ndarray:
        original = self._original
        if condition.name == MU_LAW:
            return mu_law_decode(mu_law_encode(original.audio))
        if condition.model:
            mel, begin_s = self._whole_mel(condition.model), 0.0
        else:
            mel, begin_s = mel_spectrogram(original.audio, condition.mel), original.pre_roll_s
        # A vocoder that knows the score is to know where in it the mel begins.
        notes = original.score.excerpt(begin_s).notes
        roll = PianoRoll(notes, condition.mel.frame_rate)
        stream = _vocoder(condition.vocoder_source, condition.mel).stream([roll])
        return stream.process(mel[None], last=True)[0][-len(original.audio) :]

    def _whole_mel(self, model: str) -> np.ndarray:
        """The pre-roll included."""
        if model not in self._mels:
            self._mels[model] = synthesised_mel(_bundle(model), self._original)
        return self._mels[model]


def synthesised_mel(bundle: Bundle, original: Original) -> np.ndarray:
    """A model's mel of what an original plays, (frames, n_mels), the pre-roll included."""
    n_frames = round(original.pre_roll_s * bundle.mel.frame_rate)
    n_frames += len(original.audio) // bundle.mel.hop_length
    # Models know one instrument by different points.
    name = original.clip.instrument.name
    instrument = next(i for i in bundle.instruments if i.name == name)
    timbre = Timbre.constant(instrument.embedding)
    roll = PianoRoll(original.score.notes, bundle.mel.frame_rate)
    blocks = _generator(str(bundle.path)).stream([roll], [timbre], n_frames)
    return np.concatenate([block[0] for block in blocks])


def vocoder_name(source: str) -> str:
    """What to call a vocoder that was given by its name or by its bundle's folder."""
    return Path(source).name


def silence_level_db(source: str, mel: MelConfig) -> float:
    """Level of what a vocoder makes of two seconds of silence."""
    silent = np.full((1, 2 * mel.frame_rate, mel.n_mels), mel.log_floor, np.float32)
    roll = PianoRoll([], mel.frame_rate)
    audio = _vocoder(source, mel).stream([roll]).process(silent, last=True)[0]
    return level_db(audio)


# What a model or a vocoder does is known by what it makes of a short score, so that neither other
# weights nor other code can hide behind an old name.
_PROBE = [Note(60, 90, 0.05, 0.4), Note(76, 50, 0.2, 0.5), Note(36, 120, 0.25, 0.6)]
_PROBE_FRAMES = 96


@lru_cache(maxsize=64)
def vocoder_key(source: str, mel: MelConfig) -> str:
    """A name for what a vocoder does."""
    time, band = np.mgrid[:_PROBE_FRAMES, : mel.n_mels]
    probe = -4 - band / 16 + 2 * np.sin(time / 5 + band) + np.sin(time * band)
    roll = PianoRoll(_PROBE, mel.frame_rate)
    made = _vocoder(source, mel).stream([roll]).process(probe[None].astype(np.float32), last=True)
    return key_of(made.tobytes().hex())


@lru_cache(maxsize=64)
def generator_key(path: str) -> str:
    """A name for what the model in a folder does."""
    generator = _generator(path)
    timbres = [Timbre.constant(i.embedding) for i in generator.bundle.instruments]
    roll = PianoRoll(_PROBE, generator.bundle.mel.frame_rate)
    blocks = generator.stream([roll] * len(timbres), timbres, _PROBE_FRAMES)
    return key_of([block.tobytes().hex() for block in blocks])


@lru_cache(maxsize=64)
def _bundle(path: str) -> Bundle:
    return load_bundle(path)


@lru_cache(maxsize=64)
def _generator(path: str) -> MelGenerator:
    return MelGenerator(_bundle(path))


@lru_cache(maxsize=64)
def _vocoder(source: str, mel: MelConfig) -> Vocoder:
    return load_vocoder(source, mel)

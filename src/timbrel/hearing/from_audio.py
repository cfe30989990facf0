"""Sound → timbre: where a recorded instrument lies among those of a model, and how surely."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from timbrel.bundles.bundle import Bundle, Instrument, load_bundle, shipped_bundles
from timbrel.constants import DEFAULT_ENCODER
from timbrel.errors import InputError
from timbrel.hearing.among import likely_among
from timbrel.hearing.combining import Gaussian, combined, combined_logs
from timbrel.hearing.sizes import KIND, embeddings_of, neighbour_distance
from timbrel.hearing.stream import EncoderStream, Heard, calibration_of
from timbrel.progress import Progress, silent
from timbrel.timbre.timbre import Timbre
from timbrel.transcription.recording import Recording, look_into

SECTION_S = 10.0  # of the parts of a long sound
NOTHING = 0.5  # beyond this probability, a sound is no instrument's
AUDIBLE_DB = 40.0  # windows that are softer than the loudest by more do not count
_UNLIKE = 4.0  # deviations between the timbres of clips, from which on they are not alike


class Likely(NamedTuple):
    """An instrument, and how likely it is what was heard."""

    instrument: Instrument
    probability: float

    @property
    def family(self) -> str:
        """That of General MIDI, or drum kits."""
        return self.instrument.family


@dataclass(frozen=True)
class Recognition:
    """Which instrument a sound, or a part of it, is."""

    start_s: float
    end_s: float
    instruments: tuple[Likely, ...]  # all that are possible, best first
    nothing: float  # the probability that it is no instrument
    others: float = 0.0  # that it is an instrument unlike all that are possible


@dataclass(frozen=True)
class FoundTimbre:
    """The timbre of a sound in the space of a model."""

    model: str  # the name of the Mel2Mel
    point: tuple[float, ...]
    covariance: np.ndarray  # (timbre_size, timbre_size)
    instruments: tuple[Likely, ...]  # all of the model's, best first
    nothing: float  # the probability that it is no instrument
    sureness: float  # 0: it may be anywhere among the instruments; 1: just there
    distance: float  # from the nearest instrument
    neighbours: (
        float  # the median distance of the model's instruments from their nearest neighbours
    )
    remarks: tuple[str, ...] = ()
    # How far the model's own sound is from the clips there, and where the encoder heard them: mean
    # differences of the log-mels. None where the model was not listened to.
    error_db: float | None = None
    first_error_db: float | None = None

    @property
    def melodic(self) -> tuple[Likely, ...]:
        """The instruments that are no drum kits, best first."""
        return tuple(one for one in self.instruments if not one.instrument.is_kit)

    def timbre(self) -> Timbre:
        """What `Synthesizer` plays and `save_timbre` writes."""
        return Timbre.constant(self.point)

    def moved(self, region: Gaussian, instruments: Sequence[Instrument]) -> FoundTimbre:
        """The same sound, where it was found more closely among a model's instruments.

        It is not surer for that: the place may be known well of a sound that is none of them.
        """
        points = embeddings_of(instruments)
        prior = Gaussian(points.mean(axis=0), np.cov(points.T) + 1e-9 * np.eye(points.shape[1]))
        sureness = (1 - self.nothing) * (1 - region.deviation / prior.deviation)
        return replace(
            self,
            point=tuple(region.mean.tolist()),
            covariance=region.covariance,
            sureness=float(np.clip(sureness, 0, self.sureness)),
            distance=float(np.linalg.norm(points - region.mean, axis=1).min()),
        )


class TimbreEncoder:
    """Hears the timbre of recordings.

    Parameters
    ----------
    bundle
        A bundle of kind "encoder".
    threads
        Of ONNX Runtime.

    Raises
    ------
    InputError
        If the bundle is of another kind, or cannot be run.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        if bundle.kind != KIND:
            raise InputError(f"{bundle.path}: is a model of kind '{bundle.kind}', not '{KIND}'")
        self.bundle = bundle
        self._shared = calibration_of(bundle).shared
        self._stream = EncoderStream(bundle, threads=threads)

    @classmethod
    def load(
        cls, name_or_path: str | os.PathLike = DEFAULT_ENCODER, *, threads: int = 1
    ) -> TimbreEncoder:
        """Load a shipped model by its name, or a bundle's folder; see `load_bundle`."""
        return cls(load_bundle(name_or_path, kind=KIND), threads=threads)

    def hear(self, path: str | os.PathLike | Recording, *, progress: Progress = silent) -> Heard:
        """Listen to an audio file of any length, or to what `look_into` found in one.

        Raises
        ------
        InputError
            If the file cannot be read as audio, or is silent.
        """
        recording = path if isinstance(path, Recording) else look_into(path)
        if recording.is_silent:
            raise InputError(f"{recording.path}: is silent, so there is no timbre to hear")
        return self._stream.hear(recording.blocks(self.bundle.sample_rate, progress=progress))

    def hear_mel(self, mel: np.ndarray) -> Heard:
        """Listen to a natural-log mel of the model's geometry, (frames, n_mels)."""
        return self._stream.hear_mel([mel])

    def hear_mels(self, mels: Iterable[np.ndarray]) -> Heard:
        """Listen to blocks of such a mel, of any length in all."""
        return self._stream.hear_mel(mels)

    def hear_audio(self, audio: np.ndarray) -> Heard:
        """Listen to audio at the model's rate, float, shape (samples,)."""
        return self._stream.hear([audio])

    def recognised(self, heard: Heard, among: Sequence[Instrument] = ()) -> list[Recognition]:
        """Which instrument a sound is: of all of it, then, if it is long, of its parts in turn.

        Parameters
        ----------
        heard
            What `hear` says.
        among
            The instruments that are possible; all of the model's if none is named.
        """
        chosen = [self.bundle.instruments.index(one) for one in among]
        duration_s = float(heard.ends_s.max())
        n_parts = max(round(duration_s / SECTION_S), 1)
        edges = np.linspace(0, duration_s, n_parts + 1)
        parts = []
        for start_s, end_s in itertools.pairwise(edges):
            inside = heard.within(start_s, end_s if end_s < duration_s else np.inf)
            if len(inside):
                parts.append((float(start_s), float(end_s), self._probabilities(inside), inside))
        if len(parts) == 1:
            return [self._recognition(0.0, duration_s, parts[0][2], chosen)]
        # Over the whole of a long sound several instruments may have played in turn.
        loudest = max(inside.levels_db.max() for *_, inside in parts)
        audible = [p for p in parts if p[3].levels_db.max() > loudest - AUDIBLE_DB]
        whole = np.mean([probabilities for _, _, probabilities, _ in audible], axis=0)
        sections = [self._recognition(start, end, found, chosen) for start, end, found, _ in parts]
        return [self._recognition(0.0, duration_s, whole, chosen), *sections]

    def found(self, heard: Sequence[Heard], names: Sequence[str] = ()) -> FoundTimbre:
        """The timbre of one instrument, of which there are one or several sounds.

        Parameters
        ----------
        heard
            What `hear` says of each sound.
        names
            What to call them in the remarks.
        """
        regions = [self.region(one) for one in heard]
        region = combined(
            np.stack([one.mean for one in regions]),
            np.stack([one.covariance for one in regions]),
            np.ones(len(regions)),
            shared=self._shared,
        )
        logs = np.log(np.stack([self._probabilities(one) for one in heard]) + 1e-12)
        ones = np.ones(len(heard))
        probabilities = np.exp(combined_logs(logs, ones, shared=self._shared))
        recognition = self._recognition(0.0, 0.0, probabilities)
        instruments = self.bundle.instruments
        found = FoundTimbre(
            self.bundle.config["mel2mel"],
            (),
            region.covariance,
            recognition.instruments,
            recognition.nothing,
            1.0,
            0.0,
            neighbour_distance(instruments),
            tuple(_unlike(regions, names)),
        )
        return found.moved(region, instruments)

    def _weights(self, heard: Heard) -> np.ndarray:
        """How much each window counts: those that are no instrument, less."""
        audible = heard.levels_db > heard.levels_db.max() - AUDIBLE_DB
        return audible * np.maximum(1 - np.exp(heard.logs[:, -1]), 1e-3)

    def region(self, heard: Heard) -> Gaussian:
        """Where the timbre of a sound lies, as a distribution."""
        return combined(heard.means, heard.covariances, self._weights(heard), shared=self._shared)

    def _probabilities(self, heard: Heard) -> np.ndarray:
        audible = (heard.levels_db > heard.levels_db.max() - AUDIBLE_DB).astype(float)
        return np.exp(combined_logs(heard.logs, audible, shared=self._shared))

    def _recognition(
        self, start_s: float, end_s: float, probabilities: np.ndarray, chosen: Sequence[int] = ()
    ) -> Recognition:
        possible, known, others = self.bundle.instruments, probabilities[:-1], 0.0
        if chosen:
            among = likely_among(known, possible, chosen)
            others = max(float(known.sum() - among.sum()), 0.0)
            possible, known = tuple(possible[place] for place in chosen), among
        pairs = zip(possible, known.tolist(), strict=True)
        likely = sorted((Likely(*pair) for pair in pairs), key=lambda one: -one.probability)
        return Recognition(start_s, end_s, tuple(likely), float(probabilities[-1]), others)


def check_is_instrument(found: FoundTimbre, names: Sequence[str]) -> None:
    """Refuse what is no instrument.

    Raises
    ------
    InputError
        If that is likelier than not.
    """
    if found.nothing > NOTHING:
        raise InputError(
            f"{', '.join(names)}: sounds like no instrument ({found.nothing:.0%}); is it noise, "
            "speech or silence? Give a clip of one instrument"
        )


def encoder_for(model: Bundle) -> Bundle:
    """The shipped encoder that speaks of a Mel2Mel's space.

    Raises
    ------
    InputError
        If there is none.
    """
    for name in shipped_bundles(KIND):
        bundle = load_bundle(name)
        if speaks_of(bundle, model):
            return bundle
    known = ", ".join(load_bundle(name).config["mel2mel"] for name in shipped_bundles(KIND))
    raise InputError(
        f"the model {model.name} has no timbre encoder; models that have one: {known}. Train one "
        "with recipes/encoder.yaml and give it with --encoder"
    )


def speaks_of(encoder: Bundle, model: Bundle) -> bool:
    """Whether an encoder's space is that of a Mel2Mel."""
    return [i.embedding for i in encoder.instruments] == [i.embedding for i in model.instruments]


def _unlike(regions: Sequence[Gaussian], names: Sequence[str]) -> list[str]:
    """A word on each clip that does not sound like the others together."""
    if len(regions) < 2 or not names:
        return []
    remarks = []
    for place, (region, name) in enumerate(zip(regions, names, strict=True)):
        others = [one for i, one in enumerate(regions) if i != place]
        mean = np.mean([one.mean for one in others], axis=0)
        covariance = region.covariance + np.mean([one.covariance for one in others], axis=0)
        distance = Gaussian(mean, covariance).distance(region.mean)
        if np.sqrt(distance / len(mean)) > _UNLIKE:
            remarks.append(f"{name}: does not sound like the other clips; is it one instrument?")
    return remarks

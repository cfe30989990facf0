"""Recordings → timbre, in two steps: an encoder says about where; then the model itself is heard.

>>> from timbrel import Synthesizer, timbre_from_audio
>>> found = timbre_from_audio(["note.wav", "phrase.wav"])
>>> audio = Synthesizer.load().render("song.mid", timbre=found.timbre())
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import soxr

from timbrel.bundles.bundle import Bundle, load_bundle, shipped_bundles
from timbrel.constants import DEFAULT_ENCODER
from timbrel.errors import InputError
from timbrel.fitting.material import DEEP_FLOOR
from timbrel.fitting.place import Heard, find_place
from timbrel.hearing.combining import Gaussian
from timbrel.hearing.from_audio import (
    NOTHING,
    FoundTimbre,
    TimbreEncoder,
    check_is_instrument,
    speaks_of,
)
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.mel.generator import MelGenerator
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.progress import Progress, silent
from timbrel.score.score import Automation, Note, Track
from timbrel.transcription.recording import SILENT_PEAK, Recording, look_into
from timbrel.transcription.transcriber import Transcriber

SPAN_S = 6.0  # of a clip that is listened to closely
MOST_CLIPS = 4  # the longest ones
_SEARCHED_S = 60.0  # from the beginning of a clip, for the span with the most notes
_BEFORE_S = 0.1  # the first note
# Where the search may begin, beside where the encoder hears a timbre: likely instruments, half way
# between any two of the first ones, and points of the encoder's region.
_N_INSTRUMENTS, _N_PAIRED, _N_DRAWN = 12, 6, 20
_OFF_KEYS_CENTS = 3.0  # tunings that are nearer to A = 440 Hz are taken for it
# Deviations of the place, for how much is left of the differences: they grow with its square, since
# errors of the points of a mel depend on each other, and where much is left, notes were misheard.
# Chosen so that the 90 % regions hold about as many of the places that `timbrel evaluate timbre
# --points` has played.
_SPREAD = 180.0


class CloserListener:
    """Finds the place in a model's space where it sounds most like recordings.

    Parameters
    ----------
    bundle
        The Mel2Mel.
    threads
        Of ONNX Runtime.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self.bundle = bundle
        self._generator = MelGenerator(bundle, threads=threads)
        self._transcriber = Transcriber.load(threads=threads)

    def listen(self, found: FoundTimbre, clips: Sequence[Recording]) -> FoundTimbre:
        """Find a timbre more closely than an encoder did.

        Parameters
        ----------
        found
            What the encoder found, of this model's space.
        clips
            What it heard. Of each some seconds count.

        Returns
        -------
        FoundTimbre
            The same where it is no instrument with pitches, or no notes are heard.
        """
        longest = sorted(clips, key=lambda clip: -clip.duration_s)[:MOST_CLIPS]
        rate = self.bundle.mel.sample_rate
        return self.listen_to_audio(found, [_beginning(clip, rate) for clip in longest])

    def listen_to_audio(self, found: FoundTimbre, clips: Sequence[np.ndarray]) -> FoundTimbre:
        """The same of audio at the model's rate, float32, shape (samples,) each."""
        if found.instruments[0].instrument.is_kit or found.nothing > NOTHING:
            return found
        heard = [part for clip in clips if (part := self._part(clip)) is not None]
        if not heard:
            return found
        place = find_place(self._generator, heard, _starts(found))
        spread = _SPREAD * (place.error_db / DB_PER_NEPER) ** 2
        region = Gaussian(place.point, spread**2 * place.covariance)
        return replace(
            found.moved(region, self.bundle.instruments),
            error_db=place.error_db,
            first_error_db=place.first_error_db,
        )

    def _part(self, audio: np.ndarray) -> Heard | None:
        """The part of a clip with the most notes; None where there are none."""
        mel, rate = self.bundle.mel, self.bundle.mel.sample_rate
        transcriber = self._transcriber
        heard = transcriber.transcribe_audio(soxr.resample(audio, rate, transcriber.sample_rate))
        starts = np.array([note.start_s for note in heard.notes])
        if not len(starts):
            return None
        within = np.searchsorted(starts, starts + SPAN_S) - np.arange(len(starts))
        first_s = max(float(starts[within.argmax()]) - _BEFORE_S, 0.0)
        first = round(first_s * mel.frame_rate)  # frames
        begin = first * mel.hop_length
        span = audio[begin : begin + round(SPAN_S * rate)]
        first_s = first / mel.frame_rate
        notes = tuple(
            Note(note.pitch, note.velocity, note.start_s - first_s, note.end_s - first_s)
            for note in heard.notes
            if note.end_s > first_s and note.start_s < first_s + SPAN_S
        )
        cents = heard.tuning_cents if abs(heard.tuning_cents) > _OFF_KEYS_CENTS else 0.0
        track = Track("", 0, 0, notes, tuning=Automation((0.0,), (cents / 100,)))
        deep = mel_spectrogram(span, replace(mel, floor=DEEP_FLOOR))
        return Heard(track, deep) if len(deep) else None


def timbre_from_audio(
    clips: Sequence[str | os.PathLike],
    *,
    encoder: str | os.PathLike = DEFAULT_ENCODER,
    model: str | os.PathLike | None = None,
) -> FoundTimbre:
    """Hear the timbre of one instrument in some recordings of it.

    Parameters
    ----------
    clips
        Audio files of any rate and length: notes, phrases, chords.
    encoder
        A shipped model's name, or a bundle's folder.
    model
        The Mel2Mel of whose space it speaks, to be heard beside the clips; the shipped one of the
        name that the encoder gives if None.

    Raises
    ------
    InputError
        If there are no clips; one cannot be read or is silent; or they sound like no instrument.
    """
    if not clips:
        raise InputError("a timbre is heard in one clip or more; none was given")
    listener = TimbreEncoder.load(encoder)
    bundle = model_of(listener.bundle) if model is None else load_bundle(model, kind="mel2mel")
    closer = None if bundle is None else CloserListener(bundle)
    return find_timbre(listener, closer, [look_into(clip) for clip in clips])


def find_timbre(
    encoder: TimbreEncoder,
    closer: CloserListener | None,
    clips: Sequence[Recording],
    *,
    progress: Progress = silent,
) -> FoundTimbre:
    """Hear the timbre of one instrument in some recordings; see `timbre_from_audio`.

    Parameters
    ----------
    encoder, closer
        Who listens first, and who then; None where there is no such model.
    clips
        What `look_into` found.
    progress
        Wraps the blocks of each recording.

    Raises
    ------
    InputError
        If a clip is silent, or they sound like no instrument.
    """
    names = [str(clip.path) for clip in clips]
    found = encoder.found([encoder.hear(clip, progress=progress) for clip in clips], names)
    check_is_instrument(found, names)
    return found if closer is None else closer.listen(found, clips)


def _starts(found: FoundTimbre) -> list[np.ndarray]:
    """Where to begin: where the encoder heard a timbre, likely instruments, and between them."""
    likely = [np.array(one.instrument.embedding) for one in found.melodic[:_N_INSTRUMENTS]]
    pairs = itertools.combinations(likely[:_N_PAIRED], 2)
    random = np.random.default_rng(0)
    point = np.array(found.point)
    drawn = random.multivariate_normal(point, found.covariance, _N_DRAWN, method="cholesky")
    return [point, *likely, *((one + other) / 2 for one, other in pairs), *drawn]


def model_of(encoder: Bundle) -> Bundle | None:
    """The shipped Mel2Mel of whose space an encoder speaks; None if there is none."""
    name = encoder.config["mel2mel"]
    if name not in shipped_bundles("mel2mel"):
        return None
    bundle = load_bundle(name)
    return bundle if speaks_of(encoder, bundle) else None


def _beginning(recording: Recording, rate: int) -> np.ndarray:
    """The first minute of a recording from where it sounds, at a rate."""
    blocks: list[np.ndarray] = []
    wanted = round(_SEARCHED_S * rate)
    for block in recording.blocks(rate):
        if blocks or np.abs(block).max(initial=0.0) > SILENT_PEAK:
            blocks.append(block)
        if sum(map(len, blocks)) >= wanted:
            break
    return np.concatenate([np.zeros(0, np.float32), *blocks])[:wanted].astype(np.float32)

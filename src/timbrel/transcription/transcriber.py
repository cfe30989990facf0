"""Recordings → scores: the way from audio to notes on one page."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.constants import DEFAULT_TRANSCRIBER
from timbrel.errors import InputError
from timbrel.progress import Progress, silent
from timbrel.score.score import Note, Score, Track
from timbrel.transcription.decoding import PEAK_FRAMES, HeardNote, NoteDecoder, Thresholds
from timbrel.transcription.heard import TRACK_NAME, Part
from timbrel.transcription.recording import Recording, look_into
from timbrel.transcription.sizes import KIND
from timbrel.transcription.stream import ProbabilityStream


@dataclass(frozen=True)
class Transcription:
    """The notes of a recording."""

    notes: tuple[HeardNote, ...]  # sorted by start, then pitch
    duration_s: float  # of the recording
    frame_rate: float  # of the notes' bends, Hz
    tuning_cents: float  # of the whole recording, against A = 440 Hz; part of the notes' cents
    remarks: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()  # the same notes by what they sound like, where they are grouped

    def score(self) -> Score:
        """The notes without their bends, in one track, or one for each part."""
        parts = self.parts or (Part(TRACK_NAME, 0, self.notes),)
        tracks = (Track(part.name, part.program, 0, _as_played(part.notes)) for part in parts)
        return Score(tuple(track for track in tracks if track.notes))


def _as_played(notes: Iterable[HeardNote]) -> tuple[Note, ...]:
    return tuple(Note(n.pitch, n.velocity, n.start_s, n.end_s) for n in notes)


class NoteStream:
    """Hears notes in a stream of audio, `latency_s` late, in memory that does not grow.

    Parameters
    ----------
    bundle
        A bundle of kind "transcriber".
    threads
        Of ONNX Runtime.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        if bundle.kind != KIND:
            raise InputError(f"{bundle.path}: is a model of kind '{bundle.kind}', not '{KIND}'")
        self._stream = ProbabilityStream(bundle, threads=threads)
        self._thresholds = thresholds_of(bundle)
        self.config = self._stream.config
        self.reset()

    @property
    def latency_s(self) -> float:
        """How long after its onset a note can be known to have begun."""
        return self.config.latency_s + PEAK_FRAMES / self.config.frame_rate

    def reset(self) -> None:
        """Forget all that was heard."""
        self._stream.reset()
        self._decoder = NoteDecoder(self.config.frame_rate, self._thresholds)

    def push(self, audio: np.ndarray) -> list[HeardNote]:
        """Hear more samples at the model's rate, (samples,); gives the notes that are over."""
        return self._decoder.push(self._stream.push(audio))

    def finish(self) -> list[HeardNote]:
        """The notes that still sound when the stream ends."""
        return [*self._decoder.push(self._stream.finish()), *self._decoder.finish()]


class Transcriber:
    """Turns recordings into scores.

    Parameters
    ----------
    bundle
        A bundle of kind "transcriber".
    threads
        Of ONNX Runtime.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self._notes = NoteStream(bundle, threads=threads)

    @classmethod
    def load(
        cls, name_or_path: str | os.PathLike = DEFAULT_TRANSCRIBER, *, threads: int = 1
    ) -> Transcriber:
        """Load a shipped model by its name, or a bundle's folder; see `load_bundle`."""
        return cls(load_bundle(name_or_path, kind=KIND), threads=threads)

    @property
    def sample_rate(self) -> int:
        """Of the audio that it hears, Hz."""
        return self._notes.config.sample_rate

    def transcribe(
        self, path: str | os.PathLike | Recording, *, progress: Progress = silent
    ) -> Transcription:
        """Hear the notes of an audio file.

        Parameters
        ----------
        path
            Any file that libsndfile reads, of any length, or what `look_into` found in one.
        progress
            Wraps the blocks.

        Returns
        -------
        Transcription
            Without notes where nothing like them was heard; its remarks say why.

        Raises
        ------
        InputError
            If the file cannot be read as audio.
        """
        recording = path if isinstance(path, Recording) else look_into(path)
        if recording.is_silent:
            found = self._described((), recording.duration_s)
            remark = "is silent, so there are no notes"
        else:
            blocks = recording.blocks(self.sample_rate, progress=progress)
            found = self._described(self._heard(blocks), recording.duration_s)
            remark = "nothing like notes was heard; is it speech, noise or drums?"
        remarks = recording.remarks if found.notes else (*recording.remarks, remark)
        return replace(found, remarks=remarks)

    def transcribe_audio(self, audio: np.ndarray) -> Transcription:
        """Hear the notes of audio at the model's rate, float, shape (samples,)."""
        return self._described(self._heard([audio]), len(audio) / self.sample_rate)

    def _heard(self, blocks: Iterable[np.ndarray]) -> list[HeardNote]:
        self._notes.reset()
        found = [note for block in blocks for note in self._notes.push(block)]
        return found + self._notes.finish()

    def _described(self, notes: Iterable[HeardNote], duration_s: float) -> Transcription:
        ordered = tuple(sorted(notes, key=lambda note: (note.start_s, note.pitch)))
        steady = [note.cents for note in ordered if not note.bend_cents]
        tuning = float(np.median(steady)) if steady else 0.0
        return Transcription(ordered, duration_s, self._notes.config.frame_rate, tuning)


def thresholds_of(bundle: Bundle) -> Thresholds:
    """The thresholds that a bundle states.

    Raises
    ------
    InputError
        If it states others than there are.
    """
    try:
        return Thresholds(**{key: float(v) for key, v in bundle.config["thresholds"].items()})
    except (TypeError, ValueError):
        raise InputError(f"{bundle.path}: its thresholds are not those of a {KIND}") from None

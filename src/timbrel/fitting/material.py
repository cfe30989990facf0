"""What a timbre is fitted to: a clip's mel beside the piano roll of its notes, also transposed.

A clip that is played faster is higher by so many semitones, and so is its score: a sampler makes
neighbouring keys of one recording in the same way. So a few recorded notes tell of the keys between
them, too.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import soxr

from timbrel.abilities import Abilities
from timbrel.bundles.bundle import Bundle
from timbrel.errors import InputError
from timbrel.measures.correlation import DB_PER_NEPER, SILENCE_DB
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.performance_roll import roll_of
from timbrel.score.score import Automation, Score, Track
from timbrel.score.source import Source, as_score
from timbrel.transcription.recording import Recording, look_into
from timbrel.transcription.transcriber import Transcriber

SHORTEST_S, LONGEST_S = 1.0, 120.0  # of all clips together
LOWEST_RATE = 16_000  # Hz
# Semitones. Farther ones are too unlike: with fifths and octaves, other notes came out worse.
TRANSPOSITIONS = (0, -4, -2, 2, 4)
DEEP_FLOOR = 1e-9  # of mels whose level is still to be matched
_PASSAGE_S = 10.0  # longer clips are cut into passages
_PARTS, _HELD_OUT = 10, (3, 7)  # of the clip's parts, those that the fit does not see
_CLIPPED_LEVEL, _CLIPPED_SHARE = 0.999, 1e-3  # of the peak; of the samples that sound
_FEWEST_NOTES_PER_S = 0.1


@dataclass(frozen=True)
class Passage:
    """Part of a clip, or of a transposed one."""

    roll: np.ndarray  # (frames, roll_size)
    mel: np.ndarray  # (frames, n_mels), natural logarithm, not floored
    held_out: np.ndarray  # (frames,): those that are left out of the fit
    track: Track  # the notes of the roll, as if the passage began at 0

    def target(self, gain: float, floor: float) -> np.ndarray:
        """The mel as loud as it is played, in nepers above the clip."""
        return np.maximum(self.mel + np.float32(gain), np.float32(floor))


@dataclass(frozen=True)
class Clip:
    """A recording with its notes."""

    name: str
    audio: np.ndarray  # float32, (samples,), at the model's rate
    track: Track
    remarks: tuple[str, ...] = ()

    def transpositions(self, bundle: Bundle) -> list[int]:
        """Those of `TRANSPOSITIONS` that leave all notes on keys that the model's roll has."""
        empty = roll_of(bundle.roll, self.track, (), bundle.mel.frame_rate)
        pitches = [note.pitch for note in self.track.notes]
        first, last = empty.lowest_key, empty.lowest_key + empty.n_keys - 1
        return [k for k in TRANSPOSITIONS if min(pitches) + k >= first and max(pitches) + k <= last]

    def passages(self, bundle: Bundle, semitones: int = 0) -> list[Passage]:
        """The clip in passages, played faster so that it is so many semitones higher."""
        mel, speed = replace(bundle.mel, floor=DEEP_FLOOR), 2 ** (semitones / 12)
        rate = bundle.mel.sample_rate
        audio = soxr.resample(self.audio, rate * speed, rate) if semitones else self.audio
        log_mel = mel_spectrogram(audio.astype(np.float32, copy=False), mel)
        track = _faster(self.track, speed, semitones)
        roll = roll_of(bundle.roll, track, track.notes, mel.frame_rate).window(0, len(log_mel))
        parts = np.arange(len(log_mel)) * _PARTS // max(len(log_mel), 1)
        held_out = np.isin(parts, _HELD_OUT)
        length = round(_PASSAGE_S * mel.frame_rate)
        count = max(round(len(log_mel) / length), 1)
        edges = np.linspace(0, len(log_mel), count + 1).astype(int)
        return [
            Passage(
                roll[a:b],
                log_mel[a:b],
                held_out[a:b],
                _between(track, a / mel.frame_rate, b / mel.frame_rate),
            )
            for a, b in itertools.pairwise(edges.tolist())
        ]


def audible(mel: np.ndarray) -> np.ndarray:
    """The frames of a log-mel that are not silent beside its loudest, (frames,)."""
    loudest = mel.max(axis=1)
    return loudest > loudest.max() - SILENCE_DB / DB_PER_NEPER


def read_clips(
    paths: Sequence[str | os.PathLike], scores: Sequence[Source], bundle: Bundle
) -> list[Clip]:
    """Read recordings and their notes.

    Parameters
    ----------
    paths
        Audio files of one instrument.
    scores
        The notes of each; where there are none, the shipped transcriber hears them.
    bundle
        The model that is to play them.

    Raises
    ------
    InputError
        If a recording cannot be used, or holds no notes; names it and what to do.
    """
    if scores and len(scores) != len(paths):
        raise InputError(f"{len(scores)} scores were given for {len(paths)} clips; give one each")
    recordings = [look_into(path) for path in paths]
    check_lengths(recordings)
    for recording in recordings:
        _check(recording)
    return [
        clip_of(recording, as_score(scores[place]) if scores else _heard(recording), bundle)
        for place, recording in enumerate(recordings)
    ]


def check_lengths(recordings: Sequence[Recording]) -> None:
    """Refuse recordings of one instrument that are too long together, or too short.

    Raises
    ------
    InputError
        Names them and what to do.
    """
    total_s = sum(recording.duration_s for recording in recordings)
    named = ", ".join(str(recording.path) for recording in recordings)
    if total_s > LONGEST_S:
        raise InputError(
            f"{named}: lasts {total_s:.0f} s; cut out {LONGEST_S:.0f} s or less of the instrument"
        )
    if total_s < SHORTEST_S:
        raise InputError(f"{named}: lasts {total_s:.2f} s; give {SHORTEST_S:.0f} s or more")


def clip_of(recording: Recording, score: Score, bundle: Bundle) -> Clip:
    """A recording with its notes, as a model is to play them.

    Raises
    ------
    InputError
        If the recording cannot be used, or the score has no notes for it.
    """
    _check(recording)
    track = _track(score, recording, bundle)
    audio = np.concatenate(list(recording.blocks(bundle.mel.sample_rate)))
    _check_peaks(audio, recording)
    return Clip(str(recording.path), audio, track, recording.remarks)


def _check(recording: Recording) -> None:
    if recording.is_silent:
        raise InputError(f"{recording.path}: is silent; give a recording of an instrument")
    if recording.sample_rate < LOWEST_RATE:
        raise InputError(
            f"{recording.path}: holds nothing above {recording.sample_rate / 2000:g} kHz, which is "
            f"too little of a timbre; give a recording of {LOWEST_RATE / 1000:g} kHz or more"
        )


def _check_peaks(audio: np.ndarray, recording: Recording) -> None:
    level = np.abs(audio)
    sounding = level > 0.01 * level.max()
    flat = level >= _CLIPPED_LEVEL * recording.peak
    runs = flat[1:] & flat[:-1]  # a lone sample may well be the peak
    share = float(runs.sum() / max(sounding.sum(), 1))
    if recording.peak > _CLIPPED_LEVEL and share > _CLIPPED_SHARE:
        raise InputError(
            f"{recording.path}: is clipped ({100 * share:.1f} % of it lies at "
            "full scale), which would become part of the timbre; record it softer"
        )


def _heard(recording: Recording) -> Score:
    found = Transcriber.load().transcribe(recording)
    if len(found.notes) < max(_FEWEST_NOTES_PER_S * recording.duration_s, 1):
        raise InputError(
            f"{recording.path}: hardly any notes were heard in it; if it is an instrument, give "
            "its notes with --score"
        )
    return found.score()


def _track(score: Score, recording: Recording, bundle: Bundle) -> Track:
    """All that the model can play of a score, in one track."""
    played = Abilities.of(bundle).playable(score)
    melodic = [track for track in played.tracks if track.notes and not track.is_kit]
    if not melodic:
        raise InputError(f"{recording.path}: its score has no notes that can be played")
    whole = replace(played, tracks=tuple(melodic))
    track = melodic[0] if len(melodic) == 1 else whole.merged().tracks[0]
    notes = tuple(note for note in track.notes if note.start_s < recording.duration_s)
    if not notes:
        raise InputError(
            f"{recording.path}: its score begins after its end; is it the score of this clip?"
        )
    return replace(track, notes=notes)


def _faster(track: Track, speed: float, semitones: int) -> Track:
    """A track played so much faster, and higher."""
    if not semitones:
        return track

    def sooner(curve: Automation) -> Automation:
        return replace(curve, times_s=tuple(time / speed for time in curve.times_s))

    notes = tuple(
        note._replace(
            pitch=note.pitch + semitones, start_s=note.start_s / speed, end_s=note.end_s / speed
        )
        for note in track.notes
    )
    return replace(
        track,
        notes=notes,
        bend=sooner(track.bend),
        tuning=sooner(track.tuning),
        vibrato=sooner(track.vibrato),
    )


def _between(track: Track, start_s: float, stop_s: float) -> Track:
    """What is heard of a track in a span, as if that began at 0."""
    notes = tuple(
        note._replace(start_s=note.start_s - start_s, end_s=note.end_s - start_s)
        for note in track.notes
        if note.start_s < stop_s and note.end_s > start_s
    )
    curves = {
        name: getattr(track, name).shifted(-start_s) for name in ("bend", "tuning", "vibrato")
    }
    return replace(track, notes=notes, **curves)

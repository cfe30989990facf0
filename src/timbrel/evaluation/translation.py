"""From sound to score and timbre, and back: how near what is played again comes to the original.

original ─→ notes ─→ .mid ──────┐
    └─→ timbre ─→ .timbre ──────┴─→ read again ─→ sound ─→ log-CQT correlation with the original
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from timbrel.bundles.bundle import Bundle, Instrument, load_bundle
from timbrel.constants import DEFAULT_TRANSCRIBER, SAMPLE_RATE
from timbrel.corpus.soundfont import check_soundfont, find_fluidsynth
from timbrel.errors import InputError
from timbrel.evaluation.cache import Cache
from timbrel.evaluation.formatting import number, table, with_interval
from timbrel.evaluation.originals import Clip, Excerpt, Original, render_original
from timbrel.evaluation.results import Estimate
from timbrel.hearing.from_audio import TimbreEncoder, encoder_for
from timbrel.kept_timbre import TimbreKeeper
from timbrel.measures.correlation import LogCqtCorrelation, correlation_of_sums, log_cqt
from timbrel.measures.sound import QUIET
from timbrel.measures.statistics import draws, interval
from timbrel.progress import Progress, silent
from timbrel.score.source import Source
from timbrel.sound import write_audio
from timbrel.synthesizer import Synthesizer
from timbrel.timbre.timbre import FILE_SUFFIX, Timbre, TimbreLike, save_timbre
from timbrel.transcription.midi import write_transcription
from timbrel.transcription.recording import look_into
from timbrel.transcription.transcriber import Transcriber

# The ways to play an original again.
KNOWN, NOTES, BOTH, FITTED = (
    "score and instrument known",
    "notes heard, instrument known",
    "notes and timbre heard",
    "notes heard, timbre fitted",
)


@dataclass(frozen=True)
class ThereAndBack:
    """What was measured of an excerpt in an instrument."""

    track: str
    instrument: str
    sums: dict[str, np.ndarray]  # by the way, (6, 84); see `LogCqtCorrelation`


def evaluate_translation(
    midi_dir: str | os.PathLike,
    soundfont: str | os.PathLike,
    excerpts: Sequence[Excerpt],
    instruments: dict[str, int],
    *,
    model: str,
    fit: bool = False,
    cache: str | os.PathLike,
    progress: Progress = silent,
) -> Iterator[ThereAndBack]:
    """Hear excerpts as FluidSynth plays them, and play them again, one by one.

    Parameters
    ----------
    midi_dir, soundfont
        The excerpts' files, and what plays them.
    excerpts
        See `choose_excerpts`.
    instruments
        Names and programs.
    model
        The Mel2Mel that plays them again; it has an encoder.
    fit
        Whether timbres are fitted, too.
    cache
        Folder for the originals.
    progress
        Wraps what is to be measured.

    Raises
    ------
    InputError
        If the model has no encoder, or all originals are silent.
    MissingToolError
        If FluidSynth or the SoundFont is missing; if PyTorch is, with `fit`.
    """
    find_fluidsynth()
    font, store = check_soundfont(soundfont), Cache(cache)
    ways = _Ways(model, fit=fit)
    wanted = [(excerpt, name) for excerpt in excerpts for name in instruments]
    n_heard = 0
    for excerpt, name in progress(wanted, len(wanted), "translating"):
        clip = Clip(
            midi=Path(midi_dir, excerpt.file),
            excerpt=excerpt,
            instrument=Instrument(name, instruments[name], ()),
            soundfont=font,
            mel=ways.model.mel,
            gain=ways.model.gain,
        )
        original = render_original(clip, store)
        if np.abs(original.audio).max(initial=0.0) < QUIET:
            continue
        n_heard += 1
        yield ThereAndBack(f"{excerpt.file} {excerpt.start_s:g}", name, ways.measured(original))
    if not n_heard:
        raise InputError("all of it is silent; is it the right SoundFont?")


class _Ways:
    """Plays an original again in several ways, through files."""

    def __init__(self, model: str, *, fit: bool) -> None:
        self.model: Bundle = load_bundle(model, kind="mel2mel")
        encoder = TimbreEncoder(encoder_for(self.model))
        self._keepers: dict[str, TimbreKeeper | None] = {NOTES: None}
        self._keepers[BOTH] = TimbreKeeper(encoder, self.model)
        if fit:
            self._keepers[FITTED] = TimbreKeeper(encoder, self.model, fit=True)
        self._transcriber = Transcriber.load(DEFAULT_TRANSCRIBER)
        self._synthesizer = Synthesizer.load(model, threads=1)

    def measured(self, original: Original) -> dict[str, np.ndarray]:
        """The sums of each way."""
        rate = self.model.mel.sample_rate
        program = original.clip.instrument.program
        known = next(i for i in self.model.instruments if i.program == program and not i.is_kit)
        instrument = Timbre.constant(known.embedding)
        with tempfile.TemporaryDirectory() as folder:
            sound, score = Path(folder, "original.wav"), Path(folder, "heard.mid")
            write_audio(sound, original.audio, rate)
            recording = look_into(sound)
            heard = self._transcriber.transcribe(recording)
            write_transcription(score, heard)
            played = {
                KNOWN: self._played(original, original.score, instrument, original.pre_roll_s)
            }
            for way, keeper in self._keepers.items():
                file = Path(folder, f"{len(played)}{FILE_SUFFIX}")
                try:
                    found = instrument
                    if keeper is not None:
                        found = keeper.timbre_of(recording, heard).timbre
                    save_timbre(file, found)
                    played[way] = self._played(original, score, file)
                except InputError:  # what is refused counts as silence
                    played[way] = np.zeros_like(original.audio)
        target = log_cqt(soxr.resample(original.audio, rate, SAMPLE_RATE))
        pools = {way: LogCqtCorrelation() for way in played}
        for way, audio in played.items():
            pools[way].add_spectra(target, log_cqt(soxr.resample(audio, rate, SAMPLE_RATE)))
        return {way: pool.sums for way, pool in pools.items()}

    def _played(
        self, original: Original, score: Source, timbre: TimbreLike, start_s: float = 0.0
    ) -> np.ndarray:
        """The sound of a score, as long as the original, (samples,)."""
        length = len(original.audio)
        audio = self._synthesizer.render(
            score,
            timbre=timbre,
            start_s=start_s,
            duration_s=length / self.model.mel.sample_rate,
            channels=1,
            normalize=False,
            dry=True,
        )[:length, 0]
        return np.pad(audio, (0, length - len(audio)))


def estimate(results: Sequence[ThereAndBack], way: str) -> Estimate:
    """The correlation of all that was measured, with a 95 % bootstrap interval over tracks."""
    tracks = list(dict.fromkeys(one.track for one in results))
    by_track = np.array(
        [sum(one.sums[way] for one in results if one.track == track) for track in tracks]
    )  # (tracks, 6, bins)
    mean = float(correlation_of_sums(by_track.sum(axis=0)).mean())
    if len(tracks) < 2:
        return Estimate(mean, float("nan"), float("nan"))
    drawn = np.einsum("dt,tsb->dsb", draws(len(tracks)), by_track)
    return Estimate(mean, *interval(correlation_of_sums(drawn).mean(axis=-1)))


def as_dict(results: Sequence[ThereAndBack]) -> dict[str, Any]:
    """The correlations by way and instrument."""
    return {
        way: {
            "correlation": estimate(results, way).mean,
            "interval": [estimate(results, way).low, estimate(results, way).high],
            "instruments": {name: estimate(some, way).mean for name, some in _classes(results)},
        }
        for way in results[0].sums
    }


def markdown(results: Sequence[ThereAndBack]) -> str:
    """The table of the results."""
    classes = _classes(results)
    n_tracks = len({one.track for one in results})
    rows = []
    for way in results[0].sums:
        whole = estimate(results, way)
        rows.append(
            [
                way,
                with_interval(whole, 3) if n_tracks > 1 else number(whole.mean, 3),
                *(number(estimate(some, way).mean, 3) for _, some in classes),
            ]
        )
    words = (
        f"{n_tracks} tracks, {len(classes)} instruments: log-CQT correlation with the original. "
        "In brackets: 95 % intervals by the bootstrap over tracks.\n\n"
    )
    return words + table(["played again", "all", *(name for name, _ in classes)], rows) + "\n"


def _classes(results: Sequence[ThereAndBack]) -> list[tuple[str, list[ThereAndBack]]]:
    names = dict.fromkeys(one.instrument for one in results)
    return [(name, [one for one in results if one.instrument == name]) for name in names]

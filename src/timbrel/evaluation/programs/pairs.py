"""The same music by FluidSynth and by a model, dry and at the level at which each plays it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mido
import numpy as np

from timbrel.bundles.bundle import Instrument
from timbrel.corpus.soundfont import KIT_BANK, as_preset, render_midi, render_score
from timbrel.score.channels import DRUM_CHANNEL
from timbrel.score.score import Score
from timbrel.score.source import Source
from timbrel.synthesizer import Synthesizer

TICKS_PER_BEAT = 500  # at MIDI's default tempo a tick is a millisecond


@dataclass(frozen=True)
class Pairs:
    """Plays music twice.

    Parameters
    ----------
    model, vocoder
        Names or folders of bundles; None is the model's own vocoder.
    soundfont
        What FluidSynth plays: the font that the model was trained on.
    """

    model: str
    vocoder: str | None
    soundfont: Path

    @property
    def synthesizer(self) -> Synthesizer:
        return _loaded(self.model, self.vocoder)

    @property
    def sample_rate(self) -> int:
        return self.synthesizer.sample_rate

    def of_score(
        self, score: Score, instrument: Instrument, duration_s: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The original and the model's sound of all notes of a score, (samples,) each."""
        return (
            self.original(score, instrument, duration_s),
            self.made(score, instrument, duration_s),
        )

    def of_midi(self, midi: mido.MidiFile, instrument: Instrument) -> tuple[np.ndarray, np.ndarray]:
        """The same of a file, with its bends and its drum keys."""
        played = as_preset(midi, instrument.program, KIT_BANK if instrument.is_kit else 0)
        duration_s = midi.length
        original = render_midi(
            played,
            self.soundfont,
            length=round(duration_s * self.sample_rate),
            sample_rate=self.sample_rate,
            gain=self.synthesizer.model.gain,
        )
        return original, self.made(midi, instrument, duration_s)

    def original(self, score: Score, instrument: Instrument, duration_s: float) -> np.ndarray:
        """The sound of a score by FluidSynth alone."""
        sound = render_score(
            score,
            instrument.program,
            self.soundfont,
            sample_rate=self.sample_rate,
            gain=self.synthesizer.model.gain,
        )
        return sound[: round(duration_s * self.sample_rate)]

    def made(self, source: Source, instrument: Instrument, duration_s: float) -> np.ndarray:
        """That by the model alone."""
        length = round(duration_s * self.sample_rate)
        made = self.synthesizer.render(
            source,
            # A kit is what the file's program change names.
            timbre=None if instrument.is_kit else instrument.name,
            duration_s=duration_s,
            channels=1,
            normalize=False,
            dry=True,
        )[:length, 0]
        return np.pad(made, (0, length - len(made)))


@cache
def _loaded(model: str, vocoder: str | None) -> Synthesizer:
    return Synthesizer.load(model, vocoder=vocoder, threads=1)


def strokes(
    hits: list[tuple[float, int, int]], *, is_kit: bool, hold_s: float, program: int = 0
) -> mido.MidiFile:
    """A file of notes (start in seconds, pitch, velocity), each held so long."""
    channel = DRUM_CHANNEL if is_kit else 0
    events = []
    for start_s, pitch, velocity in hits:
        for time_s, loud in ((start_s, velocity), (start_s + hold_s, 0)):
            events.append((round(time_s * 1000), loud, pitch))
    track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=program)])
    now = 0
    for tick, velocity, pitch in sorted(events):
        message = mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=1000))
    return mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track])

"""From a score to sound: the main path of Timbrel, on one page.

MIDI file → Score → voices → piano rolls ┐
                                         ├→ mel spectrograms → vocoder → audio of voices → mix
timbre (name, mix, path, file) ──────────┘
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from timbrel.abilities import Abilities
from timbrel.audio_stream import AudioStream, Block
from timbrel.bundles.bundle import Bundle, Instrument, load_bundle
from timbrel.constants import A4_HZ
from timbrel.ensemble import PRE_ROLL_S, Ensemble
from timbrel.errors import InputError, LoudnessWarning
from timbrel.expected_loudness import expected_loudness
from timbrel.machine import n_physical_cores, within_cores
from timbrel.mastering import fitted_mastering, mastered, measured_loudness
from timbrel.mel.generator import MelGenerator
from timbrel.mixer import Mixer
from timbrel.render_options import POST_FADER, RenderOptions
from timbrel.room import DECAY_S
from timbrel.score.placement import placed, without_room
from timbrel.score.score import Score, Track
from timbrel.score.source import as_score
from timbrel.timbre.assignment import heard_tracks, instrument_for, timbres_of
from timbrel.timbre.timbre import Timbre
from timbrel.vocoder.catalog import load_vocoder, model_for, vocoder_for
from timbrel.vocoder.vocoder import Sampling, Vocoder
from timbrel.voices import Voice, Voices, excerpt, voices_of

if TYPE_CHECKING:
    from timbrel.score.source import Source
    from timbrel.timbre.assignment import Timbres

RELEASE_S = 2.0  # rendered after the end of the last note; with a room, its decay follows


class _Span(NamedTuple):
    """Frames of a score: where computing begins (unheard), where the sound does, where both end."""

    first: int
    start: int
    stop: int


class Synthesizer:
    """Plays scores with a trained model.

    Create one with `load`; it can be used for any number of scores, also from several threads.

    >>> from timbrel import Synthesizer, write_audio
    >>> synthesizer = Synthesizer.load()
    >>> audio = synthesizer.render("song.mid", timbre="70% church organ + 30% trumpet")
    >>> write_audio("song.wav", audio, synthesizer.sample_rate)

    Parameters
    ----------
    generator
        A network that makes mel spectrograms of notes.
    vocoder
        Turns mel spectrograms into sound.
    threads
        Number of threads that share the voices of a score; one for each physical core if None.

    Raises
    ------
    InputError
        If the vocoder was made for other mel spectrograms.
    """

    def __init__(
        self, generator: MelGenerator, vocoder: Vocoder, *, threads: int | None = None
    ) -> None:
        if vocoder.roll not in (None, generator.bundle.roll):
            raise InputError(
                f"the vocoder wants {vocoder.roll} rolls; the model reads {generator.bundle.roll} "
                "rolls: give one that was made for it"
            )
        if vocoder.mel != generator.bundle.mel:
            raise InputError(
                f"the vocoder expects mels of {vocoder.mel}; the model makes {generator.bundle.mel}"
            )
        self._generator = generator
        self._abilities = Abilities.of(generator.bundle)
        self._vocoder = vocoder
        self._threads = n_physical_cores() if threads is None else within_cores(threads)

    @classmethod
    def load(
        cls,
        model: str | os.PathLike | None = None,
        *,
        vocoder: str | os.PathLike | None = None,
        threads: int | None = None,
        sampling: Sampling | None = None,
    ) -> Synthesizer:
        """Load a model and a vocoder.

        Parameters
        ----------
        model
            A shipped model's name, or a bundle's folder. If None, the default model, or the one
            that the vocoder was made for.
        vocoder
            A vocoder's name, or a bundle's folder; see `timbrel.vocoder.catalog`. If None, the one
            that was made for the model.
        threads
            Number of threads that share the voices; one for each physical core if None. The sound
            does not depend on it.
        sampling
            Precision and sampling temperature, for vocoders that sample, such as a WaveNet.

        Raises
        ------
        InputError
            If the model or the vocoder cannot be loaded, or if they do not match.
        """
        bundle = load_bundle(model_for(vocoder) if model is None else model, kind="mel2mel")
        return cls(
            MelGenerator(bundle),
            load_vocoder(
                vocoder_for(bundle) if vocoder is None else vocoder, bundle.mel, sampling=sampling
            ),
            threads=threads,
        )

    def __repr__(self) -> str:
        return (
            f"<Synthesizer {self.model.name}: {len(self.instruments)} instruments, "
            f"{self.sample_rate} Hz>"
        )

    @property
    def model(self) -> Bundle:
        """The model's bundle: its name, sizes and instruments."""
        return self._generator.bundle

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The instruments that the model knows: name, General MIDI program, coordinates."""
        return self.model.instruments

    @property
    def sample_rate(self) -> int:
        """Samples a second of the sound, in Hz."""
        return self.model.mel.sample_rate

    def render(
        self,
        score: Source,
        options: RenderOptions | None = None,
        **changes: Any,
    ) -> np.ndarray:
        """Render a score and return the audio; see `stream` for the parameters.

        Its loudness is measured; where it cannot be what was asked for, a `LoudnessWarning` says
        so.

        Returns
        -------
        audio : ndarray of float32, shape (samples, channels)
        """
        stream = self.stream(score, options, **changes)
        if stream.loudness_lufs is None:
            return np.concatenate([block.mix for block in stream])
        mix = [block.mix for block in stream.unmastered()]
        rate, channels = stream.sample_rate, stream.channels
        mastering = fitted_mastering(
            measured_loudness(mix, rate, channels),
            lambda: mix,
            rate,
            channels,
            loudness_lufs=stream.loudness_lufs,
        )
        if mastering.remark:
            warnings.warn(f"the mix {mastering.remark}", LoudnessWarning, stacklevel=2)
        return np.concatenate(list(mastered(mix, rate, channels, gain_db=mastering.gain_db)))

    def stream(
        self,
        score: Source,
        options: RenderOptions | None = None,
        **changes: Any,
    ) -> AudioStream:
        """Render a score block by block, in memory that does not depend on its length.

        Parameters
        ----------
        score
            The path of a MIDI file, its bytes, an open file, a `Score`, a `Track` or several, a
            `mido.MidiFile`, a `pretty_midi.PrettyMIDI`, or notes, each a `Note` or ``(pitch,
            velocity, start_s, end_s)``; see `timbrel.score.source`.
        options
            How to render it; the defaults of `RenderOptions` if None.
        **changes
            Fields of `RenderOptions` that replace those of `options`: ``timbre``, ``mute``,
            ``solo``, ``seed``, ``start_s``, ``duration_s``, ``channels``, ``loudness_lufs``,
            ``gain_db``, ``normalize``, ``dry``, ``tuning_hz``, ``stems``, ``stems_kind``.

        Returns
        -------
        AudioStream
            Iterates over `Block`; no audio is computed before the iteration. Its gain is therefore
            estimated from the score; `render` measures the loudness instead.

        Raises
        ------
        InputError
            If the score cannot be read or has no notes that can be played, or if a timbre or
            another option is not valid.
        TypeError
            If an option does not exist.
        """
        options = replace(options or RenderOptions(), **changes)
        if options.tuning and not self._abilities.bends:
            raise InputError(
                f"{self.model.name}: plays in the tuning of {A4_HZ:g} Hz alone; another tuning "
                "needs a model that plays bends"
            )
        score = self.playable(score).tuned(options.tuning)
        if not score.n_notes:
            raise InputError(f"the score has no notes that can be played{_left_out(score)}")
        if options.start_s >= score.duration_s:
            raise InputError(
                f"the start, {options.start_s:g} s, lies beyond the score's end "
                f"({score.duration_s:.1f} s)"
            )
        timbres = self.timbres(score, options.timbre)
        score = without_room(score) if options.dry else placed(score)
        heard = heard_tracks(score.tracks, options.mute, options.solo)
        voices = voices_of(
            _only(score, heard), timbres, self.model.mel.frame_rate, merge=not options.stems
        )
        span = self._span(score, options)
        return AudioStream(
            length=(span.stop - span.start) * self.model.mel.hop_length,
            sample_rate=self.sample_rate,
            channels=options.channels,
            n_blocks=len(self._block_ends(span)),
            n_voices=len(voices.voices),
            notes_left_out=voices.notes_left_out,
            timbres=tuple(t if n in heard else None for n, t in enumerate(timbres, 1)),
            loudness_lufs=options.target_lufs,
            gain_db=self._gain_db(voices, span, options),
            _play=lambda: self._stream(len(score.tracks), voices, span, options),
        )

    def playable(self, score: Source) -> Score:
        """The part of a score, from whatever `stream` takes, that the model plays."""
        return self._abilities.playable(as_score(score))

    def timbres(self, score: Score, timbre: Timbres) -> list[Timbre]:
        """The timbre of each track of a score, as `playable` gives it.

        A timbre for all tracks applies to those of melodic instruments; see
        `timbrel.timbre.assignment.timbres_of`.
        """
        found = timbres_of(score.tracks, timbre, self.instruments)
        for one in found:
            self._generator.check(one)
        return found

    def nearest_instrument(self, track: Track) -> str:
        """Name of the model's instrument, or kit, that is nearest to a track's MIDI program."""
        return instrument_for(track, self.instruments).name

    def _stream(
        self, n_tracks: int, voices: Voices, span: _Span, options: RenderOptions
    ) -> Iterator[Block]:
        mel = self.model.mel
        played = [excerpt(voice, span.first / mel.frame_rate) for voice in voices.voices]
        ensemble = Ensemble(
            played,
            self._generator,
            self._vocoder,
            n_frames=span.stop - span.first,
            seed=options.seed,
            threads=self._threads,
        )
        is_post_fader = options.stems and options.stems_kind == POST_FADER
        mixer = self._mixer(played, span, options)
        # Post-fader stems have rooms of their own, which sum to the room of all.
        own = [self._mixer([voice], span, options) for voice in played] if is_post_fader else []
        ends = self._block_ends(span)
        begins = [span.first, *ends[:-1]]
        blocks = ensemble.blocks([end - span.first for end in ends])
        for begin, end, sounds in zip(begins, ends, blocks, strict=True):
            n_samples = (end - begin) * mel.hop_length
            heard = slice(max(span.start - begin, 0) * mel.hop_length, None)
            shape: tuple[int, ...] = (n_tracks if options.stems else 0, n_samples)
            if is_post_fader:
                shape += (options.channels,)
            tracks = np.zeros(shape, np.float32)
            mix = mixer.process(sounds, n_samples)
            for index, one in enumerate(own):
                sound = {0: sounds[index]} if index in sounds else {}
                tracks[played[index].number] = one.process(sound, n_samples)
            if options.stems and not is_post_fader:
                for index, computed in sounds.items():
                    tracks[played[index].number] = computed
            yield Block(mix[heard], tracks[:, heard])

    def _mixer(self, voices: Sequence[Voice], span: _Span, options: RenderOptions) -> Mixer:
        """What mixes some voices from the beginning of a span on."""
        mel = self.model.mel
        return Mixer(
            [voice.track for voice in voices],
            mel.sample_rate,
            options.channels,
            position=span.first * mel.hop_length,
        )

    def _gain_db(self, voices: Voices, span: _Span, options: RenderOptions) -> float:
        """The gain that is asked for, or expected to give the mix its loudness."""
        if options.target_lufs is None:
            return options.gain_db or 0.0
        start_s, stop_s = (frame / self.model.mel.frame_rate for frame in (span.start, span.stop))
        expected_lufs = expected_loudness(
            voices.voices, self.model, start_s=start_s, stop_s=stop_s, channels=options.channels
        )
        return options.target_lufs - expected_lufs if np.isfinite(expected_lufs) else 0.0

    def _span(self, score: Score, options: RenderOptions) -> _Span:
        """The span of an excerpt; computing begins on the grid of hops, as for the whole score."""
        frame_rate, hop = self.model.mel.frame_rate, self.model.window.hop
        start = round(options.start_s * frame_rate)
        first = max(start - round(PRE_ROLL_S * frame_rate), 0) // hop * hop
        end_s = score.duration_s + RELEASE_S + (0.0 if options.dry else DECAY_S)
        if options.duration_s is not None:
            end_s = min(options.start_s + options.duration_s, end_s)
        return _Span(first, start, max(round(end_s * frame_rate), start + 1))

    def _block_ends(self, span: _Span) -> list[int]:
        """The frames where blocks end."""
        window = self.model.window
        block = window.block_hops * window.hop
        return [*range(span.first + block, span.stop, block), span.stop]


def _only(score: Score, heard: set[int]) -> Score:
    """The score with notes in those tracks only that are heard: nothing is computed of others."""
    tracks = enumerate(score.tracks, 1)
    return replace(
        score, tracks=tuple(t if n in heard else replace(t, notes=()) for n, t in tracks)
    )


def _left_out(score: Score) -> str:
    return f"; left out: {score.left_out}" if score.unplayable else ""

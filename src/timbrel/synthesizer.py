"""From a score to sound: the main path of Timbrel, on one page.

MIDI file → Score → piano rolls ┐
                                ├→ mel spectrograms → vocoder → audio of each track → mix
timbre (name, mix, path, file) ─┘
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from timbrel.bundles.bundle import DEFAULT_MODEL, Bundle, load_bundle
from timbrel.constants import FRAME_RATE
from timbrel.errors import InputError
from timbrel.mel.generator import HOP_FRAMES, MelGenerator
from timbrel.mixer import Mixer
from timbrel.render_options import RenderOptions
from timbrel.score.instruments import nearest_program
from timbrel.score.midi import read_midi
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Score, Track
from timbrel.timbre.timbre import Timbre, parse_timbre
from timbrel.vocoder.catalog import DEFAULT_VOCODER, load_vocoder
from timbrel.vocoder.vocoder import Sampling, Vocoder

if TYPE_CHECKING:
    from timbrel.render_options import Timbres

RELEASE_S = 2.0  # what is rendered after the last note
# Before an excerpt, so much of the score is played unheard, so that what sounds already is right.
_PRE_ROLL_FRAMES = 4 * FRAME_RATE
_BLOCK_FRAMES = 8 * HOP_FRAMES


@dataclass(frozen=True)
class Block:
    """Some audio of a stream."""

    mix: np.ndarray  # (samples, channels)
    tracks: np.ndarray  # (tracks, samples), before volume and pan; as long as the mix in all


@dataclass(frozen=True)
class AudioStream:
    """The sound of a score, made while it is iterated over, block by block.

    Every iteration begins anew and gives the same sound, with memory that does not depend on its
    length.
    """

    length: int  # samples of the mix
    sample_rate: int  # Hz
    channels: int
    n_blocks: int
    _play: Callable[[], Iterator[Block]]

    @property
    def duration_s(self) -> float:
        return self.length / self.sample_rate

    def __iter__(self) -> Iterator[Block]:
        return self._play()


class Synthesizer:
    """Plays scores with a trained model.

    Make one with `load`; it can then be used for any number of scores, also in several threads.
    """

    def __init__(self, generator: MelGenerator, vocoder: Vocoder) -> None:
        if vocoder.mel != generator.bundle.mel:
            raise InputError(
                f"the vocoder expects mels of {vocoder.mel}; the model makes {generator.bundle.mel}"
            )
        self._generator = generator
        self._vocoder = vocoder

    @classmethod
    def load(
        cls,
        model: str | os.PathLike = DEFAULT_MODEL,
        *,
        vocoder: str | os.PathLike = DEFAULT_VOCODER,
        threads: int = 1,
        sampling: Sampling | None = None,
    ) -> Synthesizer:
        """Load a model and a vocoder.

        Parameters
        ----------
        model
            A shipped model's name, or a bundle's folder.
        vocoder
            A name or a bundle's folder; see `timbrel.vocoder.catalog`.
        threads
            For the networks; more than one helps with many tracks only.
        sampling
            For a vocoder that draws samples one by one: its precision and temperature.

        Raises
        ------
        InputError
            If the model or the vocoder cannot be loaded, or they do not fit each other.
        """
        bundle = load_bundle(model, kind="mel2mel")
        generator = MelGenerator(bundle, threads=threads)
        return cls(generator, load_vocoder(vocoder, bundle.mel, threads=threads, sampling=sampling))

    @property
    def model(self) -> Bundle:
        return self._generator.bundle

    @property
    def sample_rate(self) -> int:
        return self.model.mel.sample_rate

    def render(
        self,
        score: Score | str | os.PathLike,
        options: RenderOptions | None = None,
        **changes: Any,
    ) -> np.ndarray:
        """Play a score and give the sound; see `stream` for the parameters.

        Returns
        -------
        audio : ndarray of float32, shape (samples, channels)
        """
        return np.concatenate([block.mix for block in self.stream(score, options, **changes)])

    def stream(
        self,
        score: Score | str | os.PathLike,
        options: RenderOptions | None = None,
        **changes: Any,
    ) -> AudioStream:
        """Play a score block by block, with memory that does not depend on its length.

        Parameters
        ----------
        score
            A score or the path of a MIDI file.
        options
            How to play it; by default as `RenderOptions` has it.
        **changes
            Fields of `RenderOptions` instead of those of `options`: ``timbre``, ``seed``,
            ``start_s``, ``duration_s``, ``channels``, ``gain_db``.

        Returns
        -------
        AudioStream
            Iterates over `Block`; nothing is computed before.

        Raises
        ------
        InputError
            If the score has no notes to play, or a timbre or a number is not valid.
        TypeError
            If there is no such option.
        """
        options = replace(options or RenderOptions(), **changes)
        if not isinstance(score, Score):
            score = read_midi(score)
        if not score.n_notes:
            raise InputError(f"the score has no notes that can be played{_left_out(score)}")
        if options.start_s >= score.duration_s:
            raise InputError(
                f"the start, {options.start_s:g} s, lies beyond the score's end "
                f"({score.duration_s:.1f} s)"
            )
        timbres = self.timbres(score, options.timbre)
        first, start, stop = _span(score, options.start_s, options.duration_s)
        return AudioStream(
            length=(stop - start) * self.model.mel.hop_length,
            sample_rate=self.sample_rate,
            channels=options.channels,
            n_blocks=-(-(stop - first) // _BLOCK_FRAMES),
            _play=lambda: self._stream(score, timbres, options),
        )

    def timbres(self, score: Score, timbre: Timbres) -> list[Timbre]:
        """The timbre of each track of a score."""
        instruments = self.model.instruments
        if timbre is None or isinstance(timbre, str | Timbre):
            given: Mapping[int, str | Timbre] = {}
            common = timbre
        else:
            given, common = timbre, timbre.get(0)
        for number in given:
            if not 0 <= number <= len(score.tracks):
                raise InputError(f"there is no track {number}; the score has {len(score.tracks)}")
        chosen = []
        for number, track in enumerate(score.tracks, 1):
            wish = given.get(number, common)
            if wish is None:
                wish = self.nearest_instrument(track)
            if not isinstance(wish, Timbre):
                wish = parse_timbre(wish, instruments)
            size = len(instruments[0].embedding)
            if any(len(point) != size for point in wish.points):
                raise InputError(
                    f"a timbre of another model was given; this one's have {size} coordinates"
                )
            chosen.append(wish)
        return chosen

    def nearest_instrument(self, track: Track) -> str:
        """Name of the model's instrument that is nearest to a track's MIDI program."""
        names = {instrument.program: instrument.name for instrument in self.model.instruments}
        return names[nearest_program(track.program, list(names))]

    def _stream(
        self, score: Score, timbres: list[Timbre], options: RenderOptions
    ) -> Iterator[Block]:
        first, start, stop = _span(score, options.start_s, options.duration_s)
        n_frames = stop - first
        part = score.excerpt(first / FRAME_RATE)
        rolls = [PianoRoll(track.notes) for track in part.tracks]
        timbres = [timbre.delayed(-first / FRAME_RATE) for timbre in timbres]

        hop = self.model.mel.hop_length
        skip, left = (start - first) * hop, n_frames * hop - (start - first) * hop
        mixer = Mixer(
            score.tracks,
            self.sample_rate,
            options.channels,
            position=start * hop,
            gain_db=options.gain_db,
        )
        voices = self._vocoder.stream(rolls, seed=options.seed)
        done = 0
        for mel in self._generator.stream(rolls, timbres, n_frames, block_frames=_BLOCK_FRAMES):
            done += mel.shape[1]
            last = done == n_frames
            audio = voices.process(mel, last=last)
            cut = min(skip, audio.shape[1])
            skip, audio = skip - cut, audio[:, cut:]
            left -= audio.shape[1]
            yield Block(mixer.process(audio, last=last), audio)
        assert left == 0, "a vocoder gave another number of samples than it was asked for"


def _span(score: Score, start_s: float, duration_s: float | None) -> tuple[int, int, int]:
    """Frames where the work begins (unheard), where the sound begins, and where it ends.

    The work begins on the grid of hops, so that an excerpt sounds as it does within the whole.
    """
    start = round(start_s * FRAME_RATE)
    first = max(start - _PRE_ROLL_FRAMES, 0) // HOP_FRAMES * HOP_FRAMES
    end_s = score.duration_s + RELEASE_S
    if duration_s is not None:
        end_s = min(start_s + duration_s, end_s)
    return first, start, max(round(end_s * FRAME_RATE), start + 1)


def _left_out(score: Score) -> str:
    return f"; left out: {score.left_out}" if score.unplayable else ""

"""From a score to sound: the main path of Timbrel, on one page.

MIDI file → Score → piano rolls ┐
                                ├→ mel spectrograms → vocoder → audio of each track → mix
timbre (name, mix, path, file) ─┘
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from timbrel.bundles.bundle import DEFAULT_MODEL, Bundle, load_bundle
from timbrel.constants import FRAME_RATE
from timbrel.errors import InputError
from timbrel.mel.generator import HOP_FRAMES, MelGenerator
from timbrel.mixer import Mixer
from timbrel.score.instruments import nearest_program
from timbrel.score.midi import read_midi
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Score, Track
from timbrel.timbre.timbre import Timbre, parse_timbre
from timbrel.vocoder.catalog import DEFAULT_VOCODER, load_vocoder
from timbrel.vocoder.vocoder import Sampling, Vocoder

RELEASE_S = 2.0  # what is rendered after the last note
# Before an excerpt, so much of the score is played unheard, so that what sounds already is right.
_PRE_ROLL_FRAMES = 4 * FRAME_RATE
_BLOCK_FRAMES = 8 * HOP_FRAMES

# One timbre for all tracks, or one for each track's number, counted from 1, and under 0 one for the
# others; a track that is given none gets the instrument nearest to its MIDI program.
Timbres = str | Timbre | Mapping[int, str | Timbre] | None


@dataclass(frozen=True)
class Block:
    """Some audio of a stream."""

    mix: np.ndarray  # (samples, channels)
    tracks: np.ndarray  # (tracks, samples), before volume and pan; as long as the mix in all


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
        *,
        timbre: Timbres = None,
        seed: int = 0,
        start_s: float = 0.0,
        duration_s: float | None = None,
        channels: int = 2,
        gain_db: float = 0.0,
    ) -> np.ndarray:
        """Play a score and give the sound; see `stream` for the parameters.

        Returns
        -------
        audio : ndarray of float32, shape (samples, channels)
        """
        blocks = self.stream(
            score,
            timbre=timbre,
            seed=seed,
            start_s=start_s,
            duration_s=duration_s,
            channels=channels,
            gain_db=gain_db,
        )
        return np.concatenate([block.mix for block in blocks])

    def stream(
        self,
        score: Score | str | os.PathLike,
        *,
        timbre: Timbres = None,
        seed: int = 0,
        start_s: float = 0.0,
        duration_s: float | None = None,
        channels: int = 2,
        gain_db: float = 0.0,
    ) -> Iterator[Block]:
        """Play a score block by block, with memory that does not depend on its length.

        Parameters
        ----------
        score
            A score or the path of a MIDI file.
        timbre
            A timbre (see `timbrel.timbre`) for all tracks, or a mapping from the numbers of
            tracks, counted from 1, to timbres; the number 0 stands for all others. Tracks without
            one get the instrument nearest to their MIDI program. A path's times are those of the
            score.
        seed
            Of whatever chance the vocoder uses.
        start_s, duration_s
            The part of the score to play; to its end, with what rings on, if there is no duration.
        channels
            2 for stereo, 1 for mono.
        gain_db
            Of the mix; a limiter keeps it from clipping.

        Raises
        ------
        InputError
            If the score has no notes to play, or a timbre or a number is not valid.
        """
        if not isinstance(score, Score):
            score = read_midi(score)
        if not score.n_notes:
            raise InputError(f"the score has no notes that can be played{_left_out(score)}")
        if not (np.isfinite(start_s) and 0 <= start_s < score.duration_s):
            raise InputError(
                f"start {start_s:g} s lies outside the score ({score.duration_s:.1f} s)"
            )
        if duration_s is not None and not (np.isfinite(duration_s) and duration_s > 0):
            raise InputError(f"a duration of {duration_s:g} s is not possible")
        if channels not in (1, 2):
            raise InputError(f"{channels} channels are not possible; 1 and 2 are")
        if seed < 0:
            raise InputError(f"a seed of {seed} is not possible; it must not be negative")
        timbres = self.timbres(score, timbre)
        if not -100 <= gain_db <= 100:
            raise InputError(f"a gain of {gain_db:g} dB is not possible; −100 to 100 dB are")
        return self._stream(score, timbres, seed, start_s, duration_s, channels, gain_db)

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

    def n_blocks(self, score: Score, start_s: float = 0.0, duration_s: float | None = None) -> int:
        """How many blocks `stream` will give."""
        first, _, stop = _span(score, start_s, duration_s)
        return -(-(stop - first) // _BLOCK_FRAMES)

    def _stream(
        self,
        score: Score,
        timbres: list[Timbre],
        seed: int,
        start_s: float,
        duration_s: float | None,
        channels: int,
        gain_db: float,
    ) -> Iterator[Block]:
        first, start, stop = _span(score, start_s, duration_s)
        n_frames = stop - first
        part = score.excerpt(first / FRAME_RATE)
        rolls = [PianoRoll(track.notes) for track in part.tracks]
        timbres = [timbre.delayed(-first / FRAME_RATE) for timbre in timbres]

        hop = self.model.mel.hop_length
        skip, left = (start - first) * hop, n_frames * hop - (start - first) * hop
        mixer = Mixer(
            score.tracks, self.sample_rate, channels, position=start * hop, gain_db=gain_db
        )
        voices = self._vocoder.stream(rolls, seed=seed)
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

"""A recording played in another timbre: it is transcribed, and its score is played.

recording ─→ notes ─→ score ─→ synthesizer ─→ sound that is as loud as the recording, all the way
    └─→ level over time, and loudness ────────────┘

The road by notes is taken, rather than that of a network which turns sound into sound: what was
heard can be looked at and mended in between, and the sound is that of any score.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from timbrel.abilities import Abilities
from timbrel.audio_stream import AudioStream, Block
from timbrel.constants import A4_HZ
from timbrel.errors import InputError
from timbrel.kept_timbre import KeptTimbre, TimbreKeeper
from timbrel.level_contour import STEP_S, contour_of, following
from timbrel.loudness import Loudness, LoudnessMeter
from timbrel.progress import Progress, silent
from timbrel.render_options import LOUDEST_LUFS, SOFTEST_LUFS, RenderOptions
from timbrel.synthesizer import Synthesizer
from timbrel.transcription.midi import as_midi
from timbrel.transcription.recording import Recording, look_into
from timbrel.transcription.transcriber import Transcriber, Transcription

if TYPE_CHECKING:
    import os


@dataclass(frozen=True)
class Translation:
    """A recording on its way to another timbre."""

    transcription: Transcription
    stream: AudioStream  # the sound, computed while it is iterated over
    loudness: Loudness  # of the recording
    kept: KeptTimbre | None = None  # the recording's own timbre, where it was kept


class Translator:
    """Plays recordings in other timbres.

    >>> from timbrel import Synthesizer
    >>> from timbrel.transcription.transcriber import Transcriber
    >>> translator = Translator(Synthesizer.load(), Transcriber.load())
    >>> translation = translator.translate("song.wav", timbre="church organ")
    >>> blocks = [block.mix for block in translation.stream]

    Parameters
    ----------
    synthesizer
        What plays.
    transcriber
        What hears.
    keeper
        If there is one, recordings keep their own timbres, which it finds.
    """

    def __init__(
        self,
        synthesizer: Synthesizer,
        transcriber: Transcriber,
        keeper: TimbreKeeper | None = None,
    ) -> None:
        self._synthesizer, self._transcriber, self._keeper = synthesizer, transcriber, keeper

    def translate(
        self,
        path: str | os.PathLike | Recording,
        options: RenderOptions | None = None,
        *,
        progress: Progress = silent,
        **changes: Any,
    ) -> Translation:
        """Hear a recording, and prepare to play it.

        Where a model plays bends, its tuning is that of the recording. The level of the sound is
        moved to the recording's at each time, by 12 dB at most.

        Parameters
        ----------
        path
            An audio file, or what `look_into` found in one.
        options
            How to render its score; see `RenderOptions`. Without a loudness or a gain, the sound
            is as loud as the recording. There are no stems.
        progress
            Wraps the blocks of the recording.
        **changes
            Fields that replace those of `options`, such as ``timbre``.

        Raises
        ------
        InputError
            If the file cannot be read as audio, if nothing like notes is heard in it, or if an
            option is not valid.
        """
        recording = path if isinstance(path, Recording) else look_into(path)
        heard = self._transcriber.transcribe(recording, progress=progress)
        if not heard.notes:
            raise InputError(f"{recording.path}: {heard.remarks[-1]}")
        rate = self._synthesizer.sample_rate
        wanted_db, loudness = _levels(recording, rate)
        options = replace(options or RenderOptions(), **changes)
        if options.stems:
            raise InputError("a translation is one part; it has no stems")
        kept = None
        if self._keeper is not None:
            if options.timbre is not None:
                raise InputError("the recording's timbre is kept; no other one can be given")
            kept = self._keeper.timbre_of(recording, heard, progress=progress)
            options = replace(options, timbre=kept.timbre)
        if Abilities.of(self._synthesizer.model).bends and options.tuning_hz == A4_HZ:
            options = replace(options, tuning_hz=A4_HZ * 2 ** (heard.tuning_cents / 1200))
        as_loud = replace(
            options,
            loudness_lufs=float(np.clip(loudness.integrated_lufs, SOFTEST_LUFS, LOUDEST_LUFS)),
            gain_db=None,
            normalize=True,
        )
        score = as_midi(heard)
        stream = self._synthesizer.stream(score, as_loud)
        difference_db = stream.gain_db  # of the recording from the sound, as far as one can expect
        if options.target_lufs is None:  # an excerpt is as loud as it is in the whole
            whole = replace(as_loud, start_s=0.0, duration_s=None)
            difference_db = self._synthesizer.stream(score, whole).gain_db
        if options.loudness_lufs is not None or options.target_lufs is None:
            stream = self._synthesizer.stream(score, options)
        unheard = wanted_db[round(options.start_s / STEP_S) :]

        def play() -> Iterator[Block]:
            mixes = (block.mix for block in computed())
            for mix in following(mixes, unheard, rate, gain_db=difference_db):
                yield Block(mix, np.zeros((0, len(mix)), np.float32))

        computed = stream.unmastered
        n_blocks = stream.n_blocks + 1
        return Translation(heard, replace(stream, _play=play, n_blocks=n_blocks), loudness, kept)


def _levels(recording: Recording, sample_rate: int) -> tuple[np.ndarray, Loudness]:
    """The level of a recording over time, and its loudness from two loudspeakers."""
    meter = LoudnessMeter(sample_rate, 2)

    def heard() -> Iterator[np.ndarray]:
        for block in recording.blocks(sample_rate):
            meter.add(np.stack([block, block], axis=1))
            yield block

    return contour_of(heard(), sample_rate), meter.measured

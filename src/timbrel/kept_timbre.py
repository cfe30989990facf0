"""The timbre of a recording, found so that it can be kept: what plays its notes again sounds alike.

recording ─→ encoder ─→ a place in the timbre space, found more closely ─→ fit, if wanted ─→ timbre
"""

from __future__ import annotations

from dataclasses import dataclass

from timbrel.bundles.bundle import Bundle
from timbrel.errors import need_packages
from timbrel.fitting.closer import CloserListener, find_timbre
from timbrel.hearing.from_audio import FoundTimbre, TimbreEncoder
from timbrel.progress import Progress, silent
from timbrel.timbre.timbre import Timbre
from timbrel.transcription.recording import Recording
from timbrel.transcription.transcriber import Transcription


@dataclass(frozen=True)
class KeptTimbre:
    """The timbre of a recording."""

    timbre: Timbre
    found: FoundTimbre  # what was heard of it
    error_db: float | None = None  # the log-mel error of a fitted timbre

    @property
    def nearest(self) -> str:
        """The instrument that is likeliest what was heard."""
        return self.found.instruments[0].instrument.name


class TimbreKeeper:
    """Finds the timbres of recordings.

    Parameters
    ----------
    encoder
        Hears where a timbre lies.
    model
        The Mel2Mel that is to play it, whose space the encoder speaks of.
    fit
        Whether the timbre is fitted to the recording from there on.

    Raises
    ------
    MissingToolError
        If it is to be fitted, and PyTorch is not installed.
    """

    def __init__(self, encoder: TimbreEncoder, model: Bundle, *, fit: bool = False) -> None:
        if fit:
            need_packages("train", "fitting", "torch")
        self._encoder, self._model, self._fit = encoder, model, fit
        self._closer = CloserListener(model)

    def timbre_of(
        self, recording: Recording, heard: Transcription, *, progress: Progress = silent
    ) -> KeptTimbre:
        """Find the timbre of a recording whose notes were heard.

        Raises
        ------
        InputError
            If it sounds like no instrument, or cannot be fitted to; see `fit_clips`.
        """
        found = find_timbre(self._encoder, self._closer, [recording], progress=progress)
        if not self._fit:
            return KeptTimbre(found.timbre(), found)
        from timbrel.fitting.fit import fit_clips
        from timbrel.fitting.material import check_lengths, clip_of

        check_lengths([recording])
        clip = clip_of(recording, heard.score(), self._model)
        fitted = fit_clips([clip], self._model, guesses=[found.point], progress=progress)
        return KeptTimbre(fitted.timbre, found, fitted.error_db)

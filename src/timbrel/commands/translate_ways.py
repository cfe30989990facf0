"""The two ways from a recording to another sound: by its notes, or through a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from timbrel.commands.cast import remarks_on

if TYPE_CHECKING:
    from timbrel.audio_stream import AudioStream
    from timbrel.kept_timbre import KeptTimbre
    from timbrel.progress import Progress
    from timbrel.render_options import RenderOptions
    from timbrel.transcription.recording import Recording
    from timbrel.translation import Translator
    from timbrel.translation_network.translator import NetworkTranslator


@dataclass(frozen=True)
class Translated:
    """A recording on its way to another sound."""

    stream: AudioStream
    words: str  # what it is made of
    remarks: list[str]
    described: dict[str, Any]  # for JSON
    kept: KeptTimbre | None = None


class Way(Protocol):
    """How recordings are translated."""

    def translated(self, recording: Recording, progress: Progress) -> Translated:
        """Prepare to play a recording."""


@dataclass(frozen=True)
class ByNotes:
    """The recording's notes are heard and played."""

    translator: Translator
    options: RenderOptions
    model: str  # its name

    def translated(self, recording: Recording, progress: Progress) -> Translated:
        """Hear the notes, and prepare to play them."""
        found = self.translator.translate(recording, self.options, progress=progress)
        heard = found.transcription
        described = {
            "notes": len(heard.notes),
            "tuning_cents": round(heard.tuning_cents, 1),
            "timbre": self.options.timbre,
            "model": self.model,
        }
        remarks = [*heard.remarks, *remarks_on(found.stream.timbres)]
        return Translated(found.stream, f"{len(heard.notes)} notes", remarks, described, found.kept)


@dataclass(frozen=True)
class ByNetwork:
    """The recording becomes codes, and a domain's decoder makes its own sound of them."""

    translator: NetworkTranslator
    loudness_lufs: float | None
    temperature: float
    seed: int

    def translated(self, recording: Recording, progress: Progress) -> Translated:  # noqa: ARG002
        """Prepare to play the codes."""
        stream = self.translator.translate(
            recording,
            loudness_lufs=self.loudness_lufs,
            temperature=self.temperature,
            seed=self.seed,
        )
        domain, network = self.translator.domain, self.translator.bundle.name
        described = {"network": network, "domain": domain}
        return Translated(stream, domain, list(recording.remarks), described)

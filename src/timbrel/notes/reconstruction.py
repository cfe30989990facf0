"""Notes through the models of an evaluation, a few at a time in parallel processes.

What has its file already is not made again, so that an evaluation can be interrupted. Each
sound draws by its place among all: neither the processes nor an interruption change it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import joblib
import numpy as np
import torch

from timbrel.constants import SAMPLE_RATE
from timbrel.files import atomic_path, make_folder
from timbrel.machine import n_processes
from timbrel.measures.compiled import compile_librosa
from timbrel.notes.baseline import BaselineConfig, SpectralBaseline
from timbrel.notes.codec import NoteCodec
from timbrel.notes.export import load_spectral
from timbrel.notes.rendering import STREAMS, Sound, render_numbered
from timbrel.notes.spectrum import log_spectrum, peak_magnitude, spectrum_to_audio
from timbrel.progress import Progress
from timbrel.sound import read_audio, write_audio

T = TypeVar("T")


@dataclass(frozen=True)
class Clip:
    """A sound, and the file for its codes."""

    path: Path
    audio: np.ndarray


@dataclass(frozen=True)
class Pitched:
    """A note that the baseline is to reconstruct, and the file for it."""

    path: Path
    audio: np.ndarray
    pitch: int


@dataclass(frozen=True)
class Workers:
    """Work on a list in parallel processes.

    Parameters
    ----------
    jobs
        Processes; −1 is one for each core.
    progress
        Wraps the parts of the list.
    """

    jobs: int
    progress: Progress

    def each(
        self, work: Callable[..., list[T]], items: Sequence[Any], label: str, **given: Any
    ) -> list[T]:
        """Join the results of ``work(part, **given)`` for the parts of a list, in its order."""
        parts = [items[i : i + STREAMS] for i in range(0, len(items), STREAMS)]
        compile_librosa()
        done = joblib.Parallel(n_jobs=n_processes(self.jobs), return_as="generator")(
            joblib.delayed(work)(part, **given) for part in parts
        )
        return [result for some in self.progress(done, len(parts), label) for result in some]


def codes_of_clips(clips: Sequence[Clip], *, model: Path) -> list[np.ndarray]:
    """The codes of an autoencoder's bundle, (frames, code_size) each; their files are written."""
    missing = [clip for clip in clips if not clip.path.exists()]
    if missing:
        codec = NoteCodec.load(model)
        for clip in missing:
            make_folder(clip.path.parent)
            with atomic_path(clip.path) as temporary, temporary.open("wb") as file:
                np.save(file, codec.encode(clip.audio))
    return [np.load(clip.path) for clip in clips]


def decode_sounds(
    sounds: Sequence[tuple[int, Sound]], *, model: Path, seed: int, temperature: float
) -> list[Path]:
    """Decode sounds, each with its place among all, to their files."""
    return render_numbered(NoteCodec.load(model), sounds, seed=seed, temperature=temperature)


@torch.no_grad()
def spectral_codes(audios: Sequence[np.ndarray], *, model: Path) -> list[np.ndarray]:
    """The codes of a baseline's bundle, (code_size,) each."""
    network, _ = load_spectral(model, SpectralBaseline, BaselineConfig)
    spectra = np.stack([log_spectrum(audio) for audio in audios])
    return list(network.encoder(torch.from_numpy(spectra)).numpy())


@torch.no_grad()
def reconstruct_spectra(notes: Sequence[Pitched], *, model: Path, iterations: int) -> list[Path]:
    """Write the notes as a baseline's bundle makes them of their spectra and pitches."""
    network, _ = load_spectral(model, SpectralBaseline, BaselineConfig)
    for note in notes:
        spectra = torch.from_numpy(log_spectrum(note.audio))[None]
        audio = spectrum_to_audio(
            network(spectra, torch.tensor([note.pitch]))[0].numpy(),
            peak=peak_magnitude(note.audio),
            n_samples=len(note.audio),
            iterations=iterations,
        )
        write_audio(note.path, audio, SAMPLE_RATE)
    return [note.path for note in notes]


def made_once(
    workers: Workers,
    work: Callable[..., list[Path]],
    wanted: Sequence[Any],
    label: str,
    *,
    numbered: bool = False,
    **given: Any,
) -> list[np.ndarray]:
    """The audio of all files that are wanted; `work` makes those that are missing.

    `numbered` gives it each with its place among all.
    """
    missing = [(place, one) for place, one in enumerate(wanted) if not one.path.exists()]
    for _, one in missing:
        make_folder(one.path.parent)
    items = missing if numbered else [one for _, one in missing]
    workers.each(work, items, label, **given)
    return [read_audio(one.path)[0] for one in wanted]

"""Folders of audio of which nothing else is known → crops, for training without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from timbrel.corpus.selection import file_sha256
from timbrel.errors import InputError
from timbrel.progress import Progress, silent
from timbrel.sound import AUDIO_SUFFIXES
from timbrel.training.cached import cached_arrays
from timbrel.training.samples import excerpt, in_16_bits
from timbrel.transcription.recording import audio_files, look_into

_DRAWS = 6  # of a place, until something sounds there
_QUIET = 1e-3  # a crop whose peak is lower is silent


class Crop(NamedTuple):
    """A part of a file."""

    file: int
    audio: np.ndarray  # (samples,) float32


class UnlabelledClips:
    """Audio files as samples at one rate, in mono.

    Parameters
    ----------
    folders
        Searched for audio, their subfolders too.
    cache
        Folder for the samples, in 16 bits; what is there is not read again.
    sample_rate
        To which the files are resampled, in Hz.
    progress
        Wraps the finished items, as ``progress(items, total, label)``.

    Raises
    ------
    InputError
        If a folder is none or holds no audio, or a file cannot be read or is silent: names it.
    """

    def __init__(
        self,
        folders: Sequence[str | Path],
        cache: Path,
        sample_rate: int,
        *,
        progress: Progress = silent,
    ) -> None:
        found = [(Path(folder), path) for folder in folders for path in _files(Path(folder))]
        self.paths = [path for _, path in found]
        # The first subfolder that each lies in; nothing where it lies in none.
        self.subfolders = ["/".join(p.relative_to(f).parts[:-1][:1]) for f, p in found]
        self.sample_rate = sample_rate
        self.hashes = [file_sha256(path) for path in self.paths]
        kept = cache / "samples" / str(sample_rate)
        self._samples = cached_arrays(
            [kept / f"unlabelled-{sha256}.npy" for sha256 in self.hashes],
            _read,
            [(path, sample_rate) for path in self.paths],
            progress=progress,
            label="samples (unlabelled)",
        )
        lengths = np.array([len(samples) for samples in self._samples])
        self.duration_s = float(lengths.sum() / sample_rate)
        self._shares = lengths / lengths.sum()

    def draw(self, random: np.random.Generator, n_samples: int) -> Crop:
        """A part of a file, all seconds equally likely, in which something sounds if need be so.

        What lies beyond the end of a short file is silent.
        """
        for _ in range(_DRAWS):
            index = int(random.choice(len(self._samples), p=self._shares))
            samples = self._samples[index]
            start = int(random.integers(0, max(len(samples) - n_samples, 0) + 1))
            part = excerpt(samples, start, n_samples)
            if np.abs(part).max() >= _QUIET:
                break
        return Crop(index, part)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder; 'options.unlabelled' wants folders of audio")
    found = audio_files(folder)
    if not found:
        raise InputError(f"{folder}: holds no audio files ({', '.join(AUDIO_SUFFIXES)})")
    return found


def _read(path: Path, sample_rate: int) -> np.ndarray:
    recording = look_into(path)
    if recording.is_silent:
        raise InputError(f"{path}: is silent, so nothing can be learnt from it; remove it")
    return in_16_bits(np.concatenate(list(recording.blocks(sample_rate))))

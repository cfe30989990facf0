"""Recordings: audio files of any length, looked through and then read block by block, in mono."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from timbrel.errors import InputError
from timbrel.progress import Progress, silent
from timbrel.sound import AUDIO_SUFFIXES

_OTHER_SUFFIXES = (
    *(".mp4", ".m4a", ".m4v", ".mkv", ".mov", ".avi", ".webm", ".wmv"),
    *(".aac", ".wma", ".opus"),
)
_BLOCK_S = 10.0
_PART_SAMPLES = 1 << 12  # what is lost at most where a file is damaged
SILENT_PEAK = 1e-4  # −80 dB
# Below this peak a recording is made as loud as those that transcribers were trained on.
SOFT_PEAK, WANTED_PEAK = 0.05, 0.25
CANCELLED = 0.01  # a share of the channels' energy that is left of their sum where they cancel
WIDE_HZ = 12_000


@dataclass(frozen=True)
class Recording:
    """What was found in an audio file."""

    path: Path
    sample_rate: int  # Hz
    n_samples: int  # that can be read
    peak: float
    cancels: bool  # the channels are of opposite phase: their difference is heard
    remarks: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.sample_rate

    @property
    def is_silent(self) -> bool:
        return self.peak < SILENT_PEAK

    def blocks(self, sample_rate: int, *, progress: Progress = silent) -> Iterable[np.ndarray]:
        """The sound in mono at another rate, block by block, float32, (samples,)."""
        n_blocks = -(-self.duration_s // _BLOCK_S) + 1
        blocks = self._blocks(sample_rate)
        return progress(blocks, n_blocks, str(self.path), sound_s=self.duration_s)

    def _blocks(self, sample_rate: int) -> Iterator[np.ndarray]:
        gain = WANTED_PEAK / self.peak if SILENT_PEAK <= self.peak < SOFT_PEAK else 1.0
        resampler = soxr.ResampleStream(self.sample_rate, sample_rate, 1)
        for block in _read(self.path):
            mono = _mono(block, cancels=self.cancels) * np.float32(gain)
            yield resampler.resample_chunk(mono)
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def look_into(path: str | os.PathLike) -> Recording:
    """Read an audio file once, to know what is in it.

    Raises
    ------
    InputError
        If it cannot be read as audio, or holds no sound at all.
    """
    path = Path(path)
    rate, n_announced = _announced(path)
    n_samples, peak, both, single, bad = 0, 0.0, 0.0, 0.0, 0
    for block in _read(path):
        n_samples += len(block)
        bad += int((~np.isfinite(block)).sum())
        clean = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
        peak = max(peak, float(np.abs(clean).max(initial=0.0)))
        both += float((clean.mean(axis=1) ** 2).sum())
        single += float((clean**2).mean(axis=1).sum())
    if not n_samples:
        raise InputError(f"{path}: holds no sound that can be read")
    cancels = single > 0 and both < CANCELLED * single
    remarks = []
    if n_samples < n_announced - rate // 10:
        remarks.append(
            f"is cut off: {n_samples / rate:.1f} of {n_announced / rate:.1f} s can be read"
        )
    if bad:
        remarks.append(f"{bad} samples are no numbers; they are taken for silence")
    if cancels:
        remarks.append("its channels cancel each other; their difference is heard instead")
        peak = max(peak, SILENT_PEAK)
    if rate < WIDE_HZ:
        remarks.append(f"holds nothing above {rate / 2000:g} kHz, which makes mistakes likelier")
    return Recording(path, rate, n_samples, peak, cancels, tuple(remarks))


def audio_files(folder: Path) -> list[Path]:
    """Files below a folder that have the name of an audio file, sorted."""
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    return sorted(path for path in paths if path.is_file())


def _announced(path: Path) -> tuple[int, int]:
    """The sample rate, and how many samples the header speaks of."""
    if path.is_dir():
        raise InputError(f"{path}: holds no audio files ({', '.join(AUDIO_SUFFIXES)})")
    try:
        if not path.stat().st_size:
            raise InputError(f"{path}: is empty")
        with _opened(path) as file:
            return file.samplerate, file.frames
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except soundfile.LibsndfileError as error:
        if path.suffix.lower() in _OTHER_SUFFIXES:
            raise InputError(
                f"{path}: is of a format that is not read; take its sound out first, as with: "
                f"ffmpeg -i {path.name} {path.stem}.wav"
            ) from None
        raise InputError(f"{path}: cannot be read as audio ({error})") from None


def _read(path: Path) -> Iterator[np.ndarray]:
    """Blocks of all channels, (samples, channels), as far as the file can be decoded."""
    with _opened(path) as file:
        n_parts = -(-round(_BLOCK_S * file.samplerate) // _PART_SAMPLES)
        is_whole = True
        while is_whole:
            parts = [np.zeros((0, file.channels), np.float32)]
            while is_whole and len(parts) <= n_parts:
                try:
                    with _unheard(path):
                        parts.append(file.read(_PART_SAMPLES, dtype="float32", always_2d=True))
                    is_whole = len(parts[-1]) > 0
                except soundfile.LibsndfileError:  # it is damaged from here on
                    is_whole = False
            block = np.concatenate(parts)
            if len(block):
                yield block


def _opened(path: Path) -> soundfile.SoundFile:
    with _unheard(path):
        return soundfile.SoundFile(os.fspath(path))


@contextmanager
def _unheard(path: Path) -> Iterator[None]:
    """Let the decoder of MP3 files say what it will: it writes of each fault to standard error."""
    if path.suffix.lower() != ".mp3":
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def _mono(block: np.ndarray, *, cancels: bool) -> np.ndarray:
    clean = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
    if cancels:
        return (clean[:, 0] - clean[:, 1]) / np.float32(2)
    return clean.mean(axis=1)

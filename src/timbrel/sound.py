"""Audio files in and out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr

from timbrel.errors import InputError, OutputError
from timbrel.files import atomic_path

# libsndfile's Vorbis encoder needs stack in proportion to what it is given, and may crash.
_WRITE_SAMPLES = 1 << 14

FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}


def read_audio(
    path: str | os.PathLike, *, sample_rate: int | None = None
) -> tuple[np.ndarray, int]:
    """Read an audio file as mono.

    Parameters
    ----------
    path
        Any file that libsndfile reads.
    sample_rate
        Rate to convert to, in Hz; the file's own where it is None.

    Returns
    -------
    audio : ndarray of float32, shape (samples,)
        In [-1, 1]; channels are averaged.
    sample_rate : int

    Raises
    ------
    InputError
        If the file cannot be read as audio.
    """
    try:
        audio, file_rate = soundfile.read(_encoded(path), dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{path}: cannot be read as audio ({error})") from None
    mono = audio.mean(axis=1)
    if sample_rate is not None and sample_rate != file_rate:
        mono = soxr.resample(mono, file_rate, sample_rate)
        file_rate = sample_rate
    return np.ascontiguousarray(mono, dtype=np.float32), file_rate


class AudioWriter:
    """Write blocks of audio to a WAV, FLAC or OGG file, 16 bit, with memory for one block only.

    Parameters
    ----------
    path
        Where to write; the extension chooses the format.
    sample_rate
        Of the blocks, in Hz.
    channels
        1 or 2.
    file_rate
        Rate of the file, to which the blocks are resampled; theirs where it is None.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        sample_rate: int,
        channels: int,
        *,
        file_rate: int | None = None,
    ) -> None:
        container, subtype = audio_format(path)
        self._channels = channels
        self._resampler = None
        if file_rate not in (None, sample_rate):
            self._resampler = soxr.ResampleStream(sample_rate, file_rate, channels)
        self._path = path
        with self._faults():
            self._file = soundfile.SoundFile(
                _encoded(path),
                "w",
                samplerate=file_rate or sample_rate,
                channels=channels,
                format=container,
                subtype=subtype,
            )

    def write(self, block: np.ndarray) -> None:
        """Append a block, float, shape (samples,) or (samples, channels), in [-1, 1]."""
        if self._resampler is not None:
            block = self._resampler.resample_chunk(self._as_rows(block))
        self._write(block)

    def close(self) -> None:
        """Write what a resampler has left, and close the file."""
        if self._resampler is not None:
            nothing = np.zeros((0, self._channels), np.float32)
            self._write(self._resampler.resample_chunk(nothing, last=True))
            self._resampler = None
        with self._faults():
            self._file.close()

    def _as_rows(self, block: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(block.reshape(len(block), self._channels), np.float32)

    def _write(self, block: np.ndarray) -> None:
        with self._faults():
            for start in range(0, len(block), _WRITE_SAMPLES):
                self._file.write(block[start : start + _WRITE_SAMPLES])

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except soundfile.LibsndfileError as error:
            raise OutputError(
                f"{self._path}: cannot be written; is the disk full? ({error})"
            ) from None

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def audio_format(path: str | os.PathLike) -> tuple[str, str]:
    """Container and sample format that the extension of `path` stands for."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise OutputError(f"{path}: cannot write '{suffix}' files; use one of {known}")
    return FORMATS[suffix]


def _encoded(path: str | os.PathLike) -> str | bytes:
    """A path as soundfile takes it, also where its bytes are no UTF-8 (on Windows they are)."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)


def write_audio(path: str | os.PathLike, audio: np.ndarray, sample_rate: int) -> None:
    """Write a whole clip, float in [-1, 1], shape (samples,) or (samples, channels)."""
    channels = 1 if audio.ndim == 1 else audio.shape[1]
    with atomic_path(path) as temporary, AudioWriter(temporary, sample_rate, channels) as writer:
        writer.write(audio)

"""Reading and writing audio files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from select import select
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr

from timbrel.errors import InputError, OutputError
from timbrel.files import STDOUT, atomic_path, is_stream
from timbrel.wav import WavWriter

# libsndfile's Vorbis encoder uses stack in proportion to the samples per call, and may crash.
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
        Sample rate to convert to, in Hz; if None, the file's own.

    Returns
    -------
    audio : ndarray of float32, shape (samples,)
        In [-1, 1]; the average of the channels.
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
    """Write blocks of audio to a WAV or FLAC (16-bit) or OGG file, in memory for one block only.

    WAV files beyond 4 GiB are RF64.

    Parameters
    ----------
    path
        Where to write; the extension chooses the format. WAV can be written to a pipe or a device,
        too, and to standard output (`timbrel.files.STDOUT`).
    sample_rate
        Of the blocks, in Hz.
    channels
        1 or 2.
    file_rate
        Sample rate of the file, to which the blocks are resampled; if None, that of the blocks.
    n_samples
        How many samples will be written, as far as that is known; a WAV file in a pipe says it in
        its header.

    Raises
    ------
    OutputError
        If the format is not known, or the file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        sample_rate: int,
        channels: int,
        *,
        file_rate: int | None = None,
        n_samples: int | None = None,
    ) -> None:
        self._channels = channels
        self._resampler = None
        if file_rate not in (None, sample_rate):
            self._resampler = soxr.ResampleStream(sample_rate, file_rate, channels)
            if n_samples is not None:  # as many as soxr makes
                n_samples = (2 * n_samples * file_rate + sample_rate) // (2 * sample_rate)
        self._path = path = Path(path)
        container, subtype = audio_format(path)
        with self._faults():
            self._sink: _WavFile | _EncodedFile
            if container == "WAV":
                self._sink = _WavFile(path, file_rate or sample_rate, channels, n_samples)
            else:
                self._sink = _EncodedFile(
                    path, file_rate or sample_rate, channels, container, subtype
                )

    def write(self, block: np.ndarray) -> None:
        """Append a block, float, shape (samples,) or (samples, channels), in [-1, 1]."""
        if self._resampler is not None:
            block = self._resampler.resample_chunk(self._as_rows(block))
        with self._faults():
            self._sink.write(block)

    def close(self) -> None:
        """Write what a resampler has left, and close the file."""
        if self._resampler is not None:
            nothing = np.zeros((0, self._channels), np.float32)
            rest = self._resampler.resample_chunk(nothing, last=True)
            self._resampler = None
            with self._faults():
                self._sink.write(rest)
        with self._faults():
            self._sink.close()

    def abandon(self) -> None:
        """Close a file that will not be finished."""
        with suppress(OSError, soundfile.LibsndfileError):
            self._sink.close()

    def _as_rows(self, block: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(block.reshape(len(block), self._channels), np.float32)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        where = "standard output" if self._path == STDOUT else self._path
        try:
            yield
        except BrokenPipeError:  # whoever reads has enough
            raise
        except (OSError, soundfile.LibsndfileError) as error:
            why = getattr(error, "strerror", None) or f"{error} Is the disk full?"
            raise OutputError(f"{where}: cannot be written ({why})") from None

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


class _Live(FileIO):
    """A pipe, a device or standard output: whatever is written goes there at once."""

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        while rest:
            n_written = super().write(rest)
            if n_written is None:  # a pipe that is full, and that does not wait by itself
                select([], [self], [])
            else:
                rest = rest[n_written:]
        return len(data)

    def seekable(self) -> bool:
        return False


class _WavFile:
    """A WAV file, pipe or device."""

    def __init__(self, path: Path, sample_rate: int, channels: int, n_samples: int | None) -> None:
        self._file: BinaryIO | _Live
        if path == STDOUT:
            sys.stdout.flush()
            self._file = _Live(os.dup(sys.stdout.fileno()), "wb")
        else:
            self._file = _Live(path, "wb") if is_stream(path) else path.open("wb")
        self._wav = WavWriter(self._file, sample_rate, channels, n_samples=n_samples)

    def write(self, block: np.ndarray) -> None:
        self._wav.write(block)

    def close(self) -> None:
        with self._file:
            self._wav.finish()


class _EncodedFile:
    """A file of a format that libsndfile encodes."""

    def __init__(
        self,
        path: str | os.PathLike,
        sample_rate: int,
        channels: int,
        container: str,
        subtype: str,
    ) -> None:
        self._file = soundfile.SoundFile(
            _encoded(path),
            "w",
            samplerate=sample_rate,
            channels=channels,
            format=container,
            subtype=subtype,
        )

    def write(self, block: np.ndarray) -> None:
        for start in range(0, len(block), _WRITE_SAMPLES):
            self._file.write(block[start : start + _WRITE_SAMPLES])

    def close(self) -> None:
        self._file.close()


def audio_format(path: str | os.PathLike) -> tuple[str, str]:
    """Container and sample format that the extension of `path` stands for.

    Standard output, and pipes and devices without an extension, are WAV.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not suffix and (path == STDOUT or is_stream(path)):
        suffix = ".wav"
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise OutputError(f"{path}: cannot write '{suffix}' files; use one of {known}")
    return FORMATS[suffix]


@contextmanager
def audio_path(path: str | os.PathLike) -> Iterator[Path]:
    """Where to write audio that is to become `path`: beside it, but right into a pipe.

    As `atomic_path`, but that WAV goes to standard output, pipes and devices while it is made.
    """
    path = Path(path)
    if path == STDOUT or (is_stream(path) and audio_format(path) == FORMATS[".wav"]):
        yield path
    else:
        with atomic_path(path) as temporary:
            yield temporary


def _encoded(path: str | os.PathLike) -> str | bytes:
    """A path as soundfile takes it, also where its bytes are no UTF-8 (on Windows they are)."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)


def write_audio(path: str | os.PathLike, audio: np.ndarray, sample_rate: int) -> None:
    """Write a whole clip: float in [-1, 1], shape (samples,) or (samples, channels)."""
    channels = 1 if audio.ndim == 1 else audio.shape[1]
    with (
        audio_path(path) as place,
        AudioWriter(place, sample_rate, channels, n_samples=len(audio)) as writer,
    ):
        writer.write(audio)

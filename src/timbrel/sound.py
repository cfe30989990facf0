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

# The names of files that are looked for where sound is to be read.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")

# Containers, and their sample formats by bit depth ("" where there is none); the first one is the
# default.
FORMATS: dict[str, tuple[str, dict[str, str]]] = {
    ".wav": ("WAV", {"16": "PCM_16", "24": "PCM_24", "32f": "FLOAT"}),
    ".flac": ("FLAC", {"16": "PCM_16", "24": "PCM_24"}),
    ".ogg": ("OGG", {"": "VORBIS"}),
}
BIT_DEPTHS = ("16", "24", "32f")
_DITHERED = "PCM_16"  # finer steps lie below any noise


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
    """Write blocks of audio to a WAV, FLAC or OGG file, in memory for one block only.

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
    bit_depth
        "16", "24" or "32f" (floats, in WAV only); 16 where it is None. OGG has none.
    dither
        Whether noise of a level (with a triangular distribution, always the same) goes into 16
        bits, so that what is soft fades into it instead of being torn by rounding. Silence stays.

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
        bit_depth: str | None = None,
        dither: bool = False,
    ) -> None:
        self._channels = channels
        self._resampler = None
        if file_rate not in (None, sample_rate):
            self._resampler = soxr.ResampleStream(sample_rate, file_rate, channels)
            if n_samples is not None:  # as many as soxr makes
                n_samples = (2 * n_samples * file_rate + sample_rate) // (2 * sample_rate)
        self._path = path = Path(path)
        container, subtype = audio_format(path, bit_depth)
        self._dither = np.random.default_rng(0) if dither and subtype == _DITHERED else None
        with self._faults():
            self._sink: _WavFile | _EncodedFile
            if container == "WAV":
                self._sink = _WavFile(path, file_rate or sample_rate, channels, n_samples, subtype)
            else:
                self._sink = _EncodedFile(
                    path, file_rate or sample_rate, channels, container, subtype
                )

    def write(self, block: np.ndarray) -> None:
        """Append a block, float, shape (samples,) or (samples, channels), in [-1, 1]."""
        if self._resampler is not None:
            block = self._resampler.resample_chunk(self._as_rows(block))
        self._put(block)

    def close(self) -> None:
        """Write what a resampler has left, and close the file."""
        if self._resampler is not None:
            nothing = np.zeros((0, self._channels), np.float32)
            rest = self._resampler.resample_chunk(nothing, last=True)
            self._resampler = None
            self._put(rest)
        with self._faults():
            self._sink.close()

    def abandon(self) -> None:
        """Close a file that will not be finished."""
        with suppress(OSError, soundfile.LibsndfileError):
            self._sink.close()

    def _put(self, block: np.ndarray) -> None:
        if self._dither is not None:
            block = _dithered(self._as_rows(block), self._dither)
        with self._faults():
            self._sink.write(block)

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


def _dithered(block: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Float samples → int16; as many numbers are drawn whatever the samples are."""
    drawn = random.random((*block.shape, 2), np.float32)
    noise = drawn[..., 0] + drawn[..., 1] - 1  # in levels
    levels = np.rint(block * np.float32(32768) + np.where(block == 0, 0, noise))
    return np.clip(levels, -32768, 32767).astype(np.int16)


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

    def __init__(
        self, path: Path, sample_rate: int, channels: int, n_samples: int | None, subtype: str
    ) -> None:
        self._file: BinaryIO | _Live
        if path == STDOUT:
            sys.stdout.flush()
            self._file = _Live(os.dup(sys.stdout.fileno()), "wb")
        else:
            self._file = _Live(path, "wb") if is_stream(path) else path.open("wb")
        self._wav = WavWriter(
            self._file, sample_rate, channels, n_samples=n_samples, subtype=subtype
        )

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


def audio_format(path: str | os.PathLike, bit_depth: str | None = None) -> tuple[str, str]:
    """Container and sample format that the extension of `path` and a bit depth stand for.

    Standard output, and pipes and devices without an extension, are WAV.

    Raises
    ------
    OutputError
        If the extension is not known, or its files have no such bit depth.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not suffix and (path == STDOUT or is_stream(path)):
        suffix = ".wav"
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise OutputError(f"{path}: cannot write '{suffix}' files; use one of {known}")
    container, subtypes = FORMATS[suffix]
    depths = list(subtypes)
    if bit_depth is not None and bit_depth not in depths:
        if depths == [""]:
            raise OutputError(f"{path}: {container} files have no bit depth; leave it out")
        raise OutputError(
            f"{path}: the bit depth of {container} files is {' or '.join(depths)}, not {bit_depth}"
        )
    return container, subtypes[depths[0] if bit_depth is None else bit_depth]


@contextmanager
def audio_path(path: str | os.PathLike) -> Iterator[Path]:
    """Where to write audio that is to become `path`: beside it, but right into a pipe.

    As `atomic_path`, but that WAV goes to standard output, pipes and devices while it is made.
    """
    path = Path(path)
    if path == STDOUT or (is_stream(path) and audio_format(path)[0] == "WAV"):
        yield path
    else:
        with atomic_path(path) as temporary:
            yield temporary


def _encoded(path: str | os.PathLike) -> str | bytes:
    """A path as soundfile takes it, also where its bytes are no UTF-8 (on Windows they are)."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)


def write_audio(
    path: str | os.PathLike, audio: np.ndarray, sample_rate: int, *, bit_depth: str | None = None
) -> None:
    """Write a whole clip: float in [-1, 1], shape (samples,) or (samples, channels).

    `bit_depth` is as of `AudioWriter`.
    """
    channels = 1 if audio.ndim == 1 else audio.shape[1]
    with (
        audio_path(path) as place,
        AudioWriter(
            place, sample_rate, channels, n_samples=len(audio), bit_depth=bit_depth
        ) as writer,
    ):
        writer.write(audio)

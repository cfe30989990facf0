"""The constants that every part of Timbrel shares, and audio files in and out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr

from timbrel.errors import InputError, OutputError

SAMPLE_RATE = 16_000  # Hz
HOP_LENGTH = 128  # samples between mel frames
FRAME_RATE = SAMPLE_RATE // HOP_LENGTH  # 125 frames per second, whatever the sample rate
N_FFT = 1024  # samples in an analysis window
N_MELS = 80
F_MIN_HZ = 0.0
F_MAX_HZ = 8_000.0
MEL_FLOOR = 1e-5  # −100 dB of magnitude, where every mel spectrogram is clipped

LOWEST_PITCH = 21  # A0
HIGHEST_PITCH = 108  # C8
N_PITCHES = HIGHEST_PITCH - LOWEST_PITCH + 1

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


def check_output(path: str | os.PathLike, *, force: bool = False) -> Path:
    """Refuse, before any work is done, an output that could not or should not be written."""
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file")
    if path.exists() and not force:
        raise OutputError(f"{path}: exists; give --force to overwrite it, or another name")
    parent = path.parent
    if parent.exists() and not parent.is_dir():
        raise OutputError(f"{path}: {parent} is not a folder")
    if not parent.exists():
        raise OutputError(f"{path}: the folder {parent} does not exist; create it first")
    if not os.access(parent, os.W_OK):
        raise OutputError(f"{path}: the folder {parent} cannot be written to")
    return path


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`, moved onto it when the block ends without an error.

    So an interrupted run leaves the old file, or none, but never half of one.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=".timbrel-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a finished output gets the permissions of any new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except soundfile.LibsndfileError as error:
        raise OutputError(f"{path}: cannot be written; is the disk full? ({error})") from None
    finally:
        temporary.unlink(missing_ok=True)


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
        self._file.close()

    def _as_rows(self, block: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(block.reshape(len(block), self._channels), np.float32)

    def _write(self, block: np.ndarray) -> None:
        for start in range(0, len(block), _WRITE_SAMPLES):
            self._file.write(block[start : start + _WRITE_SAMPLES])

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

"""WAV files of any length, also into pipes, where the header cannot be corrected afterwards.

Beyond 4 GiB they are RF64 (EBU Tech 3306), which players and editors read like WAV.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

_FULL_SCALE_16 = np.float32(1 << 15)
_FULL_SCALE_24 = float(1 << 23)
MAX_RIFF_BYTES = 0xFFFFFFFE  # that a header of WAV can state
_UNKNOWN = 0xFFFFFFFF  # as a size: to the end of the stream, or said by a chunk 'ds64'
_FORMAT_PCM, _FORMAT_FLOAT = 1, 3
_SIZES = struct.Struct("<4sI QQQ I")  # a chunk 'ds64': of file and data, samples, no table


def _levels_16(rows: np.ndarray) -> bytes:
    """Rounded down, which gives the levels that libsndfile writes."""
    levels = np.floor(rows * _FULL_SCALE_16)
    return np.clip(levels, -_FULL_SCALE_16, _FULL_SCALE_16 - 1).astype("<i2").tobytes()


def _levels_24(rows: np.ndarray) -> bytes:
    levels = np.rint(rows.astype(np.float64) * _FULL_SCALE_24)
    whole = np.clip(levels, -_FULL_SCALE_24, _FULL_SCALE_24 - 1).astype("<i4")
    return whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def _floats(rows: np.ndarray) -> bytes:
    return rows.astype("<f4").tobytes()


# By the names that libsndfile has for sample formats: bytes of a sample, format, encoder.
ENCODINGS: dict[str, tuple[int, int, Callable[[np.ndarray], bytes]]] = {
    "PCM_16": (2, _FORMAT_PCM, _levels_16),
    "PCM_24": (3, _FORMAT_PCM, _levels_24),
    "FLOAT": (4, _FORMAT_FLOAT, _floats),
}


class WavWriter:
    """Write blocks of audio as a WAV file.

    Parameters
    ----------
    file
        Opened for writing; it is not closed. Where it can be sought in, the header says in the end
        how much was written.
    sample_rate
        In Hz.
    channels
        1 or 2.
    n_samples
        How many samples will be written, as far as that is known.
    subtype
        The sample format, one of `ENCODINGS`.
    """

    def __init__(
        self,
        file: BinaryIO,
        sample_rate: int,
        channels: int,
        *,
        n_samples: int | None = None,
        subtype: str = "PCM_16",
    ) -> None:
        self._file, self._sample_rate, self._channels = file, sample_rate, channels
        self._sample_bytes, self._format, self._encode = ENCODINGS[subtype]
        self._seekable = file.seekable()
        self._begin = file.tell() if self._seekable else 0
        self._n_samples = 0
        # Room for the sizes of RF64, unless it will not be wanted.
        self._roomy = (
            self._seekable if n_samples is None else self._is_large(n_samples, roomy=False)
        )
        self._header = self._described(n_samples)
        file.write(self._header)

    def write(self, block: np.ndarray) -> None:
        """Append a block, float, shape (samples,) or (samples, channels).

        What lies beyond [-1, 1] is clipped, but not by the format that holds floats. Blocks of
        int16 are taken as they are by the format that holds these.
        """
        rows = block.reshape(len(block), self._channels)
        if rows.dtype == np.int16 and self._encode is _levels_16:
            self._file.write(rows.astype("<i2").tobytes())
        else:
            self._file.write(self._encode(rows.astype(np.float32)))
        self._n_samples += len(block)

    def finish(self) -> None:
        """Write out what is buffered, and mend the header if it says another length."""
        if self._n_samples * self._channels * self._sample_bytes % 2:
            self._file.write(b"\0")
        header = self._described(self._n_samples)
        if self._seekable and header != self._header:
            self._file.seek(self._begin)
            self._file.write(header)
        self._file.flush()

    def _is_large(self, n_samples: int, *, roomy: bool) -> bool:
        return self._riff_bytes(n_samples, roomy=roomy) > MAX_RIFF_BYTES

    def _riff_bytes(self, n_samples: int, *, roomy: bool) -> int:
        """The size that a RIFF header states: of all that follows its first eight bytes."""
        n_bytes = n_samples * self._channels * self._sample_bytes
        # Chunks begin at even places.
        return 36 + roomy * _SIZES.size + len(self._fact(0)) + n_bytes + n_bytes % 2

    def _described(self, n_samples: int | None) -> bytes:
        """The header of a file of some samples, or of unknown length."""
        frame_bytes = self._channels * self._sample_bytes
        n_bytes = _UNKNOWN if n_samples is None else n_samples * frame_bytes
        riff_bytes = (
            _UNKNOWN if n_samples is None else self._riff_bytes(n_samples, roomy=self._roomy)
        )
        name, sizes = b"RIFF", b""
        if self._roomy:
            sizes = _SIZES.pack(b"JUNK", _SIZES.size - 8, 0, 0, 0, 0)
        if n_samples is not None and self._is_large(n_samples, roomy=self._roomy):
            if self._roomy:
                name = b"RF64"
                sizes = _SIZES.pack(b"ds64", _SIZES.size - 8, riff_bytes, n_bytes, n_samples, 0)
            n_bytes = riff_bytes = _UNKNOWN
        rates = (self._sample_rate, self._sample_rate * frame_bytes)
        bits = 8 * self._sample_bytes
        sort = struct.pack(
            "<4sI HHII HH",
            *(b"fmt ", 16, self._format, self._channels, *rates, frame_bytes, bits),
        )
        sort += self._fact(_UNKNOWN if n_bytes == _UNKNOWN or n_samples is None else n_samples)
        data = struct.pack("<4sI", b"data", n_bytes)
        return struct.pack("<4sI4s", name, riff_bytes, b"WAVE") + sizes + sort + data

    def _fact(self, n_samples: int) -> bytes:
        """The chunk that formats other than PCM have to have."""
        if self._format == _FORMAT_PCM:
            return b""
        return struct.pack("<4sII", b"fact", 4, n_samples)

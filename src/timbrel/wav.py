"""16-bit WAV files of any length, also into pipes, where the header cannot be corrected afterwards.

Beyond 4 GiB they are RF64 (EBU Tech 3306), which players and editors read like WAV.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np

SAMPLE_BYTES = 2
_FULL_SCALE = np.float32(32768)  # with rounding down, the levels that libsndfile writes
MAX_RIFF_BYTES = 0xFFFFFFFE  # that a header of WAV can state
_UNKNOWN = 0xFFFFFFFF  # as a size: to the end of the stream, or said by a chunk 'ds64'
_FORMAT_PCM = 1
_SIZES = struct.Struct("<4sI QQQ I")  # a chunk 'ds64': of file and data, samples, no table


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
    """

    def __init__(
        self, file: BinaryIO, sample_rate: int, channels: int, *, n_samples: int | None = None
    ) -> None:
        self._file, self._sample_rate, self._channels = file, sample_rate, channels
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
        """Append a block, float, shape (samples,) or (samples, channels); clipped to [-1, 1]."""
        rows = block.reshape(len(block), self._channels).astype(np.float32)
        levels = np.clip(np.floor(rows * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
        self._file.write(levels.astype("<i2").tobytes())
        self._n_samples += len(block)

    def finish(self) -> None:
        """Write out what is buffered, and mend the header if it says another length."""
        header = self._described(self._n_samples)
        if self._seekable and header != self._header:
            self._file.seek(self._begin)
            self._file.write(header)
        self._file.flush()

    def _is_large(self, n_samples: int, *, roomy: bool) -> bool:
        return self._riff_bytes(n_samples, roomy=roomy) > MAX_RIFF_BYTES

    def _riff_bytes(self, n_samples: int, *, roomy: bool) -> int:
        """The size that a RIFF header states: of all that follows its first eight bytes."""
        return 36 + roomy * _SIZES.size + n_samples * self._channels * SAMPLE_BYTES

    def _described(self, n_samples: int | None) -> bytes:
        """The header of a file of some samples, or of unknown length."""
        frame_bytes = self._channels * SAMPLE_BYTES
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
        sort = struct.pack(
            "<4sI HHII HH",
            *(b"fmt ", 16, _FORMAT_PCM, self._channels, *rates, frame_bytes, 8 * SAMPLE_BYTES),
        )
        data = struct.pack("<4sI", b"data", n_bytes)
        return struct.pack("<4sI4s", name, riff_bytes, b"WAVE") + sizes + sort + data

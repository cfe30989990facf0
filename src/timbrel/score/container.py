"""Finding the MIDI in a file: on its own, in RIFF, or after a MacBinary header or stray bytes."""

from __future__ import annotations

import io
import re
import struct
from typing import BinaryIO

from timbrel.errors import InputError
from timbrel.score.smf import count_of

MAX_FILE_BYTES = 4 * 2**20  # of MIDI, whatever lies around it

# The beginning of a MIDI file of type 0, 1 or 2, anywhere in the data.
_HEADER = re.compile(rb"MThd\x00\x00\x00[\x06-\x0f]\x00[\x00-\x02]", re.DOTALL)
_RIFF_HEADER_BYTES = 12
MAX_RIFF_CHUNKS = 10_000
_MACBINARY_BYTES = 128


def midi_inside(file: BinaryIO) -> tuple[bytes, tuple[str, ...]]:
    """The bytes of a Standard MIDI File from a file that holds one, and warnings.

    The MIDI may be wrapped in RIFF with other chunks of any size (RMID), follow a MacBinary header
    or other bytes.

    Parameters
    ----------
    file
        Open at its beginning.

    Raises
    ------
    InputError
        If there is no MIDI in the file, or more than `MAX_FILE_BYTES`. The message lacks the
        file's name.
    """
    if not file.seekable():
        file = io.BytesIO(file.read(2 * MAX_FILE_BYTES))
    wrapped = _in_riff(file)
    file.seek(0)
    data = wrapped or file.read(MAX_FILE_BYTES + 1)
    if not data:
        raise InputError("is empty; a MIDI file was expected")
    if len(data) > MAX_FILE_BYTES:
        raise InputError(
            f"is larger than {MAX_FILE_BYTES // 2**20} MiB, up to which MIDI files are read"
        )
    if data.startswith(b"MThd"):
        return data, ()
    header = _HEADER.search(data)
    if header is None:
        raise InputError("is not a MIDI file (it does not start with 'MThd')")
    start = header.start()
    if start == _MACBINARY_BYTES and data[0] == data[74] == data[82] == 0 < data[1] < 64:
        (length,) = struct.unpack(">L", data[83:87])  # of the file proper; 0 where it is not said
        return data[start : start + length if length >= 14 else None], ()
    return data[start:], (f"{count_of(start, 'byte')} before the MIDI header were passed over",)


def _in_riff(file: BinaryIO) -> bytes:
    """The MIDI of a RIFF file of the form RMID; nothing where the file is none."""
    head = file.read(_RIFF_HEADER_BYTES)
    if head[:4] != b"RIFF" or head[8:] != b"RMID":
        return b""
    for _ in range(MAX_RIFF_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            break
        name, length = struct.unpack("<4sL", header)
        if name == b"data":
            content = file.read(MAX_FILE_BYTES + 1)
            if not content.startswith(b"MThd"):
                break
            # Programs that write while they play may leave the length empty.
            return content[:length] if length >= 14 else content
        file.seek(length + length % 2, io.SEEK_CUR)
    return b""

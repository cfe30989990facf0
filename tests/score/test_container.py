"""MIDI within other files: RIFF, MacBinary, and after bytes that belong to nothing."""

from __future__ import annotations

import os
import random
import struct
import threading
from pathlib import Path

import pytest

from support.midi_bytes import macbinary, riff, smf, tune
from timbrel.errors import InputError
from timbrel.score.container import MAX_FILE_BYTES
from timbrel.score.midi import parse_midi, read_midi

MIDI = smf(tune(), tune(72, 74))
INFO = riff(b"LIST", b"INFO" + riff(b"INAM", b"Song\0"))
ODD = riff(b"DISP", b"abc")
SOUNDS = riff(b"RIFF", b"DLS " + bytes(1001))


class TestRiff:
    # NAudio#1292, FluidSynth#1356, mido#43.
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            *((b"", b""), (INFO, b""), (ODD, b""), (INFO + ODD, b""), (ODD + INFO + ODD, INFO)),
            *((b"", INFO), (b"", SOUNDS), (SOUNDS, ODD), (riff(b"JUNK", b""), b"")),
        ],
    )
    def test_chunks_may_come_in_any_order(self, before: bytes, after: bytes) -> None:
        data = riff(b"RIFF", b"RMID" + before + riff(b"data", MIDI) + after)
        assert parse_midi(data) == parse_midi(MIDI)

    @pytest.mark.parametrize("length", [0, 4, 2**31, 2**32 - 1])
    def test_lengths_may_be_wrong(self, length: int) -> None:
        inner = b"data" + struct.pack("<L", length) + MIDI
        data = b"RIFF" + struct.pack("<L", length) + b"RMID" + inner
        assert parse_midi(data) == parse_midi(MIDI)

    def test_a_chunk_of_odd_length_may_lack_its_padding(self) -> None:
        data = b"RIFF\0\0\0\0RMID" + b"DISP\3\0\0\0abc" + riff(b"data", MIDI)
        assert parse_midi(data).tracks == parse_midi(MIDI).tracks

    @pytest.mark.parametrize("where", ["before", "after"])
    def test_limits_are_those_of_the_midi_inside(self, where: str, tmp_path: Path) -> None:
        sounds = b"RIFF" + struct.pack("<L", 3 * MAX_FILE_BYTES) + bytes(3 * MAX_FILE_BYTES)
        inside = riff(b"data", MIDI)
        parts = sounds + inside if where == "before" else inside + sounds
        path = tmp_path / "with-sounds.rmi"
        path.write_bytes(riff(b"RIFF", b"RMID" + parts))
        assert read_midi(path) == parse_midi(MIDI)

    def test_too_much_midi_inside_is_refused(self) -> None:
        large = riff(b"data", MIDI + bytes(MAX_FILE_BYTES))
        with pytest.raises(InputError, match="is larger than 4 MiB"):
            parse_midi(riff(b"RIFF", b"RMID" + large))

    @pytest.mark.parametrize(
        "data",
        [
            riff(b"RIFF", b"WAVE" + riff(b"data", bytes(100))),
            riff(b"RIFF", b"RMID"),
            riff(b"RIFF", b"RMID" + INFO + ODD),
            riff(b"RIFF", b"RMID" + riff(b"data", b"no music")),
            b"RIFF\0\0\0\0RMID" + b"abcd\0\0\0\0" * 100_000,
            b"RIFF",
        ],
    )
    def test_without_midi_it_is_refused(self, data: bytes) -> None:
        with pytest.raises(InputError, match=r"^x: is not a MIDI file"):
            parse_midi(data, name="x")


class TestBytesBefore:
    # chip-player-js#144, bitmidi.com#144.
    @pytest.mark.parametrize("n", [1, 2, 3, 4, 16, 100, 127, 128, 129, 512, 5000])
    @pytest.mark.parametrize("seed", range(3))
    def test_are_passed_over_with_a_word(self, n: int, seed: int) -> None:
        garbage = random.Random(seed).randbytes(n)
        score = parse_midi(garbage + MIDI)
        assert score.tracks == parse_midi(MIDI).tracks
        what = "1 byte" if n == 1 else f"{n} bytes"
        assert score.warnings == (f"{what} before the MIDI header were passed over",)

    @pytest.mark.parametrize(
        "before", [b"HTTP/1.1 200 OK\r\n\r\n", b"\xef\xbb\xbf", b"it begins with MThd: ", b"RIFF"]
    )
    def test_of_any_kind(self, before: bytes) -> None:
        assert parse_midi(before + MIDI).tracks == parse_midi(MIDI).tracks

    @pytest.mark.parametrize("rest", [b"", bytes(50), b"\0\0\1\0resources" + bytes(256)])
    def test_macbinary_is_known(self, rest: bytes) -> None:
        data = macbinary(MIDI, rest=rest)
        assert parse_midi(data) == parse_midi(MIDI)

    def test_macbinary_that_does_not_say_its_length(self) -> None:
        assert parse_midi(macbinary(MIDI, length=0)) == parse_midi(MIDI)

    def test_what_only_speaks_of_midi_is_none(self) -> None:
        for text in (b"A file begins with MThd and goes on with MTrk.", b"MThd", b"xMThd\0\0\0\6"):
            with pytest.raises(InputError, match=r"is not a MIDI file|is cut off"):
                parse_midi(text)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("data", [MIDI, riff(b"RIFF", b"RMID" + INFO + riff(b"data", MIDI))])
def test_pipes_are_read(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "pipe.mid"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(data,), daemon=True)
    writer.start()
    assert read_midi(path) == parse_midi(MIDI)
    writer.join(60)
    assert not writer.is_alive()

"""Files whose chunks and messages are not as the standard wants them: what is there is read."""

from __future__ import annotations

import itertools
import struct

import pytest

from support.midi_bytes import (
    END,
    chunk,
    control,
    header,
    meta,
    note,
    number,
    off,
    on,
    program,
    smf,
    tune,
)
from support.midi_bytes import name as named
from timbrel.errors import InputError
from timbrel.score import Score
from timbrel.score.midi import parse_midi
from timbrel.score.smf import MAX_WARNINGS

TUNE = [(60, 0, 500), (62, 500, 1000), (64, 1000, 1500), (65, 1500, 2000)]
OTHER = [(72, 0, 500), (74, 500, 1000), (76, 1000, 1500), (77, 1500, 2000)]
FIRST, SECOND = tune(), program(56, channel=1) + tune(72, 74, 76, 77, channel=1)


def spans(score: Score) -> list[list[tuple[int, int, int]]]:
    """For each track pitch, start and end of its notes, in ms."""
    return [
        [(n.pitch, round(1000 * n.start_s), round(1000 * n.end_s)) for n in track.notes]
        for track in score.tracks
    ]


def wrong(track: bytes, by: int) -> bytes:
    """A track that says that it is longer or shorter than it is."""
    return chunk(track + END, length=len(track) + len(END) + by)


class TestNumbersOfTracks:
    # patchies#204, foo_midi#38, midifile#44.
    @pytest.mark.parametrize("said", [0, 1, 2, 3, 5, 64, 65535])
    @pytest.mark.parametrize("kind", [0, 1])
    def test_all_tracks_are_read(self, said: int, kind: int) -> None:
        data = b"MThd" + struct.pack(">LHHH", 6, kind, said, 500)
        score = parse_midi(data + chunk(FIRST + END) + chunk(SECOND + END))
        assert spans(score) == [TUNE, OTHER]
        words = "1 track" if said == 1 else f"{said} tracks"
        expected = () if said == 2 else (f"the header says {words}, the file holds 2",)
        assert score.warnings == expected

    def test_other_chunks_are_no_tracks(self) -> None:
        data = header(2) + chunk(FIRST + END) + chunk(b"any", b"XFIH") + chunk(SECOND + END)
        score = parse_midi(data + chunk(b"MTrk and more", b"XFKM"))
        assert (spans(score), score.warnings) == ([TUNE, OTHER], ())


class TestLengthsOfTracks:
    # XMI2MID.EXE writes them too large; mido#480, midifile#44.
    @pytest.mark.parametrize("second", [-9, -4, -1, 0, 1, 4, 20, 10**6])
    @pytest.mark.parametrize("first", [-20, -5, -4, -3, -1, 1, 3, 4, 8, 30, 2**31])
    def test_where_they_are_wrong_the_tracks_ends_count(self, first: int, second: int) -> None:
        score = parse_midi(header(2) + wrong(FIRST, first) + wrong(SECOND, second))
        assert spans(score) == [TUNE, OTHER]
        assert score.warnings == tuple(
            f"track {i} is {abs(by)} byte{'s' * (abs(by) > 1)} "
            f"{'shorter' if by > 0 else 'longer'} than it says"
            for i, by in ((1, first), (2, second))
            if by
        )

    @pytest.mark.parametrize("length", [0, 1, 65535, 2**32 - 1])
    def test_a_length_may_say_nothing(self, length: int) -> None:
        data = header(2) + chunk(FIRST + END, length=length) + chunk(SECOND + END, length=length)
        score = parse_midi(data)
        assert spans(score) == [TUNE, OTHER]
        assert len(score.warnings) == 2

    def test_a_length_may_be_that_of_all_tracks(self) -> None:
        rest = chunk(SECOND + END)
        score = parse_midi(header(2) + wrong(FIRST, len(rest)) + rest)
        assert spans(score) == [TUNE, OTHER]

    def test_a_track_without_an_end_whose_length_is_wrong_ends_where_the_next_begins(self) -> None:
        data = header(2) + chunk(FIRST, length=len(FIRST) - 3) + chunk(SECOND, length=9)
        score = parse_midi(data)
        assert spans(score) == [TUNE, OTHER]

    def test_the_name_of_a_chunk_within_a_track_is_text(self) -> None:
        data = smf(named("MTrk\0\0\0\4") + FIRST, SECOND)
        score = parse_midi(data)
        assert (spans(score), score.warnings) == ([TUNE, OTHER], ())


class TestBytesBetween:
    # midifile#31.
    @pytest.mark.parametrize(
        "between",
        [
            *(meta(0x51, b"\x07\xa1\x20"), b"\x00", b"M", b"MT", b"MTr", b"\r\n", b"\xff" * 50),
            *(b"any words", b"\x90\x3c\x40", b"MThd", b"ABCD\x7f\x00\x00\x00", b"\x00" * 1000),
        ],
    )
    def test_are_passed_over_with_a_word(self, between: bytes) -> None:
        first = chunk(FIRST + END)
        score = parse_midi(header(2) + first + between + chunk(SECOND + END))
        assert spans(score) == [TUNE, OTHER]
        assert score.warnings in (
            (f"{len(between)} bytes before track 2 were passed over",),
            (f"{len(between)} byte before track 2 were passed over",),
            (),
        )
        assert bool(score.warnings) == bool(between.strip(b"\0\r\n"))

    def test_before_the_first_track_and_after_the_last(self) -> None:
        score = parse_midi(header(1) + b"before" + chunk(FIRST + END) + b"afterwards")
        assert spans(score) == [TUNE]
        assert score.warnings == (
            "6 bytes before track 1 were passed over",
            "10 bytes after track 1 were passed over",
        )

    @pytest.mark.parametrize("padding", [b"\0", b"\0" * 100, b"\x1a", b"\r\n", b" "])
    def test_padding_is_no_fault(self, padding: bytes) -> None:
        score = parse_midi(smf(FIRST) + padding)
        assert (spans(score), score.warnings) == ([TUNE], ())

    @pytest.mark.parametrize("length", [0, 1, 4, 5, 7, 9, 2**16, 2**32 - 1])
    def test_a_header_may_have_a_wrong_length(self, length: int) -> None:
        data = b"MThd" + struct.pack(">LHHH", length, 1, 2, 500)
        score = parse_midi(data + chunk(FIRST + END) + chunk(SECOND + END))
        assert spans(score) == [TUNE, OTHER]
        assert score.warnings == ("the length of its header is wrong",)

    @pytest.mark.parametrize("more", [b"", b"\0", b"\0\0\0\0", b"MTrk"])
    def test_a_header_may_be_longer(self, more: bytes) -> None:
        data = b"MThd" + struct.pack(">LHHH", 6 + len(more), 0, 1, 500) + more
        score = parse_midi(data + chunk(FIRST + END))
        assert (spans(score), score.warnings) == ([TUNE], ())

    @pytest.mark.parametrize("kind", [3, 4, 255, 65535])
    def test_files_of_unknown_types_play_their_tracks_together(self, kind: int) -> None:
        data = b"MThd" + struct.pack(">LHHH", 6, kind, 2, 500)
        score = parse_midi(data + chunk(FIRST + END) + chunk(SECOND + END))
        assert spans(score) == [TUNE, OTHER]
        assert score.warnings == (f"type {kind} is unknown; its tracks are played together",)


class TestMessages:
    @pytest.mark.parametrize("byte", [0xF8, 0xFA, 0xFB, 0xFC, 0xFE, 0xF9, 0xFD])
    def test_real_time_messages_are_passed_over(self, byte: int) -> None:
        alone = bytes([100, byte])
        within = bytes([0, 0x90, byte, 60, byte, byte, 64]) + off(60, 500)
        track = alone + within + alone + b"\x00" + bytes([62, 64])  # in running status
        score = parse_midi(smf(track + off(62, 500)))
        # A note-off came before, whose status goes on; so the second note is none.
        assert spans(score) == [[(60, 100, 600)]]
        track = alone + on(60) + alone + bytes([0, 62, 64]) + alone + off(60, 300) + off(62)
        score = parse_midi(smf(track))
        assert (spans(score), score.warnings) == ([[(60, 100, 600), (62, 200, 600)]], ())

    @pytest.mark.parametrize(
        "message", ["F1 3C", "F2 01 02", "F3 05", "F6"], ids=["time", "position", "song", "tune"]
    )
    def test_messages_of_the_system_are_passed_over(self, message: str) -> None:
        track = on(60) + b"\x64" + bytes.fromhex(message) + bytes([0, 62, 64])
        score = parse_midi(smf(track + off(60, 400) + off(62)))
        assert (spans(score), score.warnings) == ([[(60, 0, 500), (62, 100, 500)]], ())

    @pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
    def test_times_may_have_five_bytes(self, length: int) -> None:
        def delta(ticks: int) -> bytes:
            return number(ticks, length=length)

        track = delta(0) + on(60)[1:] + delta(500) + off(60)[1:] + delta(250) + on(62)[1:]
        track += delta(100_000 if length > 2 else 100) + off(62)[1:]
        score = parse_midi(smf(track))
        end = 100_750 if length > 2 else 850
        assert (spans(score), score.warnings) == ([[(60, 0, 500), (62, 750, end)]], ())

    def test_lengths_may_have_five_bytes(self) -> None:
        text = b"\x00\xff\x03" + number(2, length=5) + b"Hi"
        assert parse_midi(smf(text + FIRST)).tracks[0].name == "Hi"

    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            ("00 F4 01", "the status byte 0xf4 is undefined"),
            ("00 F5", "the status byte 0xf5 is undefined"),
            ("81 82 83 84 85 06 90 3C 40", "a number has more than 5 bytes"),
            ("00 FF 01 7F 41 42", "a message runs past the end of its track"),
            ("00 F0 7F 41 42", "a message runs past the end of its track"),
            ("00 90 3C", "a message runs past the end of its track"),
        ],
    )
    def test_what_comes_before_damage_is_played(self, damage: str, words: str) -> None:
        data = header(3) + chunk(FIRST + bytes.fromhex(damage)) + chunk(SECOND + END)
        score = parse_midi(data + chunk(note(40, 2000) + END))
        assert spans(score) == [TUNE, OTHER, [(40, 0, 2000)]]
        assert score.warnings == (f"track 1 is damaged ({words}); what follows in it is left out",)

    def test_damage_before_any_note_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"^x: is a damaged MIDI file \(the status byte 0xf4"):
            parse_midi(header(1) + chunk(control(7, 100) + b"\0\xf4"), name="x")

    def test_a_file_without_notes_is_damaged_only_where_something_is_missing(self) -> None:
        assert parse_midi(smf(control(7, 100)) + b"garbage").warnings != ()
        assert parse_midi(header(1) + wrong(control(7, 100), 3)).n_notes == 0


class TestTruncated:
    def test_what_is_there_is_read_and_the_rest_named(self) -> None:
        whole = smf(FIRST, SECOND)
        begins = len(header(2)) + 8  # the first event
        n_notes = []
        for length in range(4, len(whole)):
            if length < begins + 4:
                with pytest.raises(InputError, match=r"^x: is cut off; copy or export the MIDI"):
                    parse_midi(whole[:length], name="x")
                continue
            score = parse_midi(whole[:length])
            n_notes.append(score.n_notes)
            assert any("cut off" in words or "header says" in words for words in score.warnings)
            found = list(itertools.chain(*spans(score)))
            assert [s[:2] for s in found] == [s[:2] for s in (TUNE + OTHER)[: len(found)]]
        assert n_notes == sorted(n_notes)
        assert (n_notes[0], n_notes[-1]) == (1, 8)

    def test_keys_that_are_down_at_the_cut_end_with_what_is_left(self) -> None:
        other = chunk(note(40, 800) + END)
        data = header(2) + other + chunk(on(60) + note(62, 300) + END)[: 8 + 4 + 6]
        score = parse_midi(data)
        assert spans(score) == [[(40, 0, 800)], [(60, 0, 800), (62, 0, 800)]]
        assert score.warnings == ("track 2 is cut off",)


def test_many_faults_are_not_all_told() -> None:
    data = header(90) + b"".join(wrong(note(60), 3) for _ in range(90))
    score = parse_midi(data)
    assert score.n_notes == 90
    assert len(score.warnings) == MAX_WARNINGS + 1
    assert score.warnings[-1] == f"{90 - MAX_WARNINGS} more faults of this kind"

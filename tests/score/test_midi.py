"""Standard MIDI Files → scores: time, keys, pedals, controllers, and files that are none."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path

import joblib
import mido
import pytest

from support.corpus_counts import counts
from timbrel.errors import InputError
from timbrel.score import Note, Score, read_midi
from timbrel.score.container import MAX_FILE_BYTES
from timbrel.score.midi import parse_midi
from timbrel.score.score import Automation

EXAMPLES = Path(__file__).parents[2] / "src" / "timbrel" / "examples"
TICKS_PER_BEAT = 500  # at the default 120 beats a minute, a tick is a millisecond
END = b"\x00\xff\x2f\x00"  # the end of a track


def on(pitch: int, time: int = 0, velocity: int = 64, channel: int = 0) -> mido.Message:
    return mido.Message("note_on", note=pitch, velocity=velocity, time=time, channel=channel)


def off(pitch: int, time: int = 0, channel: int = 0) -> mido.Message:
    return mido.Message("note_off", note=pitch, time=time, channel=channel)


def control(number: int, value: int, time: int = 0, channel: int = 0) -> mido.Message:
    return mido.Message("control_change", control=number, value=value, time=time, channel=channel)


def program(number: int, time: int = 0, channel: int = 0) -> mido.Message:
    return mido.Message("program_change", program=number, time=time, channel=channel)


def named(name: str) -> mido.MetaMessage:
    return mido.MetaMessage("track_name", name=name)


def tempo(microseconds: int, time: int = 0) -> mido.MetaMessage:
    return mido.MetaMessage("set_tempo", tempo=microseconds, time=time)


def file_of(*tracks: list, kind: int | None = None, division: int = TICKS_PER_BEAT) -> bytes:
    """The bytes of a MIDI file, with the end of each track at its last message."""
    kind = min(len(tracks), 2) - 1 if kind is None else kind
    midi = mido.MidiFile(
        type=kind, ticks_per_beat=division, tracks=[mido.MidiTrack(track) for track in tracks]
    )
    file = io.BytesIO()
    midi.save(file=file)
    return file.getvalue()


def raw_file(*chunks: bytes, kind: int = 0, n_tracks: int = 1, division: int = 500) -> bytes:
    """A MIDI file of hand-written chunks."""
    return b"MThd" + struct.pack(">LHHH", 6, kind, n_tracks, division) + b"".join(chunks)


def chunk(data: bytes, name: bytes = b"MTrk") -> bytes:
    return name + struct.pack(">L", len(data)) + data


def played(*tracks: list, **options: int) -> Score:
    return parse_midi(file_of(*tracks, **options))


def spans(score: Score) -> list[tuple[int, float, float]]:
    """Pitch, start and end of all notes, to the microsecond."""
    return [(note.pitch, round(note.start_s, 6), round(note.end_s, 6)) for note in score.notes]


class TestTime:
    def test_type_0_is_read_in_seconds(self) -> None:
        score = played([on(60, velocity=80), off(60, 1000), on(64, 500, 90), off(64, 250)])
        (track,) = score.tracks
        assert track.notes == (Note(60, 80, 0.0, 1.0), Note(64, 90, 1.5, 1.75))
        assert (score.n_notes, score.duration_s) == (2, 1.75)

    def test_the_tracks_of_type_1_play_together(self) -> None:
        score = played([on(60), off(60, 1000)], [on(72, 500, channel=1), off(72, 1000, channel=1)])
        assert spans(score) == [(60, 0.0, 1.0), (72, 0.5, 1.5)]
        assert [track.channel for track in score.tracks] == [0, 1]

    def test_the_sequences_of_type_2_play_in_turn(self) -> None:
        first = [tempo(1_000_000), on(60), off(60, 500)]  # a second; its tempo is its own
        second = [on(64, 250), off(64, 250)]
        third = [on(67), off(67, 500)]
        score = played(first, second, third, kind=2)
        assert spans(score) == [(60, 0.0, 1.0), (64, 1.25, 1.5), (67, 1.5, 2.0)]

    def test_a_pedal_does_not_reach_into_the_next_sequence_of_type_2(self) -> None:
        first = [control(64, 127), on(60), off(60, 500)]
        second = [on(64), off(64, 500), on(65, 500), off(65, 500)]
        score = played(first, second, kind=2)
        assert spans(score) == [(60, 0.0, 0.5), (64, 0.5, 1.0), (65, 1.5, 2.0)]

    def test_tempi_of_the_first_track_rule_all_tracks(self) -> None:
        tempi = [tempo(500_000), tempo(1_000_000, 1000), tempo(250_000, 500)]
        score = played(tempi, [on(60), off(60, 1000), on(62), off(62, 500), on(64), off(64, 1000)])
        # 1000 ticks at 1 ms, 500 at 2 ms, 1000 at 0.5 ms.
        assert spans(score) == [(60, 0.0, 1.0), (62, 1.0, 2.0), (64, 2.0, 2.5)]

    def test_a_tempo_in_a_later_track_rules_the_first_one_too(self) -> None:
        score = played([on(60), off(60, 1000)], [tempo(1_000_000, 500)])
        assert spans(score) == [(60, 0.0, 1.5)]

    def test_a_tempo_of_zero_is_passed_over(self) -> None:
        score = played([tempo(0), on(60), off(60, 1000)])
        assert spans(score) == [(60, 0.0, 1.0)]

    @pytest.mark.parametrize(
        ("frames_per_s", "ticks_per_frame", "ticks", "seconds"),
        [(25, 40, 1500, 1.5), (24, 10, 360, 1.5), (30, 80, 3600, 1.5), (29, 100, 3000, 1.001)],
    )
    def test_smpte_divisions_count_ticks_of_frames(
        self, frames_per_s: int, ticks_per_frame: int, ticks: int, seconds: float
    ) -> None:
        division = -frames_per_s * 256 + ticks_per_frame
        # A tempo does not count here.
        score = played([tempo(100_000), on(60, ticks), off(60, ticks)], division=division)
        assert score.notes[0].start_s == pytest.approx(seconds, abs=1e-9)
        assert score.notes[0].end_s == pytest.approx(2 * seconds, abs=1e-9)

    def test_a_file_of_one_hour_keeps_its_time(self) -> None:
        score = played([message for _ in range(3600) for message in (on(60, 900), off(60, 100))])
        assert score.duration_s == pytest.approx(3600.0, abs=1e-6)
        assert max(abs(note.start_s % 1 - 0.9) for note in score.notes) < 1e-6


class TestBytes:
    def test_running_status_repeats_the_last_status_byte(self) -> None:
        data = bytes.fromhex("00 90 3C 40  83 74 3C 00  00 40 50  83 74 40 00")
        assert parse_midi(raw_file(chunk(data + END))).tracks[0].notes == (
            Note(60, 64, 0.0, 0.5),
            Note(64, 80, 0.5, 1.0),
        )

    def test_running_status_goes_on_after_names_and_exclusive_messages(self) -> None:
        data = bytes.fromhex("00 90 3C 40  00 FF 01 02 48 69  00 F0 02 01 F7  83 74 3C 00")
        assert spans(parse_midi(raw_file(chunk(data + END)))) == [(60, 0.0, 0.5)]

    def test_a_note_on_of_velocity_0_is_a_note_off(self) -> None:
        assert spans(played([on(60), on(60, 500, velocity=0), on(60, 500), off(60, 500)])) == [
            (60, 0.0, 0.5),
            (60, 1.0, 1.5),
        ]

    def test_time_passes_in_messages_that_sound_nothing(self) -> None:
        lyrics = mido.MetaMessage("lyrics", text="la", time=250)
        exclusive = mido.Message("sysex", data=(1, 2, 3), time=250)
        assert spans(played([lyrics, exclusive, on(60), lyrics, off(60, 250)])) == [(60, 0.5, 1.0)]

    def test_velocities_above_127_are_the_loudest(self) -> None:
        data = bytes.fromhex("00 90 3C FF  83 74 80 3C 40")
        assert parse_midi(raw_file(chunk(data + END))).notes == [Note(60, 127, 0.0, 0.5)]

    def test_unknown_chunks_are_passed_over(self) -> None:
        notes = chunk(bytes.fromhex("00 90 3C 40  83 74 80 3C 40") + END)
        data = raw_file(chunk(b"anything", b"XFIH"), notes, chunk(b"more", b"XFKM"))
        assert spans(parse_midi(data)) == [(60, 0.0, 0.5)]

    @pytest.mark.parametrize(
        "meta",
        ["FF 59 02 20 00", "FF 58 01 04", "FF 51 01 07", "FF 54 00", "FF 02 01 FF", "FF 7F 01 80"],
        ids=["key of 32 sharps", "short metre", "short tempo", "no offset", "Latin-1", "private"],
    )
    def test_strange_remarks_do_not_spoil_a_file(self, meta: str) -> None:
        notes = bytes.fromhex("00 90 3C 40  83 74 80 3C 40")
        data = raw_file(chunk(b"\x00" + bytes.fromhex(meta) + notes + END))
        assert spans(parse_midi(data)) == [(60, 0.0, 0.5)]

    def test_what_follows_the_end_of_a_track_is_not_played(self) -> None:
        notes = bytes.fromhex("00 90 3C 40  83 74 80 3C 40")
        data = raw_file(chunk(notes + END + notes), chunk(notes + END), kind=1, n_tracks=2)
        assert [len(track.notes) for track in parse_midi(data).tracks] == [1, 1]

    def test_a_track_without_an_end_ends_with_its_chunk(self) -> None:
        data = raw_file(chunk(bytes.fromhex("00 90 3C 40  83 74 80 3C 40")))
        assert spans(parse_midi(data)) == [(60, 0.0, 0.5)]

    def test_a_longer_header_is_read(self) -> None:
        header = b"MThd" + struct.pack(">LHHH", 8, 0, 1, 500) + b"\x00\x00"
        data = header + chunk(bytes.fromhex("00 90 3C 40  83 74 80 3C 40") + END)
        assert spans(parse_midi(data)) == [(60, 0.0, 0.5)]

    def test_midi_wrapped_in_riff_is_unwrapped(self) -> None:
        midi = file_of([on(60), off(60, 500)])
        body = b"RMID" + b"data" + struct.pack("<L", len(midi)) + midi
        wrapped = b"RIFF" + struct.pack("<L", len(body)) + body
        assert parse_midi(wrapped) == parse_midi(midi)
        assert spans(parse_midi(wrapped)) == [(60, 0.0, 0.5)]


class TestParts:
    def test_a_program_change_splits_a_track(self) -> None:
        score = played([program(40), on(60), off(60, 500), program(73), on(62), off(62, 500)])
        assert [(track.program, track.notes) for track in score.tracks] == [
            (40, (Note(60, 64, 0.0, 0.5),)),
            (73, (Note(62, 64, 0.5, 1.0),)),
        ]
        assert [track.name for track in score.tracks] == ["Violin", "Flute"]

    def test_a_note_stays_in_the_part_that_it_began_in(self) -> None:
        score = played([program(40), on(60), program(73, 250), off(60, 250)])
        assert [(track.program, spans(Score((track,)))) for track in score.tracks] == [
            (40, [(60, 0.0, 0.5)])
        ]

    def test_a_program_change_in_one_track_rules_the_channel_in_another(self) -> None:
        score = played([program(19, channel=2)], [on(60, channel=2), off(60, 500, channel=2)])
        assert [(track.program, track.channel) for track in score.tracks] == [(19, 2)]

    def test_the_channels_of_one_track_are_parts(self) -> None:
        score = played([on(60), on(60, channel=3), off(60, 500), off(60, 500, channel=3)])
        assert [(track.channel, track.notes[0].end_s) for track in score.tracks] == [
            (0, 0.5),
            (3, 1.0),
        ]

    def test_tracks_have_the_names_of_the_file(self) -> None:
        score = played(
            [named(" Right hand "), on(60), off(60, 9)],
            [named("Präludium"), on(60, channel=1), off(60, 9, channel=1)],
            [on(60, channel=2), off(60, 9, channel=2)],
        )
        assert [track.name for track in score.tracks] == [
            "Right hand",
            "Präludium",
            "Acoustic Grand Piano",
        ]

    def test_names_may_be_in_unicode(self) -> None:
        name = "Träumerei – ピアノ".encode()
        data = b"\x00\xff\x03" + bytes([len(name)]) + name + bytes.fromhex("00 90 3C 40 09 3C 00")
        assert parse_midi(raw_file(chunk(data + END))).tracks[0].name == "Träumerei – ピアノ"

    def test_tracks_without_notes_are_left_out(self) -> None:
        score = played([named("Tempo"), tempo(500_000)], [on(60), off(60, 500)], [named("Words")])
        assert len(score.tracks) == 1

    def test_a_file_without_notes_is_an_empty_score(self) -> None:
        score = played([named("Nothing"), control(64, 127), control(64, 0, 500)])
        assert score == Score((), pedal_events=2)
        assert (score.n_notes, score.duration_s, score.notes) == (0, 0.0, [])


class TestSustainPedal:
    def test_notes_end_with_the_release_of_the_pedal(self) -> None:
        score = played([on(60), control(64, 127, 100), off(60, 400), control(64, 0, 1000)])
        assert spans(score) == [(60, 0.0, 1.5)]
        assert score.pedal_events == 2

    def test_the_pedal_does_not_shorten_a_key_that_is_held_longer(self) -> None:
        score = played([control(64, 127), on(60), control(64, 0, 500), off(60, 500)])
        assert spans(score) == [(60, 0.0, 1.0)]

    def test_the_pedal_is_down_from_64_on(self) -> None:
        score = played(
            [
                *(control(64, 64), on(60), off(60, 100), control(64, 63, 100)),
                *(on(62), off(62, 100), control(64, 0, 100)),
            ]
        )
        assert spans(score) == [(60, 0.0, 0.2), (62, 0.2, 0.3)]

    def test_a_track_without_notes_pedals_the_whole_channel(self) -> None:
        pedal = [control(64, 127, 100), control(64, 0, 1900)]
        other = [on(48, channel=1), off(48, 500, channel=1)]
        score = played([on(60), off(60, 500)], [on(67), off(67, 500)], pedal, other)
        assert [spans(Score((track,))) for track in score.tracks] == [
            [(60, 0.0, 2.0)],
            [(67, 0.0, 2.0)],
            [(48, 0.0, 0.5)],
        ]
        assert score.pedal_events == 2

    def test_a_key_struck_again_under_the_pedal_ends_its_last_note(self) -> None:
        score = played(
            [control(64, 127), on(60), off(60, 200), on(60, 300), off(60, 200), control(64, 0, 300)]
        )
        assert spans(score) == [(60, 0.0, 0.5), (60, 0.5, 1.0)]

    def test_another_track_strikes_again_what_only_the_pedal_holds(self) -> None:
        right = [control(64, 127), on(60), off(60, 200), control(64, 0, 800)]
        left = [on(60, 500), off(60, 100)]
        assert spans(played(right, left)) == [(60, 0.0, 0.5), (60, 0.5, 1.0)]

    def test_a_pedal_that_is_never_released_holds_to_the_end_of_the_file(self) -> None:
        score = played([control(64, 127), on(60), off(60, 200), on(62), off(62, 200), named("end")])
        assert spans(score) == [(60, 0.0, 0.4), (62, 0.2, 0.4)]


class TestSostenuto:
    def test_only_what_was_down_is_held(self) -> None:
        score = played(
            [
                *(on(60), on(62, 100), off(62, 100), control(66, 127, 100)),
                *(on(64, 100), off(60, 100), off(64, 100), control(66, 0, 400)),
            ]
        )
        assert spans(score) == [(60, 0.0, 1.0), (62, 0.1, 0.2), (64, 0.4, 0.6)]
        assert score.pedal_events == 0  # which counts sustain pedals only

    def test_pressing_it_again_while_it_is_down_holds_nothing_more(self) -> None:
        score = played(
            [
                *(on(60), control(66, 127, 100), on(62, 100), control(66, 100, 100)),
                *(off(60, 100), off(62, 100), control(66, 0, 500)),
            ]
        )
        assert spans(score) == [(60, 0.0, 1.0), (62, 0.2, 0.5)]

    def test_what_the_sustain_pedal_alone_holds_is_not_caught(self) -> None:
        score = played(
            [
                *(control(64, 127), on(60), off(60, 100), control(66, 127, 100)),
                *(control(64, 0, 100), control(66, 0, 500)),
            ]
        )
        assert spans(score) == [(60, 0.0, 0.3)]

    def test_both_pedals_must_be_up(self) -> None:
        score = played(
            [
                *(on(60), control(66, 127, 100), off(60, 100), control(64, 127, 100)),
                *(control(66, 0, 100), control(64, 0, 600)),
            ]
        )
        assert spans(score) == [(60, 0.0, 1.0)]


class TestOverlaps:
    def test_note_offs_belong_to_the_note_that_began_first(self) -> None:
        # The string is struck again at 0.3; the release at 0.5 is that of the first stroke.
        score = played([on(60), on(60, 300), off(60, 200), off(60, 500)])
        assert spans(score) == [(60, 0.0, 0.3), (60, 0.3, 1.0)]

    def test_two_tracks_hold_the_same_key_of_one_channel_each_for_itself(self) -> None:
        score = played([on(60), off(60, 1000)], [on(60, 300, 90), off(60, 200)])
        assert [track.notes for track in score.tracks] == [
            (Note(60, 64, 0.0, 1.0),),
            (Note(60, 90, 0.3, 0.5),),
        ]

    def test_notes_without_length_are_kept(self) -> None:
        score = played([on(60, 500), off(60), on(62), off(62, 500)])
        assert spans(score) == [(60, 0.5, 0.5), (62, 0.5, 1.0)]

    def test_a_missing_note_off_ends_at_the_end_of_the_file(self) -> None:
        score = played([on(60), on(62, 500), off(62, 500)])
        assert spans(score) == [(60, 0.0, 1.0), (62, 0.5, 1.0)]

    def test_a_key_whose_note_off_is_missing_does_not_hang_when_struck_again(self) -> None:
        score = played([on(60), on(60, 500), off(60, 250), on(62), off(62, 5000)])
        assert spans(score) == [(60, 0.0, 0.5), (60, 0.5, 0.75), (62, 0.75, 5.75)]

    def test_a_note_off_without_a_note_does_nothing(self) -> None:
        score = played([off(60), on(60, 100), off(62, 100), off(60, 100), off(60, 100)])
        assert spans(score) == [(60, 0.1, 0.3)]

    def test_notes_are_sorted_by_start_then_pitch(self) -> None:
        score = played([on(67), on(60), on(64), off(64, 100), on(50), off(67), off(60), off(50, 9)])
        assert [note.pitch for note in score.tracks[0].notes] == [60, 64, 67, 50]


class TestControllers:
    def test_121_lifts_the_pedals_and_resets_expression_but_not_volume(self) -> None:
        score = played(
            [
                *(control(7, 50), control(11, 64), control(64, 127), on(60), off(60, 200)),
                *(on(62), control(66, 127, 100), off(62, 100), control(121, 0, 100), on(64)),
                off(64, 100),
            ]
        )
        assert spans(score) == [(60, 0.0, 0.5), (62, 0.2, 0.5), (64, 0.5, 0.6)]
        (track,) = score.tracks
        assert track.gain.at([0.1, 0.5]) == pytest.approx([0.25 * (64 / 127) ** 2, 0.25])

    def test_120_silences_what_any_key_or_pedal_holds(self) -> None:
        score = played(
            [
                *(control(64, 127), on(60), off(60, 100), on(62), control(66, 127), on(64)),
                *(control(120, 0, 400), off(62, 100), off(64, 100), control(64, 0, 800)),
            ]
        )
        assert spans(score) == [(60, 0.0, 0.5), (62, 0.1, 0.5), (64, 0.1, 0.5)]

    @pytest.mark.parametrize("number", [123, 124, 125, 126, 127])
    def test_123_and_changes_of_mode_release_keys_but_not_pedals(self, number: int) -> None:
        free = [on(60), control(number, 0, 500), off(60, 500)]
        pedalled = [
            *(control(64, 127, channel=1), on(62, channel=1), control(number, 0, 500, channel=1)),
            control(64, 0, 500, channel=1),
        ]
        assert spans(played(free, pedalled)) == [(60, 0.0, 0.5), (62, 0.0, 1.0)]

    def test_123_leaves_what_the_sostenuto_pedal_holds(self) -> None:
        score = played(
            [
                *(on(60), control(66, 127, 100), on(62), control(123, 0, 100)),
                *(off(60, 100), off(62), control(66, 0, 700)),
            ]
        )
        assert spans(score) == [(60, 0.0, 1.0), (62, 0.1, 0.2)]

    def test_after_123_a_key_is_released_by_its_own_note_off(self) -> None:
        score = played([on(60), control(123, 0, 100), on(60, 100), off(60, 100), off(60, 700)])
        assert spans(score) == [(60, 0.0, 0.1), (60, 0.2, 0.3)]

    def test_volume_and_expression_follow_the_recommended_law(self) -> None:
        score = played(
            [on(60), control(7, 127, 500), control(11, 64, 500), control(7, 0, 500), off(60, 500)]
        )
        (track,) = score.tracks
        assert track.gain.times_s == pytest.approx((0.0, 0.5, 1.0, 1.5))
        assert track.gain.values == pytest.approx((1.0, 1.27**2, 1.27**2 * (64 / 127) ** 2, 0.0))

    def test_a_volume_at_the_start_replaces_the_default(self) -> None:
        score = played([control(7, 10), control(7, 50), on(60), off(60, 500)])
        assert score.tracks[0].gain.times_s == (0.0,)
        assert score.tracks[0].gain.values == pytest.approx((0.25,))

    @pytest.mark.parametrize(
        ("value", "pan"), [(0, -1.0), (1, -1.0), (32, -32 / 63), (64, 0.0), (127, 1.0)]
    )
    def test_pan_goes_from_left_to_right(self, value: int, pan: float) -> None:
        score = played([on(60), control(10, value, 500), off(60, 500)])
        assert score.tracks[0].pan.at([0.25, 0.75]) == pytest.approx([0.0, pan])

    def test_controllers_rule_all_tracks_of_their_channel_and_no_other(self) -> None:
        score = played(
            [control(7, 50), control(10, 127)],
            [on(60), off(60, 500)],
            [on(62, channel=1), off(62, 500, channel=1)],
        )
        assert [track.gain.values for track in score.tracks] == [(0.25,), (1.0,)]
        assert [track.pan for track in score.tracks] == [Automation((0.0,), (1.0,)), None]


class TestUnplayable:
    def test_drums_are_counted_and_not_played(self) -> None:
        score = played([on(36, channel=9), on(60), off(36, 100, channel=9), off(60, 400)])
        assert spans(score) == [(60, 0.0, 0.5)]
        assert score.unplayable == {"drum_notes": 1}
        assert score.unplayable_notes == 1

    def test_pitches_outside_the_keyboard_are_counted_and_not_played(self) -> None:
        pitches = (0, 20, 21, 108, 109, 127)
        score = played([*(on(p) for p in pitches), *(off(p, 100) for p in pitches)])
        assert [note.pitch for note in score.notes] == [21, 108]
        assert score.unplayable == {"notes_outside_21_108": 4}
        assert score.unplayable_notes == 4

    def test_bends_are_counted_where_they_bend(self) -> None:
        bends = [mido.Message("pitchwheel", pitch=pitch) for pitch in (0, 1, -8192, 0)]
        score = played([on(60), *bends, off(60, 500)])
        assert spans(score) == [(60, 0.0, 0.5)]
        assert score.unplayable == {"pitch_bends": 2}
        assert score.unplayable_notes == 0  # the note of a bend is played

    def test_nothing_is_counted_where_all_is_played(self) -> None:
        assert played([on(60), off(60, 500)]).unplayable == {}


class TestBadInput:
    @staticmethod
    def refused(path: Path, data: bytes | None, match: str) -> None:
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(InputError, match=match) as caught:
            read_midi(path)
        assert str(caught.value).startswith(f"{path}: ")

    def test_an_empty_file(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "empty.mid", b"", "is empty")

    def test_a_text_file(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "notes.mid", b"C4 D4 E4\n" * 9, "is not a MIDI file")

    def test_a_riff_file_without_midi(self, tmp_path: Path) -> None:
        wave = b"RIFF" + struct.pack("<L", 36) + b"WAVEfmt "
        self.refused(tmp_path / "wave.mid", wave, "is not a MIDI file")
        self.refused(tmp_path / "hull.mid", wave[:8] + b"RMID" + b"data", "is not a MIDI file")

    def test_zero_division(self, tmp_path: Path) -> None:
        data = raw_file(chunk(END), division=0)
        self.refused(tmp_path / "zero.mid", data, "time division is zero")

    @pytest.mark.parametrize("length", [4, 13, 14, 21, 22, 25])
    def test_a_file_that_is_cut_off_before_its_first_note(
        self, tmp_path: Path, length: int
    ) -> None:
        data = file_of([on(60), off(60, 500)])
        self.refused(tmp_path / "short.mid", data[:length], "is cut off; copy or export")

    @pytest.mark.parametrize(
        ("data", "match"),
        [
            ("00 90 3C", "past the end of its track"),
            ("00 FF 03 09 41", "past the end of its track"),
            ("81 82 83 84 85 05 90 3C 40", "more than 5 bytes"),
            ("FF" * 2**20, "more than 5 bytes"),
            ("00 3C 40", "status byte"),
            ("00 F4", "status byte"),
        ],
        ids=[
            "half a note",
            "half a name",
            "long time",
            "endless time",
            "no status",
            "wrong status",
        ],
    )
    def test_damage_before_the_first_note(self, tmp_path: Path, data: str, match: str) -> None:
        midi = raw_file(chunk(bytes.fromhex(data)))
        self.refused(tmp_path / "damaged.mid", midi, rf"damaged MIDI file \(.*{match}")

    def test_a_missing_file(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "missing.mid", None, "cannot be read .*No such file")

    def test_a_folder(self, tmp_path: Path) -> None:
        self.refused(tmp_path, None, "cannot be read .*directory")

    def test_a_file_that_is_too_large(self, tmp_path: Path) -> None:
        path = tmp_path / "large.mid"
        with path.open("wb") as file:
            file.truncate(MAX_FILE_BYTES + 2**20)
        self.refused(path, None, "is larger than 4 MiB, up to which MIDI files are read")

    def test_forty_bytes_that_last_for_years_are_refused_at_once(self, tmp_path: Path) -> None:
        slow = bytes.fromhex("00 FF 51 03 FF FF FF  00 90 3C 40  FF FF FF 7F 80 3C 40")
        data = raw_file(chunk(slow), division=1)
        assert len(data) == 40
        began_s = time.process_time()
        self.refused(tmp_path / "years.mid", data, "lasts longer than 6 hours")
        assert time.process_time() - began_s < 1.0

    def test_the_longest_duration_can_be_set(self, tmp_path: Path) -> None:
        path = tmp_path / "ten.mid"
        path.write_bytes(file_of([on(60), off(60, 10_000)]))
        assert read_midi(path, max_duration_s=10.0).duration_s == 10.0
        with pytest.raises(InputError, match=rf"^{path}: lasts longer than"):
            read_midi(path, max_duration_s=9.0)

    def test_data_without_a_file_are_called_so(self) -> None:
        with pytest.raises(InputError, match=r"^MIDI data: is empty"):
            parse_midi(b"")


class TestExamples:
    def test_the_duet_has_two_instruments_and_pedals(self) -> None:
        score = read_midi(EXAMPLES / "duet.mid")
        assert [track.program for track in score.tracks] == [56, 46]
        assert score.pedal_events > 0
        assert score.unplayable == {}
        assert all(len(track.notes) > 10 for track in score.tracks)

    def test_the_prelude_is_for_one_instrument(self) -> None:
        score = read_midi(EXAMPLES / "prelude.mid")
        assert [track.program for track in score.tracks] == [0]
        assert score.n_notes > 100
        assert 20 < score.duration_s < 120


def test_the_whole_corpus_is_read(corpus: Path) -> None:
    paths = sorted(corpus.rglob("*.mid"))
    assert len(paths) == 337
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(counts)(path) for path in paths)
    notes, pedal_events, unplayable, sane = (list(column) for column in zip(*found, strict=True))
    assert sum(notes) == 794_411
    assert sum(pedal_events) == 133_331
    assert sum(unplayable) == 0
    assert [path.name for path, is_sane in zip(paths, sane, strict=True) if not is_sane] == []

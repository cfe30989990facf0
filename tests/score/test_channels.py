"""What a channel means: ports, drums, tunings, volumes; and what is counted instead."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from support.midi_bytes import (
    GM2_ON,
    GM_ON,
    GS_RESET,
    XG_ON,
    bend,
    control,
    device,
    event,
    exclusive,
    master_volume,
    name,
    note,
    off,
    on,
    parameter,
    port,
    program,
    roland,
    smf,
    tune,
    yamaha,
)
from timbrel.errors import InputError
from timbrel.score import Note, Score
from timbrel.score.midi import parse_midi


def spans(score: Score) -> list[tuple[int, float, float]]:
    """Pitch, start and end of all notes, to the microsecond."""
    return [(note.pitch, round(note.start_s, 6), round(note.end_s, 6)) for note in score.notes]


def pitches(*tracks: bytes) -> list[int]:
    return [note.pitch for note in parse_midi(smf(*tracks)).notes]


def drum_pitches(score: Score) -> list[int]:
    return [note.pitch for track in score.drum_tracks for note in track.notes]


class TestPorts:
    # As MuseScore writes more than 16 parts; vgmtrans#197, FluidSynth#1352, midis2jam2#227.
    def test_channels_of_one_number_on_two_ports_are_two(self) -> None:
        first = port(0) + program(0) + tune()
        second = port(1) + program(56) + tune(72, 74, 76, 77)
        score = parse_midi(smf(first, second))
        assert [(t.name, t.program, t.port, t.channel, len(t.notes)) for t in score.tracks] == [
            ("Acoustic Grand Piano", 0, 0, 0, 4),
            ("Trumpet", 56, 1, 0, 4),
        ]
        assert score.unplayable == {}

    @pytest.mark.parametrize("numbers", list(itertools.permutations((0, 1, 5), 2)))
    @pytest.mark.parametrize("channel", [0, 8, 15])
    def test_whatever_their_numbers(self, numbers: tuple[int, int], channel: int) -> None:
        tracks = [
            port(number)
            + program(10 + number, channel=channel)
            + tune(60 + number, channel=channel)
            for number in numbers
        ]
        score = parse_midi(smf(*tracks))
        assert [track.program for track in score.tracks] == [10 + number for number in numbers]
        # Ports that are used are counted from 0.
        ranks = [sorted(numbers).index(number) for number in numbers]
        assert [track.port for track in score.tracks] == ranks

    @pytest.mark.parametrize("names", [("A", "B"), ("Port 1", "Port 2"), ("ピアノ", "ドラム")])
    def test_devices_that_a_file_names_are_ports(self, names: tuple[str, str]) -> None:
        first = device(names[0]) + program(19) + tune()
        second = device(names[1]) + program(40) + tune()
        score = parse_midi(smf(first, second, device(names[0]) + tune(80)))
        assert [(t.program, t.port) for t in score.tracks] == [(19, 0), (40, 1), (19, 0)]

    def test_a_track_that_names_no_device_plays_on_the_first_one(self) -> None:
        conductor = program(24) + control(7, 50)
        score = parse_midi(smf(conductor, device("SC-55") + tune()))
        assert [(t.program, t.port, t.gain.values) for t in score.tracks] == [(24, 0, (0.25,))]

    def test_a_track_may_change_its_port(self) -> None:
        track = port(0) + program(11) + note(60) + port(1) + program(46) + note(62)
        track += port(0) + note(64)
        score = parse_midi(smf(track))
        assert [(t.program, t.port, [n.pitch for n in t.notes]) for t in score.tracks] == [
            (11, 0, [60, 64]),
            (46, 1, [62]),
        ]

    @pytest.mark.parametrize(
        "message",
        [control(64, 127), control(123, 0, 250), control(120, 0, 250), control(7, 1), bend(100)],
    )
    def test_controllers_of_one_port_leave_the_other_alone(self, message: bytes) -> None:
        with_message = parse_midi(smf(port(0) + message, port(1) + tune()))
        alone = parse_midi(smf(port(0), port(1) + tune()))
        assert with_message.tracks == alone.tracks

    def test_each_port_has_its_channel_of_drums(self) -> None:
        tracks = [port(number) + tune(36, channel=9) + tune(60) for number in range(3)]
        score = parse_midi(smf(*tracks))
        assert score.unplayable == {"drum_notes": 3}
        assert [(t.port, t.channel) for t in score.drum_tracks] == [(0, 9), (1, 9), (2, 9)]

    def test_excerpts_and_merged_scores_keep_what_they_can(self) -> None:
        score = parse_midi(smf(port(0) + tune(), port(1) + tune() + tune(36, channel=9)))
        excerpt = score.excerpt(1.0, 0.5)
        assert [track.port for track in excerpt.tracks] == [0, 1]
        assert drum_pitches(score.excerpt(2.0)) == [36]
        assert drum_pitches(excerpt) == []


BANKS = {"GM2": 120, "XG": 127, "XG effects": 126}


class TestDrums:
    # ryohey/signal#502, spc2midi-tsuu#9.
    @pytest.mark.parametrize("bank", BANKS.values(), ids=BANKS)
    @pytest.mark.parametrize("channel", [0, 2, 10, 15])
    @pytest.mark.parametrize("on_", [b"", GM_ON, GM2_ON, XG_ON])
    def test_a_bank_makes_a_channel_drums(self, bank: int, channel: int, on_: bytes) -> None:
        melody = 5
        drums = control(0, bank, channel=channel) + control(32, 0, channel=channel)
        drums += program(8, channel=channel) + tune(36, 38, 42, 46, channel=channel)
        score = parse_midi(smf(on_ + drums + tune(channel=melody)))
        assert [(track.channel, len(track.notes)) for track in score.tracks] == [(melody, 4)]
        assert score.unplayable == {"drum_notes": 4}
        (kit,) = score.drum_tracks
        assert (kit.name, kit.program, kit.channel) == ("Drums", 8, channel)
        assert drum_pitches(score) == [36, 38, 42, 46]

    def test_a_bank_counts_from_the_next_program_on(self) -> None:
        track = note(60) + control(0, 127) + note(62) + program(0) + note(36)
        track += control(0, 0) + note(38) + program(0) + note(64)
        score = parse_midi(smf(XG_ON + track))
        assert [n.pitch for n in score.notes] == [60, 62, 64]
        assert drum_pitches(score) == [36, 38]

    # midis2jam2#45.
    @pytest.mark.parametrize("on_", [b"", GM_ON, GM2_ON, XG_ON])
    def test_gm2s_bank_of_melody_makes_channel_10_melody(self, on_: bytes) -> None:
        track = control(0, 121, channel=9) + control(32, 0, channel=9) + program(56, channel=9)
        score = parse_midi(smf(on_ + track + tune(channel=9)))
        assert [(t.channel, t.program, len(t.notes)) for t in score.tracks] == [(9, 56, 4)]
        assert (score.unplayable, score.drum_tracks) == ({}, ())

    @pytest.mark.parametrize("bank", [0, 1, 8, 64, 127])
    @pytest.mark.parametrize("on_", [b"", GM_ON, GM2_ON, XG_ON, GS_RESET])
    def test_no_other_bank_does(self, bank: int, on_: bytes) -> None:
        track = control(0, bank, channel=9) + program(0, channel=9) + tune(channel=9)
        assert parse_midi(smf(on_ + track)).unplayable == {"drum_notes": 4}

    def test_channel_10_may_be_drums_again(self) -> None:
        melody = control(0, 121, channel=9) + program(56, channel=9) + note(60, channel=9)
        drums = control(0, 120, channel=9) + program(0, channel=9) + note(36, channel=9)
        score = parse_midi(smf(GM2_ON + melody + drums + melody))
        assert [n.pitch for n in score.notes] == [60, 60]
        assert drum_pitches(score) == [36]

    @pytest.mark.parametrize("bank", [120, 126, 127])
    def test_banks_are_other_sounds_on_gs_devices(self, bank: int) -> None:
        score = parse_midi(smf(GS_RESET + control(0, bank) + program(0) + tune()))
        assert (score.n_notes, score.unplayable) == (4, {})

    @pytest.mark.parametrize("value", [1, 2])
    @pytest.mark.parametrize("channel", [0, 3, 8, 9, 10, 15])
    def test_gs_parts_may_be_rhythm_parts(self, channel: int, value: int) -> None:
        # Blocks 1 to 9 are the first nine channels, block 0 is channel 10, A to F are the others.
        block = 0 if channel == 9 else channel + (channel < 9)
        rhythm = roland(0x40, 0x10 | block, 0x15, value)
        score = parse_midi(smf(GS_RESET + rhythm + tune(channel=channel) + tune(channel=1)))
        assert [track.channel for track in score.drum_tracks] == [channel]
        assert [track.channel for track in score.tracks] == [1]

    @pytest.mark.parametrize("before", [b"", GS_RESET])
    def test_a_gs_part_may_cease_to_be_one(self, before: bytes) -> None:
        score = parse_midi(smf(before + roland(0x40, 0x10, 0x15, 0) + tune(channel=9)))
        assert (score.n_notes, score.drum_tracks) == (4, ())

    @pytest.mark.parametrize("mode", [1, 2, 3, 5])
    @pytest.mark.parametrize("channel", [0, 4, 9, 15])
    def test_xg_parts_have_modes(self, channel: int, mode: int) -> None:
        drums = yamaha(0x08, channel, 0x07, mode)
        score = parse_midi(smf(XG_ON + drums + tune(channel=channel) + tune(channel=7)))
        assert [track.channel for track in score.drum_tracks] == [channel]
        assert [track.channel for track in score.tracks] == [7]

    def test_an_xg_part_of_normal_mode_is_melody(self) -> None:
        score = parse_midi(smf(XG_ON + yamaha(0x08, 0x09, 0x07, 0) + tune(channel=9)))
        assert (score.n_notes, score.drum_tracks) == (4, ())

    def test_a_bank_does_not_undo_the_mode_of_a_part(self) -> None:
        drums = yamaha(0x08, 0x02, 0x07, 1) + control(0, 0, channel=2) + program(0, channel=2)
        assert drum_pitches(parse_midi(smf(XG_ON + drums + tune(36, channel=2)))) == [36]

    @pytest.mark.parametrize(
        "drums",
        [roland(0x50, 0x11, 0x15, 1), yamaha(0x08, 0x10, 0x07, 1)],
        ids=["GS, block of port B", "XG, part 17"],
    )
    def test_parts_above_16_are_those_of_the_next_port(self, drums: bytes) -> None:
        score = parse_midi(smf(port(0) + drums + tune(60), port(1) + tune(36)))
        assert [n.pitch for n in score.notes] == [60]
        assert drum_pitches(score) == [36]

    @pytest.mark.parametrize(
        "reset",
        [GM_ON, GM2_ON, GS_RESET, XG_ON, roland(0x00, 0x00, 0x7F, 0x01), yamaha(0, 0, 0x7F, 0)],
        ids=["GM", "GM2", "GS", "XG", "mode of an SC-88", "XG, all parameters"],
    )
    def test_a_reset_makes_channel_10_the_only_drums(self, reset: bytes) -> None:
        changed = control(0, 127) + program(0) + yamaha(0x08, 0x09, 0x07, 0)
        score = parse_midi(smf(changed + note(36) + reset + note(60) + note(38, channel=9)))
        assert [n.pitch for n in score.notes] == [60]
        assert drum_pitches(score) == [36, 38]

    def test_what_is_no_whole_message_is_no_message(self) -> None:
        for data in ((0x41,), (0x43, 0x10), (0x7E, 0x7F, 0x09), (0x41, 0x10, 0x42, 0x12, 0x40)):
            assert parse_midi(smf(exclusive(*data) + tune())).n_notes == 4

    @pytest.mark.parametrize("split", [1, 4, 8, 10])
    def test_a_message_may_come_in_packets(self, split: int) -> None:
        whole = bytes([0x41, 0x10, 0x42, 0x12, 0x40, 0x13, 0x15, 0x01, 0x57, 0xF7])
        packets = b"\x00\xf0" + bytes([split]) + whole[:split]
        if split < len(whole):
            packets += b"\x05\xf7" + bytes([len(whole) - split]) + whole[split:]
        assert drum_pitches(parse_midi(smf(packets + tune(36, channel=2)))) == [36]

    def test_a_message_may_be_escaped_and_may_lack_its_end(self) -> None:
        message = bytes([0xF0, 0x43, 0x10, 0x4C, 0x08, 0x02, 0x07, 0x01])
        escaped = b"\x00\xf7" + bytes([len(message)]) + message
        assert drum_pitches(parse_midi(smf(escaped + tune(36, channel=2)))) == [36]

    def test_drums_keep_velocities_lengths_names_and_pedals(self) -> None:
        track = name("Kit") + control(64, 127, channel=9) + on(35, channel=9, velocity=99)
        track += off(35, 100, channel=9) + control(64, 0, 400, channel=9) + on(127, channel=9)
        score = parse_midi(smf(track + off(127, 9, channel=9)))
        assert [(t.name, t.notes) for t in score.drum_tracks] == [
            ("Kit", (Note(35, 99, 0.0, 0.5), Note(127, 64, 0.5, 0.509)))
        ]
        assert (score.tracks, score.unplayable) == ((), {"drum_notes": 2})


class TestResets:
    @pytest.mark.parametrize("reset", [GM_ON, GM2_ON, GS_RESET, XG_ON])
    def test_set_programs_controllers_and_tunings_back(self, reset: bytes) -> None:
        before = program(19) + control(7, 50) + control(10, 127) + control(64, 127)
        before += parameter(2, 70) + parameter(1, 32) + bend(4096) + note(60)
        score = parse_midi(smf(before + reset + note(62)))
        organ, piano = score.tracks[1], score.tracks[0]
        assert (organ.program, piano.program) == (19, 0)
        assert organ.notes == (Note(66, 64, 0.0, 0.5),)  # tuned by 6, and the pedal is lifted
        assert piano.notes == (Note(62, 64, 0.5, 1.0),)
        times_s = np.array([0.25, 0.75])
        assert piano.gain.at(times_s).tolist() == [0.25, 1.0]
        assert piano.pan.at(times_s).tolist() == [1.0, 0.0]
        assert piano.bend.at(times_s).tolist() == [1.0, 0.0]
        assert piano.tuning.at(times_s).tolist() == [-0.5, 0.0]

    def test_silence_what_sounds(self) -> None:
        reset = exclusive(0x7E, 0x7F, 0x09, 0x01, ticks=300)
        score = parse_midi(smf(on(60) + reset + note(62)))
        assert spans(score) == [(60, 0.0, 0.3), (62, 0.3, 0.8)]

    @pytest.mark.parametrize("reset", [GM_ON, GM2_ON, GS_RESET, XG_ON])
    def test_change_nothing_where_nothing_was_changed(self, reset: bytes) -> None:
        assert parse_midi(smf(reset + tune())) == parse_midi(smf(tune()))
        assert parse_midi(smf(tune() + reset + tune())) == parse_midi(smf(tune() + tune()))


class TestTuning:
    # FluidSynth#1787: GM2's coarse tuning shifts the numbers of the notes.
    @pytest.mark.parametrize("semitones", [-24, -12, -5, -1, 0, 1, 5, 7, 12, 24])
    def test_coarse_tuning_transposes(self, semitones: int) -> None:
        score = parse_midi(smf(parameter(2, 64 + semitones, 0) + note(60) + note(62)))
        expected = [(60 + semitones, 0.0, 0.5), (62 + semitones, 0.5, 1.0)]
        assert (spans(score), score.unplayable) == (expected, {})

    @pytest.mark.parametrize(
        "shift",
        [
            exclusive(0x7F, 0x7F, 0x04, 0x04, 0x00, 0x40 + 3),
            roland(0x40, 0x00, 0x05, 0x40 + 3),
            roland(0x40, 0x11, 0x16, 0x40 + 3),
            yamaha(0x00, 0x00, 0x06, 0x40 + 3),
            yamaha(0x08, 0x00, 0x08, 0x40 + 3),
            parameter(2, 0x40 + 3),
        ],
        ids=["master", "GS master", "GS part", "XG master", "XG part", "RPN"],
    )
    def test_keys_are_shifted_by_whole_semitones(self, shift: bytes) -> None:
        score = parse_midi(smf(shift + tune() + tune(36, channel=9)))
        assert [n.pitch for n in score.notes] == [63, 65, 67, 68]
        assert drum_pitches(score) == [36]  # drums are not
        assert score.unplayable == {"drum_notes": 1}

    def test_shifts_add_up_and_parts_have_their_own(self) -> None:
        shifts = parameter(2, 65) + yamaha(0, 0, 6, 66) + yamaha(8, 0, 8, 68)
        score = parse_midi(smf(shifts + note(60) + note(60, channel=1)))
        assert [n.pitch for n in score.notes] == [60 + 1 + 2 + 4, 60 + 2]

    def test_a_note_keeps_the_tuning_that_it_began_with(self) -> None:
        track = on(60) + parameter(2, 69) + off(60, 500) + note(60)
        assert spans(parse_midi(smf(track))) == [(60, 0.0, 0.5), (65, 0.5, 1.0)]

    def test_what_is_tuned_off_the_keyboard_is_counted(self) -> None:
        score = parse_midi(smf(parameter(2, 64 + 24) + note(100) + note(84) + note(10)))
        assert [n.pitch for n in score.notes] == [108, 34]
        assert score.unplayable == {"notes_outside_21_108": 1}

    @pytest.mark.parametrize("null", [parameter(0x3FFF, 70), control(99, 0) + control(6, 70)])
    def test_data_for_no_parameter_do_nothing(self, null: bytes) -> None:
        data = parameter(2, 64)[:-4] + null
        assert pitches(data + note(60)) == [60]

    def test_121_forgets_the_parameter_and_keeps_the_tuning(self) -> None:
        assert pitches(parameter(2, 66) + control(121, 0) + control(6, 70) + note(60)) == [62]

    @pytest.mark.parametrize(
        ("high", "low", "tuning"), [(0, 0, -1.0), (32, 0, -0.5), (64, 64, 64 / 8192), (96, 0, 0.5)]
    )
    def test_fine_tuning_is_kept_and_counted_once(self, high: int, low: int, tuning: float) -> None:
        score = parse_midi(smf(note(60) + parameter(1, high, low) + note(60) + note(62)))
        (track,) = score.tracks
        assert track.tuning.at(np.array([0.2, 0.7, 1.2])).tolist() == [0.0, tuning, tuning]
        assert [n.pitch for n in track.notes] == [60, 60, 62]
        assert score.unplayable == {"fine_tunings": 1}

    def test_fine_tuning_in_the_middle_is_none(self) -> None:
        score = parse_midi(smf(parameter(1, 64, 0) + tune()))
        assert (score.unplayable, score.tracks[0].tuning.values) == ({}, (0.0,))

    @pytest.mark.parametrize(
        ("message", "tuning"),
        [
            (exclusive(0x7F, 0x7F, 0x04, 0x03, 0x00, 0x50), 0.25),
            (roland(0x40, 0x00, 0x00, 0x00, 0x04, 0x0C, 0x05), 0.197),  # 442 Hz
            (yamaha(0x00, 0x00, 0x00, 0x00, 0x03, 0x0C, 0x0E), -0.05),
        ],
        ids=["standard", "GS", "XG"],
    )
    def test_master_tuning_is_added_to_that_of_channels(
        self, message: bytes, tuning: float
    ) -> None:
        second = parameter(1, 96, channel=1) + tune(72, channel=1)
        score = parse_midi(smf(message + tune(), second))
        values = [track.tuning.values[-1] for track in score.tracks]
        assert values == pytest.approx([tuning, tuning + 0.5], abs=1e-12)
        assert score.unplayable == {"fine_tunings": 2}  # of all, and of one channel

    def test_tunings_that_no_note_hears_are_not_counted(self) -> None:
        assert parse_midi(smf(tune() + parameter(1, 80))).unplayable == {}

    def test_scale_tunings_are_counted(self) -> None:
        scale = exclusive(0x7F, 0x7F, 0x08, 0x08, 0x03, 0x7F, 0x7F, *range(52, 64))
        assert parse_midi(smf(scale + tune())).unplayable == {"fine_tunings": 1}


class TestBends:
    @pytest.mark.parametrize(
        ("range_", "semitones"),
        [(b"", 2.0), (parameter(0, 12), 12.0), (parameter(0, 2, 50), 2.5), (parameter(0, 0), 0.0)],
    )
    def test_bends_are_kept_in_semitones(self, range_: bytes, semitones: float) -> None:
        track = range_ + on(60) + bend(-8192, 250) + bend(4096, 250) + bend(0, 250) + off(60, 250)
        score = parse_midi(smf(track))
        values = score.tracks[0].bend.at(np.array([0.1, 0.3, 0.6, 0.9])).tolist()
        assert values == [0.0, -semitones, semitones / 2, 0.0]
        assert score.unplayable == {"pitch_bends": 2}

    def test_a_range_changes_what_is_bent(self) -> None:
        track = on(60) + bend(4096) + control(101, 0, 500) + control(100, 0) + control(6, 24)
        (played,) = parse_midi(smf(track + off(60, 500))).tracks
        assert played.bend.at(np.array([0.2, 0.7])).tolist() == [1.0, 12.0]

    def test_121_bends_no_longer(self) -> None:
        (played,) = parse_midi(smf(bend(4096) + note(60) + control(121, 0) + note(60))).tracks
        assert played.bend.at(np.array([0.2, 0.7])).tolist() == [1.0, 0.0]

    def test_an_excerpt_bends_and_is_tuned_as_the_whole(self) -> None:
        track = on(60) + bend(4096, 500) + parameter(1, 96) + bend(-4096, 500) + off(60, 500)
        score = parse_midi(smf(track))
        part = score.excerpt(0.4, 1.0)
        for curve, whole in (
            (part.tracks[0].bend, score.tracks[0].bend),
            (part.tracks[0].tuning, score.tracks[0].tuning),
        ):
            times_s = np.linspace(0, 1, 41)
            assert (curve.at(times_s) == whole.at(times_s + 0.4)).all()


class TestMasterVolume:
    @pytest.mark.parametrize(
        ("message", "gain"),
        [
            (master_volume(0x3FFF), 1.0),
            (master_volume(0x3F80), 1.0),
            (master_volume(0x1FC0), 0.25),
            (master_volume(0), 0.0),
            (roland(0x40, 0x00, 0x04, 0x7F), 1.0),
            (roland(0x40, 0x00, 0x04, 0x20), (32 / 127) ** 2),
            (yamaha(0x00, 0x00, 0x04, 0x7F), 1.0),
            (yamaha(0x00, 0x00, 0x04, 0x40), (64 / 127) ** 2),
        ],
    )
    def test_is_part_of_every_tracks_gain(self, message: bytes, gain: float) -> None:
        loud = control(7, 50, channel=1) + tune(channel=1)
        score = parse_midi(smf(message + tune(), loud))
        values = [track.gain.values for track in score.tracks]
        assert values == [pytest.approx((gain,)), pytest.approx((gain / 4,))]
        assert score.unplayable == {}

    def test_fades(self) -> None:
        fade = b"".join(master_volume(v << 7, 100) for v in range(120, 0, -20))
        score = parse_midi(smf(fade, on(60) + control(7, 50, 350) + off(60, 650)))
        (track,) = score.tracks
        times_s = np.array([0.05, 0.15, 0.34, 0.36, 0.9])
        parts = np.array([127, 120, 80, 80, 20]) / 127
        expected = parts**2 * np.array([1, 1, 1, 0.25, 0.25])
        assert track.gain.at(times_s) == pytest.approx(expected)

    def test_too_many_changes_of_too_many_channels_are_refused(self) -> None:
        changes = b"".join(master_volume((i % 127) << 7, 1) for i in range(40_000))
        tracks = [port(i) + tune(channel=c) for i in range(2) for c in range(16) if c != 9]
        with pytest.raises(InputError, match="too often"):
            parse_midi(smf(changes, *tracks))


class TestUnplayable:
    @pytest.mark.parametrize(
        ("message", "counted"),
        [
            (event(0, 0xD0, 64), {"channel_pressure": 1}),
            (event(0, 0xD0, 0), {}),
            (event(0, 0xA0, 60, 64), {"key_pressure": 1}),
            (event(0, 0xA0, 60, 0), {}),
            (control(67, 64), {"soft_pedal": 1}),
            (control(67, 63), {}),
            (control(126, 1), {"mono_mode": 1}),
            (control(127, 0), {}),
            (control(91, 40) + control(93, 1), {}),
            (control(92, 1), {"other_effect_sends": 1}),
            (control(94, 127), {"other_effect_sends": 1}),
            (control(95, 0), {}),
            (control(1, 20), {"modulation": 1}),
            (control(1, 0), {}),
            (control(65, 127), {"portamento": 1}),
            (control(65, 0), {}),
            (control(84, 60), {"portamento": 1}),
            (control(74, 64), {}),
            (control(74, 100), {"sound_controllers": 1}),
            (control(71, 0), {"sound_controllers": 1}),
            (control(99, 1) + control(98, 8) + control(6, 70), {"sound_controllers": 1}),
            (control(5, 20) + control(32, 1) + control(0, 1), {}),
        ],
    )
    def test_what_changes_the_sound_is_counted_where_it_does(
        self, message: bytes, counted: dict[str, int]
    ) -> None:
        score = parse_midi(smf(message + tune()))
        assert (score.n_notes, score.unplayable) == (4, counted)
        assert score.unplayable_notes == 0

    def test_sends_to_effects_are_curves(self) -> None:
        track = control(91, 127) + note(60) + control(91, 0) + control(93, 127) + note(62)
        (played,) = parse_midi(smf(track)).tracks
        times_s = np.array([0.25, 0.75])
        assert played.reverb.at(times_s).tolist() == [1.0, 0.0]
        assert played.chorus.at(times_s).tolist() == [0.0, 1.0]
        (plain,) = parse_midi(smf(note(60))).tracks
        assert plain.reverb.values == (40 / 127,)  # as General MIDI 2 has it
        assert plain.chorus.values == (0.0,)

    def test_all_kinds_have_words(self) -> None:
        track = b"".join(
            (
                *(event(0, 0xD0, 1), event(0, 0xA0, 60, 1), bend(1), parameter(1, 1)),
                *(control(kind, 127) for kind in (1, 65, 67, 70, 92, 126)),
                *(note(60), note(5), note(36, channel=9)),
            )
        )
        score = parse_midi(smf(track))
        assert list(score.unplayable) == sorted(score.unplayable)
        assert score.left_out == (
            "channel pressure (1), notes of drums (1), fine tuning (1), "
            "key pressure (1), modulation (1), mono mode (1), notes outside the 88 keys (1), "
            "other effects (1), pitch bends (1), portamento (1), soft pedal (1), "
            "sound controllers (1)"
        )
        assert parse_midi(smf(tune())).left_out == ""

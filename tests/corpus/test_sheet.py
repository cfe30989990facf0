"""Notes, pedals and bends written down → MIDI files."""

from __future__ import annotations

from pathlib import Path

import mido

from timbrel.corpus.sheet import Sheet
from timbrel.score.midi import read_midi
from timbrel.score.score import Note


def timed(midi: mido.MidiFile) -> list[tuple[float, mido.Message]]:
    """The messages with their times in seconds."""
    now, found = 0.0, []
    for message in midi:
        now += message.time
        found.append((round(now, 4), message))
    return found


def test_notes_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    sheet = Sheet(0)
    sheet.note(1.0, 0.5, 64, 77.4)
    sheet.note(0.25, 2.0, 60, 200)
    assert sheet.end_s == 2.25
    sheet.midi("two", 11).save(tmp_path / "two.mid")
    score = read_midi(tmp_path / "two.mid")
    assert score.notes == [Note(60, 127, 0.25, 2.25), Note(64, 77, 1.0, 1.5)]
    assert (score.tracks[0].name, score.tracks[0].program) == ("two", 11)


def test_key_that_sounds_is_released_before_it_is_struck_again() -> None:
    sheet = Sheet(0)
    sheet.note(0.0, 5.0, 60, 90)
    sheet.note(1.0, 0.5, 60, 80)
    sheet.note(1.0, 0.7, 60, 70)  # at once with the last: one of them counts
    events = [
        (time_s, message.type, message.velocity)
        for time_s, message in timed(sheet.midi("", 0))
        if message.type.startswith("note")
    ]
    assert events == [
        *((0.0, "note_on", 90), (0.998, "note_off", 0), (1.0, "note_on", 70)),
        (1.7, "note_off", 0),
    ]


def test_bends_fit_the_range_that_holds_at_their_time() -> None:
    sheet = Sheet(0)
    sheet.bend(0.0, 1.0)
    sheet.bend_range(1.0, 12)
    sheet.bend(2.0, 6.0)
    sheet.bend(2.1, -12.0)
    sheet.bend(2.2, 12.0)  # the wheel's last step is missing on this side
    sheet.bend(0.5, -2.0)
    bends = [(t, m.pitch) for t, m in timed(sheet.midi("", 0)) if m.type == "pitchwheel"]
    assert bends == [(0.0, 4096), (0.5, -8192), (2.0, 4096), (2.1, -8192), (2.2, 8191)]
    controls = [
        (m.control, m.value) for _, m in timed(sheet.midi("", 0)) if m.type == "control_change"
    ]
    assert controls == [(101, 0), (100, 0), (6, 12), (38, 0), (101, 127), (100, 127)]


def test_at_one_time_ends_come_first_and_beginnings_last() -> None:
    sheet = Sheet(9)
    sheet.note(1.0, 1.0, 38, 100)
    sheet.note(0.0, 1.0, 36, 100)
    sheet.pedal(1.0, 1.5)
    kinds = [m.type for t, m in timed(sheet.midi("", 0)) if t == 1.0]
    assert kinds == ["note_off", "control_change", "note_on"]
    assert {m.channel for _, m in timed(sheet.midi("", 0)) if not m.is_meta} == {9}


def test_bank_is_chosen_where_midi_has_a_number_for_it() -> None:
    for bank, expected in ((0, []), (8, [8]), (128, [])):
        messages = [m for _, m in timed(Sheet(0).midi("", 5, bank)) if m.type == "control_change"]
        assert [m.value for m in messages if m.control == 0] == expected

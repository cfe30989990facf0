"""Which note-off ends which note, where a key is struck again, and where note-offs are missing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.midi_bytes import chunk, control, header, meta, note, number, off, on, smf
from timbrel.score import Score
from timbrel.score.midi import LONGEST_HOLD_S, parse_midi

ROUNDS = settings(max_examples=100, deadline=None, derandomize=True)

Event = tuple[int, bytes]  # when, in ticks of a millisecond, and a message at a delta time of 0


def spans(score: Score) -> list[tuple[int, int, int]]:
    """Pitch, start and end of all notes in ms."""
    return [(n.pitch, round(1000 * n.start_s), round(1000 * n.end_s)) for n in score.notes]


def track(events: list[Event], end: int | None = None) -> bytes:
    """A track of events, in the order of their times; they may be given in another."""
    out, now = b"", 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        out += number(tick - now) + message[1:]
        now = tick
    return out + (b"" if end is None else meta(0x06, b"", end - now))


def played(*tracks: list[Event]) -> Score:
    return parse_midi(smf(*map(track, tracks)))


def repeated(starts: list[int], overlap: int, key: int = 60) -> list[list[Event]]:
    """One key struck again and again; each note-off comes after the next note-on. By note."""
    return [
        [(start, on(key)), (stop + (0 if last else overlap), off(key))]
        for start, stop, last in zip(
            starts, starts[1:], [*[False] * (len(starts) - 2), True], strict=False
        )
    ]


def flat(notes: list[list[Event]]) -> list[Event]:
    return [event for events in notes for event in events]


CHAINS = {
    "four of one length": [0, 500, 1000, 1500, 2000],
    "two": [0, 700, 900],
    "a rhythm": [0, 1000, 1250, 1500, 3500, 3600, 5000],
    "later": [4000, 4125, 4250, 4500, 8000],
}
ENDS = {
    "all notes off": [control(123, 0)],
    "all sound off": [control(120, 0)],
    "mono": [control(126, 1)],
    "poly": [control(127, 0)],
    "end of the file": [],
}


class TestRepeatedKeys:
    # Written so by Verovio; spessasynth_core#13.
    @pytest.mark.parametrize("overlap", [0, 1, 5, 15, 19])
    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
    @pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
    def test_the_last_note_off_may_be_missing(
        self, chain: list[int], end: list[bytes], overlap: int
    ) -> None:
        notes = repeated(chain, overlap)
        notes[-1].pop()
        events = flat(notes) + [(chain[-1], message) for message in end]
        score = parse_midi(smf(track(events, end=chain[-1])))
        assert spans(score) == [(60, a, b) for a, b in itertools.pairwise(chain)]

    @pytest.mark.parametrize("overlap", [0, 1, 10, 50, 100, 400])
    @pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
    def test_a_whole_chain_is_legato_whatever_the_overlap(
        self, chain: list[int], overlap: int
    ) -> None:
        overlap = min(overlap, min(b - a for a, b in itertools.pairwise(chain)) - 1)
        score = played(flat(repeated(chain, overlap)))
        assert spans(score) == [(60, a, b) for a, b in itertools.pairwise(chain)]

    @pytest.mark.parametrize("lost", range(5))
    @pytest.mark.parametrize("overlap", [0, 3, 12])
    def test_a_missing_note_off_within_a_chain_shifts_no_other(
        self, lost: int, overlap: int
    ) -> None:
        chain = [0, 500, 1000, 1500, 2000, 2500]
        notes = repeated(chain, overlap)
        notes[lost].pop()
        # The last note has nothing else to end it.
        score = parse_midi(smf(track(flat(notes), end=2500)))
        assert spans(score) == [(60, a, a + 500) for a in chain[:-1]]

    @pytest.mark.parametrize("final_s", [1, 4, 9])
    def test_a_long_chain_of_large_overlaps_is_legato(self, final_s: int) -> None:
        # As sequencers play with a gate time of 150 %.
        chain = [*range(0, 10_000, 250), 9750 + 1000 * final_s]
        assert spans(played(flat(repeated(chain, 125)))) == [
            (60, a, b) for a, b in itertools.pairwise(chain)
        ]

    def test_a_drone_that_another_voice_strikes_sounds_on(self) -> None:
        events = [(0, on(60)), (1000, on(60)), (1500, off(60)), (120_000, off(60))]
        assert spans(played(events)) == [(60, 0, 1000), (60, 1000, 120_000)]

    def test_two_voices_share_a_key(self) -> None:
        # A held voice and a short one strike it; it sounds as long as one of them is held.
        held_first = [(0, on(60)), (400, on(60)), (700, off(60)), (2000, off(60))]
        assert spans(played(held_first)) == [(60, 0, 400), (60, 400, 2000)]
        together = [(0, on(60)), (0, on(60)), (10, off(60)), (900, off(60))]
        assert spans(played(together)) == [(60, 0, 0), (60, 0, 900)]


class TestMissingNoteOffs:
    SEPARATE = ((0, 450), (500, 900), (2000, 2100), (2500, 4000), (9000, 9500), (9500, 9900))

    @pytest.mark.parametrize("lost", range(len(SEPARATE)))
    def test_one_note_is_longer_and_all_others_are_as_they_were(self, lost: int) -> None:
        events = [
            event
            for i, (start, stop) in enumerate(self.SEPARATE)
            for event in ((start, on(60)), (stop, off(60)))
            if (i, event[1][1] >> 4) != (lost, 8)
        ]
        others = [(0, on(40)), (9900, off(40))]
        until = [start for start, _ in self.SEPARATE[1:]] + [9900]
        expected = [
            (60, start, until[i] if i == lost else stop)
            for i, (start, stop) in enumerate(self.SEPARATE)
        ]
        found = spans(parse_midi(smf(track(events + others))))
        assert sorted(found) == sorted([*expected, (40, 0, 9900)])

    @ROUNDS
    @given(
        notes=st.lists(
            st.tuples(st.integers(58, 62), st.integers(30, 900), st.integers(1, 400)),
            min_size=2,
            max_size=25,
        ),
        data=st.data(),
    )
    def test_in_any_melody_the_others_are_as_they_were(
        self, notes: list[tuple[int, int, int]], data: st.DataObject
    ) -> None:
        lost = data.draw(st.integers(0, len(notes) - 1))
        events, expected, now = [], [], 0
        for i, (key, length, rest) in enumerate(notes):
            events.append((now, on(key)))
            if i != lost:
                events.append((now + length, off(key)))
            expected.append((key, now, now + length))
            now += length + rest
        whole = {span[1]: span for span in expected}
        found = {span[1]: span for span in spans(played(events))}
        assert found.keys() == whole.keys()
        start = expected[lost][1]
        assert {t: s for t, s in found.items() if t != start} == {
            t: s for t, s in whole.items() if t != start
        }

    @ROUNDS
    @given(lost=st.sets(st.integers(0, 19), max_size=8), gate=st.integers(21, 100))
    def test_several_in_a_row_of_equal_notes(self, lost: set[int], gate: int) -> None:
        starts = range(0, 4000, 200)
        length = 2 * gate - 1  # ms, of 200
        events = [(start, on(60)) for start in starts]
        events += [(s + length, off(60)) for i, s in enumerate(starts) if i not in lost]
        found = spans(parse_midi(smf(track(events, end=4000))))
        assert found == [
            (60, start, start + (200 if i in lost else length)) for i, start in enumerate(starts)
        ]

    @pytest.mark.parametrize("lost", range(8))
    def test_a_release_of_all_keys_at_the_end_does_not_make_up_for_one(self, lost: int) -> None:
        events = [(1000 * i, on(60)) for i in range(12)]
        events += [(1000 * i + 300, off(60)) for i in range(12) if i != lost]
        events += [(60_000, off(key)) for key in range(128)]
        assert spans(played(events)) == [
            (60, 1000 * i, 1000 * i + (1000 if i == lost else 300)) for i in range(12)
        ]

    def test_other_keys_channels_and_tracks_are_as_they_were(self) -> None:
        chain = flat(repeated([0, 500, 1000, 1500], 40, key=64))
        same_key = [
            (t, bytes([0, m[1] | 1, 60, m[3]])) for t, m in flat(repeated([0, 300, 900], 50))
        ]
        bad = [(0, on(60)), (400, on(60)), (700, off(60)), (800, on(60))]
        alone = played(chain + same_key, flat(repeated([0, 250, 350], 30)))
        with_bad = played(chain + same_key + bad, flat(repeated([0, 250, 350], 30)))
        bad_notes = {(60, 0, 400), (60, 400, 700), (60, 800, 1500)}
        assert set(spans(with_bad)) - bad_notes == set(spans(alone)) - bad_notes
        assert bad_notes <= set(spans(with_bad))

    def test_all_notes_off_in_another_track_ends_what_came_before(self) -> None:
        silence = [(1000, control(123, 0))]
        keys = [(0, on(60)), (1200, on(60)), (1300, off(60)), (1400, off(60))]
        assert spans(played(silence, keys)) == [(60, 0, 1000), (60, 1200, 1300)]


class TestEnds:
    # Nuked-SC55#41, wildmidi#176.
    @pytest.mark.parametrize("late_s", [1, 10, 3600, 7 * 3600, 200 * 3600])
    @pytest.mark.parametrize("kind", [0, 1, 2])
    def test_a_piece_ends_with_its_last_note(self, kind: int, late_s: int) -> None:
        data = note(60) + note(62) + number(1000 * late_s) + b"\xff\x2f\x00"
        score = parse_midi(header(1, kind=kind) + chunk(data))
        assert spans(score) == [(60, 0, 500), (62, 500, 1000)]
        assert score.duration_s == 1.0

    @pytest.mark.parametrize(
        "late",
        [
            *(control(7, 100), control(64, 127), control(64, 0), control(121, 0), control(120, 0)),
            *(off(61), control(123, 0), meta(0x03, b"end"), meta(0x51, b"\x07\xa1\x20")),
        ],
    )
    def test_what_ends_no_note_does_not_count(self, late: bytes) -> None:
        score = parse_midi(smf(track([(0, on(60)), (800, off(60)), (10**8, late)])))
        assert spans(score) == [(60, 0, 800)]

    @pytest.mark.parametrize("pedal", [64, 66])
    @pytest.mark.parametrize("late_s", [0, 3, 3600, 10 * 3600])
    def test_a_pedal_that_is_never_lifted_is_lifted_there(self, pedal: int, late_s: int) -> None:
        events = [(0, on(60)), (100, control(pedal, 127)), (300, off(60))]
        events += [(400, on(64, channel=1)), (900, off(64, channel=1))]
        score = parse_midi(smf(track(events, end=900 + 1000 * late_s)))
        assert spans(score) == [(60, 0, 900), (64, 400, 900)]

    def test_a_pedal_that_is_lifted_ends_its_notes(self) -> None:
        events = [(0, control(64, 127)), (0, on(60)), (500, off(60)), (7000, control(64, 0))]
        assert spans(played(events)) == [(60, 0, 7000)]

    @pytest.mark.parametrize(("end", "expected"), [(1500, 1500), (9000, 9000), (10**8, 11_000)])
    def test_a_key_that_is_never_released_ends_with_the_file_if_that_is_near(
        self, end: int, expected: int
    ) -> None:
        score = parse_midi(smf(track([(0, on(60)), (500, on(64)), (1000, off(64))], end=end)))
        assert spans(score) == [(60, 0, expected), (64, 500, 1000)]
        assert expected <= 1000 * (1 + LONGEST_HOLD_S)

    def test_the_next_sequence_of_type_2_does_not_wait_for_a_late_end(self) -> None:
        late = note(60) + meta(0x06, b"", 10**8)
        score = parse_midi(smf(late, note(62), kind=2))
        assert spans(score) == [(60, 0, 500), (62, 10_500, 11_000)]

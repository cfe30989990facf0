"""Piano rolls: exact frames and onsets, windows, and the MIDI that FluidSynth is given."""

from __future__ import annotations

from collections.abc import Iterable

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import FRAME_RATE
from timbrel.constants import N_PITCHES
from timbrel.corpus.soundfont import to_midi
from timbrel.errors import InputError
from timbrel.score import Note, PianoRoll, Score, Track
from timbrel.score.piano_roll import to_frames

FRAME_S = 1 / FRAME_RATE


def roll_of(notes: Iterable[Note], *, n_frames: int | None = None) -> PianoRoll:
    """A roll at the default models' frame rate."""
    return PianoRoll(notes, FRAME_RATE, n_frames=n_frames)


def note(pitch: int, start: float, stop: float, velocity: int = 127) -> Note:
    """A note whose times are counted in frames."""
    return Note(pitch, velocity, start * FRAME_S, stop * FRAME_S)


def filled(roll: np.ndarray) -> dict[tuple[int, int], float]:
    """(frame, channel) → value of all that is not zero."""
    return {(int(f), int(c)): float(roll[f, c]) for f, c in np.argwhere(roll)}


class TestByHand:
    def test_frames_are_below_88_and_onsets_above(self) -> None:
        roll = roll_of([note(21, 0, 3), note(108, 2, 4, velocity=64)]).whole()
        assert (roll.shape, roll.dtype) == ((4, 176), np.float32)
        quieter = float(np.float32(64 / 127))
        assert filled(roll) == {
            **{(0, 0): 1.0, (1, 0): 1.0, (2, 0): 1.0, (0, 88): 1.0},
            **{(2, 87): quieter, (3, 87): quieter, (2, 175): quieter},
        }

    def test_the_softest_note_is_not_silent(self) -> None:
        roll = roll_of([note(60, 0, 1, velocity=1)]).whole()
        assert roll[0, 60 - 21] == np.float32(1 / 127)

    def test_a_note_ends_before_the_frame_of_its_release(self) -> None:
        roll = roll_of([note(60, 1, 2), note(60, 2, 4)]).whole()[:, [39, 127]]
        assert roll.tolist() == [[0, 0], [1, 1], [1, 1], [1, 0]]

    @pytest.mark.parametrize("stop", [5.0, 5.2, 5.49, 6.0, 6.49])
    def test_a_note_has_one_frame_at_least(self, stop: float) -> None:
        assert filled(roll_of([note(60, 5, stop)]).whole()) == {(5, 39): 1.0, (5, 127): 1.0}

    def test_halves_of_frames_are_rounded_up(self) -> None:
        times_s = np.array(
            [0.0, 0.0039, 0.004, 0.0119, 0.012, 0.02, 0.028, -0.004, -0.0041, -0.008]
        )
        assert to_frames(times_s, FRAME_RATE).tolist() == [0, 0, 1, 1, 2, 3, 4, 0, -1, -1]

    @pytest.mark.parametrize("velocities", [(40, 80), (80, 40)])
    def test_the_louder_stands_where_notes_overlap(self, velocities: tuple[int, int]) -> None:
        first, second = velocities
        notes = [note(60, 0, 4, velocity=first), note(60, 2, 6, velocity=second)]
        frames = roll_of(notes).whole()[:, 39] * 127
        louder = max(velocities)
        assert frames.round(3).tolist() == [first, first, louder, louder, second, second]
        onsets = roll_of(notes).whole()[:, 127] * 127
        assert onsets.round(3).tolist() == [first, 0, second, 0, 0, 0]

    def test_the_louder_of_two_onsets_in_one_frame_stands(self) -> None:
        for loud_start, soft_start in ((0.0, 0.25), (0.25, 0.0), (0.0, 0.0)):
            notes = [note(60, loud_start, 2, velocity=90), note(60, soft_start, 3, velocity=30)]
            assert roll_of(notes).whole()[0, 127] == np.float32(90 / 127)

    def test_it_tells_when_a_note_sounds_next_and_when_the_last_one_ended(self) -> None:
        roll = roll_of([note(60, 10, 20), note(62, 12, 15), note(64, 40, 41), note(65, 40, 60)])
        first = {0: 10, 10: 10, 11: 11, 19: 19, 20: 40, 40: 40, 59: 59, 60: None, 99: None}
        assert {frame: roll.first_sounding(frame) for frame in first} == first
        last = {0: None, 10: None, 11: 20, 13: 20, 30: 20, 40: 20, 41: 60, 99: 60}
        assert {frame: roll.last_stop(frame) for frame in last} == last
        assert roll_of([]).first_sounding(0) is None
        assert roll_of([]).last_stop(9) is None

    @pytest.mark.parametrize("frame_rate", [100, 125, 500])
    def test_frames_are_as_long_as_the_frame_rate_says(self, frame_rate: int) -> None:
        roll = PianoRoll([Note(60, 127, 0.4, 1.0)], frame_rate).whole()
        assert roll.shape == (frame_rate, 176)
        assert np.flatnonzero(roll[:, 39]).tolist() == list(range(2 * frame_rate // 5, frame_rate))

    def test_a_note_that_began_before_0_has_frames_but_no_onset(self) -> None:
        assert filled(roll_of([note(60, -3, 2)]).whole()) == {(0, 39): 1.0, (1, 39): 1.0}

    def test_a_note_that_ended_before_0_leaves_nothing(self) -> None:
        roll = roll_of([note(60, -5, -2)], n_frames=3)
        assert not roll.whole().any()
        assert not roll.window(-6, 3).any()

    def test_the_length_is_that_of_the_last_note_or_what_is_asked_for(self) -> None:
        notes = [note(60, 0, 7), note(62, 2, 3)]
        assert len(roll_of(notes)) == 7
        assert len(roll_of(notes, n_frames=20)) == 20
        assert not roll_of(notes, n_frames=20).whole()[7:].any()
        short = roll_of(notes, n_frames=2)
        assert filled(short.whole()) == {(0, 39): 1.0, (0, 127): 1.0, (1, 39): 1.0}

    def test_no_notes_make_an_empty_roll(self) -> None:
        assert roll_of([]).whole().shape == (0, 176)
        assert filled(roll_of([], n_frames=4).whole()) == {}

    def test_the_order_of_notes_does_not_matter(self) -> None:
        notes = [note(60, 5, 9), note(64, 0, 20), note(60, 7, 8, velocity=3), note(21, 2, 4)]
        rolls = [roll_of(order).whole() for order in (notes, notes[::-1])]
        assert (rolls[0] == rolls[1]).all()

    @pytest.mark.parametrize("pitch", [-1, 0, 20, 109, 127])
    def test_pitches_outside_the_keyboard_are_refused(self, pitch: int) -> None:
        with pytest.raises(InputError, match="21–108"):
            roll_of([note(60, 0, 1), note(pitch, 0, 1)])


NOTES = st.lists(
    st.builds(
        note,
        st.integers(21, 108),
        st.floats(-20, 60),
        st.floats(-20, 80),
        st.integers(1, 127),
    ).map(lambda n: n._replace(end_s=max(n.start_s, n.end_s))),
    max_size=12,
)


class TestWindow:
    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(
        notes=NOTES,
        n_frames=st.none() | st.integers(0, 70),
        start=st.integers(-30, 100),
        length=st.integers(0, 60),
    )
    def test_a_window_is_a_part_of_the_whole(
        self, notes: list[Note], n_frames: int | None, start: int, length: int
    ) -> None:
        roll = roll_of(notes, n_frames=n_frames)
        # The whole between much that lies outside it, and is empty.
        around = np.pad(roll.whole(), ((200, 200), (0, 0)))
        expected = around[200 + start : 200 + start + length]
        window = roll.window(start, start + length)
        assert window.shape == (length, 176)
        assert (window[: len(expected)] == expected).all()
        assert not window[len(expected) :].any()

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(notes=NOTES, n_frames=st.none() | st.integers(0, 70))
    def test_the_whole_is_what_a_loop_over_frames_says(
        self, notes: list[Note], n_frames: int | None
    ) -> None:
        roll = roll_of(notes, n_frames=n_frames)
        expected = np.zeros((len(roll), 176), np.float32)
        for n in notes:
            first = int(np.floor(n.start_s * 125 + 0.5))
            last = max(int(np.floor(n.end_s * 125 + 0.5)), first + 1)
            value = np.float32(n.velocity / 127)
            for frame in range(first, last):
                for channel in (n.pitch - 21, n.pitch + 67)[: 2 if frame == first else 1]:
                    if 0 <= frame < len(roll):
                        expected[frame, channel] = max(expected[frame, channel], value)
        assert (roll.whole() == expected).all()

    def test_a_note_longer_than_the_roll_does_not_reach_into_a_window_behind_it(self) -> None:
        roll = roll_of([note(60, 5, 100)], n_frames=10)
        assert not roll.window(12, 30).any()
        assert filled(roll.window(8, 12)) == {(0, 39): 1.0, (1, 39): 1.0}

    def test_a_note_before_0_does_not_show_in_a_window_that_begins_earlier(self) -> None:
        assert filled(roll_of([note(60, -3, 1)]).window(-5, 3)) == {(5, 39): 1.0}

    def test_windows_in_a_row_are_the_whole(self) -> None:
        rng = np.random.default_rng(3)
        starts = np.sort(rng.uniform(0, 1000, 300))
        notes = [
            note(int(pitch), start, start + length, int(velocity))
            for start, pitch, length, velocity in zip(
                starts,
                rng.integers(21, 109, 300),
                rng.uniform(0, 90, 300),
                rng.integers(1, 128, 300),
                strict=True,
            )
        ]
        roll = roll_of(notes)
        parts = [roll.window(start, start + 64) for start in range(0, len(roll), 64)]
        assert (np.concatenate(parts)[: len(roll)] == roll.whole()).all()
        assert roll.whole()[:, N_PITCHES:].any(axis=1).sum() > 200


class TestToMidi:
    """What FluidSynth is given says what the roll says."""

    # Times in frames, a little after their beginning, so that none is near to a rounding.
    TRACKS = st.lists(
        st.lists(
            st.builds(
                lambda pitch, start, length, velocity: note(
                    pitch, start + 0.125, start + length + 0.125, velocity
                ),
                st.integers(58, 62),
                st.integers(0, 30),
                st.integers(0, 15),
                st.integers(1, 127),
            ),
            max_size=8,
        ),
        min_size=1,
        max_size=3,
    )

    @staticmethod
    def heard(midi: mido.MidiFile) -> list[Note]:
        """What FluidSynth plays: a key struck again, or released once, ends all that it plays."""
        notes, sounding, now_s, score_ends_s = [], {}, 0.0, 0.0
        for message in midi:
            now_s += message.time
            if message.type == "note_on":
                key = message.channel, message.note
                if begun := sounding.pop(key, None):
                    notes.append(begun._replace(end_s=now_s))
                if message.velocity:
                    sounding[key] = Note(message.note, message.velocity, now_s, now_s)
                    score_ends_s = now_s
        assert not sounding
        assert now_s > score_ends_s
        return notes

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(tracks=TRACKS, merge=st.booleans())
    def test_overlaps_and_short_notes_sound_as_long_as_in_the_roll(
        self, tracks: list[list[Note]], merge: bool
    ) -> None:
        score = Score(
            tuple(
                Track("some", 0, i, tuple(sorted(notes, key=lambda n: (n.start_s, n.pitch))))
                for i, notes in enumerate(tracks)
            )
        )
        midi = to_midi(score.merged() if merge else score, program=3)
        expected = roll_of(score.notes)
        actual = roll_of(self.heard(midi), n_frames=len(expected))
        assert ((actual.whole() > 0) == (expected.whole() > 0)).all()
        programs = [message.program for message in midi if message.type == "program_change"]
        assert programs == [3] * len({message.channel for message in midi if is_struck(message)})

    def test_a_release_does_not_cut_another_note_of_its_key(self) -> None:
        notes = (note(60, 0, 125), note(60, 50, 250))
        heard = self.heard(to_midi(Score((Track("some", 0, 0, notes),)), 0))
        assert [(round(n.start_s, 6), round(n.end_s, 6)) for n in heard] == [(0.0, 0.4), (0.4, 2.0)]

    def test_the_tracks_of_one_channel_do_not_cut_one_another(self) -> None:
        tracks = (
            Track("right", 0, 0, (note(60, 0, 125),)),
            Track("left", 0, 0, (note(60, 50, 250),)),
        )
        heard = self.heard(to_midi(Score(tracks), 0))
        assert sorted(round(n.end_s, 6) for n in heard) == [1.0, 2.0]

    def test_the_channel_of_drums_stays_free(self) -> None:
        tracks = tuple(Track("some", 0, 0, (note(60, i, i + 1),)) for i in range(20))
        midi = to_midi(Score(tracks), 0)
        channels = {message.channel for message in midi if is_struck(message)}
        assert channels == set(range(16)) - {9}
        assert len(self.heard(midi)) == 20


def is_struck(message: mido.Message) -> bool:
    return message.type == "note_on" and message.velocity > 0

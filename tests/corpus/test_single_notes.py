"""Scores in which every key sounds alone."""

import itertools

from timbrel.corpus.presets import Preset
from timbrel.corpus.single_notes import single_notes


def strokes(midi) -> list[tuple[float, float, int]]:
    """Onset, release and key of each note."""
    now, held, found = 0.0, {}, []
    for message in midi:
        now += message.time
        if message.type == "note_on" and message.velocity:
            held[message.note] = now
        elif message.type in ("note_off", "note_on"):
            found.append((held.pop(message.note), now, message.note))
    return sorted(found)


def test_every_key_of_a_piano_sounds_alone_and_rings_out() -> None:
    notes = strokes(single_notes(Preset("Violin", 40, 0), 0))
    keys = {key for _, _, key in notes}
    assert set(range(21, 109)) < keys
    assert len(keys) > 91  # and some beyond a piano's
    gaps = [after[0] - before[1] for before, after in itertools.pairwise(notes)]
    assert min(gaps) > 2.09


def test_the_same_numbers_give_the_same_score() -> None:
    first, again, other = (single_notes(Preset("Violin", 40, 0), n) for n in (0, 0, 1))
    assert strokes(first) == strokes(again) != strokes(other)

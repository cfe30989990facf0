"""Damaged MIDI files: each is a score or an `InputError`, soon, and in little memory.

``FUZZ_CASES`` says how many; ``make fuzz`` feeds ten thousand.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import os
import random
import struct
import time
import tracemalloc
from pathlib import Path

import mido
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import FRAME_RATE
from timbrel.errors import InputError
from timbrel.score import PianoRoll, Score
from timbrel.score.midi import MAX_DURATION_S, parse_midi

EXAMPLES = Path(__file__).parents[2] / "src" / "timbrel" / "examples"
CASES = int(os.environ.get("FUZZ_CASES", "300"))
LONGEST_S = 2.0
# Damage can make a file hold more notes than it did, but not many more than it has bytes.
MOST_MEMORY = 8 * 2**20


def all_kinds() -> bytes:
    """A file with every kind of message that a MIDI file may hold."""
    first = [
        mido.MetaMessage("track_name", name="first"),
        mido.MetaMessage("set_tempo", tempo=400_000),
        mido.MetaMessage("time_signature", numerator=3, denominator=4),
        mido.MetaMessage("key_signature", key="Bb"),
        mido.MetaMessage("smpte_offset", hours=1),
        mido.MetaMessage("sequencer_specific", data=(1, 2, 3)),
        mido.Message("sysex", data=(1, 2, 3)),
        *(mido.Message("control_change", control=c, value=100, time=9) for c in (7, 10, 11, 64)),
        *(mido.Message("control_change", control=c, value=80, time=9) for c in (66, 120, 121, 123)),
        mido.MetaMessage("set_tempo", tempo=600_000, time=99),
    ]
    second = []
    for pitch in range(15, 115, 5):
        second.append(mido.Message("program_change", program=pitch, time=3))
        second.append(mido.Message("note_on", note=pitch, velocity=pitch, time=20))
        second.append(mido.Message("note_on", note=pitch, velocity=90, channel=9))
        second.append(mido.Message("pitchwheel", pitch=pitch, time=3))
        second.append(mido.Message("aftertouch", value=pitch, time=3))
        second.append(mido.Message("polytouch", note=pitch, value=pitch, time=3))
        second.append(mido.Message("note_off", note=pitch, time=20))
    file = io.BytesIO()
    tracks = [mido.MidiTrack(first), mido.MidiTrack(second)]
    mido.MidiFile(type=1, ticks_per_beat=96, tracks=tracks).save(file=file)
    return file.getvalue()


SEEDS = {
    "prelude.mid": (EXAMPLES / "prelude.mid").read_bytes(),
    "duet.mid": (EXAMPLES / "duet.mid").read_bytes(),
    "all kinds": all_kinds(),
}


def flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        data[rng.randrange(len(data))] = rng.randrange(256)


def flip_bit(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def insert(data: bytearray, rng: random.Random) -> None:
    at, length = rng.randrange(len(data)), rng.choice((1, 2, 3, 100, 5000))
    noise = rng.choice((b"\xff", b"\x80", b"\x00", b"\x7f", rng.randbytes(1), b"\x00\x90\x3c\x40"))
    data[at:at] = rng.randbytes(length) if rng.random() < 0.5 else noise * length


def delete(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 3, 50))]


def repeat(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = data[at : at + rng.choice((3, 50, 500))] * rng.choice((1, 2, 20))


def change_length(data: bytearray, rng: random.Random) -> None:
    """Change the length that a chunk says it has."""
    chunks = [at for at in range(len(data) - 8) if data[at : at + 4] in (b"MThd", b"MTrk")]
    if not chunks:  # an earlier damage spoilt their names
        return
    at = rng.choice(chunks)
    (length,) = struct.unpack(">L", data[at + 4 : at + 8])
    wrong = rng.choice((0, 1, 5, length - 1, length + 1, length + 8, 2**31, 2**32 - 1))
    data[at + 4 : at + 8] = struct.pack(">L", max(wrong, 0) & 0xFFFFFFFF)


def change_header(data: bytearray, rng: random.Random) -> None:
    """Change type, number of tracks or division."""
    value = rng.choice((0, 1, 2, 3, 0x7FFF, 0x8000, 0xE728, 0xE200, 0xFFFF, rng.randrange(65536)))
    at = rng.choice((8, 10, 12))
    data[at : at + 2] = struct.pack(">H", value)


def change_delta(data: bytearray, rng: random.Random) -> None:
    """Write some other delta time before what looks like an event."""
    events = [
        at for at in range(23, len(data)) if data[at] in (0x80, 0x90, 0xB0, 0xFF) or at % 16 == 0
    ]
    delta = rng.choice(
        (b"\xff\xff\xff\x7f", b"\x80\x80\x80\x00", b"\x87\x68", b"\xff" * 9, b"\x7f")
    )
    at = rng.choice(events)
    data[at - 1 : at] = delta


def change_tempo(data: bytearray, rng: random.Random) -> None:
    tempo = rng.choice((0, 1, 1000, 0xFFFFFF, rng.randrange(2**24)))
    data[22:22] = b"\x00\xff\x51\x03" + tempo.to_bytes(3, "big")


MUTATIONS = (
    *(flip, flip_bit, truncate, insert, delete, repeat),
    *(change_length, change_header, change_delta, change_tempo),
)


def mutant(seed: int) -> tuple[str, bytes]:
    """A damaged file, always the same for one seed, and how it came about."""
    rng = random.Random(seed)
    name = rng.choice(list(SEEDS))
    data = bytearray(SEEDS[name])
    steps = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if len(data) < 32:
            break
        step = rng.choice(MUTATIONS)
        step(data, rng)
        steps.append(step.__name__)
    return f"seed {seed}: {name}, {', '.join(steps)}", bytes(data)


def read(data: bytes, story: str) -> Score | None:
    """The score, or None for an `InputError`; anything else fails the test and tells the story."""
    began_s = time.process_time()
    try:
        score = parse_midi(data, name="fuzz.mid")
    except InputError as error:
        score = None
        message = str(error)
        assert message.startswith("fuzz.mid: "), f"{story}: {message!r}"
        assert "\n" not in message, f"{story}: {message!r}"
    except Exception as error:
        pytest.fail(f"{story}: {type(error).__name__}: {error}")
    took_s = time.process_time() - began_s
    assert took_s < LONGEST_S, f"{story}: took {took_s:.1f} s"
    if score is not None:
        check(score, story)
    return score


def check(score: Score, story: str) -> None:
    """What a score promises."""
    for track in score.tracks:
        assert track.notes, story
        assert 0 <= track.program < 128, story
        assert 0 <= track.channel < 16, story
        assert list(track.notes) == sorted(track.notes, key=lambda n: (n.start_s, n.pitch)), story
        for note in track.notes:
            assert 21 <= note.pitch <= 108, f"{story}: {note}"
            assert 1 <= note.velocity <= 127, f"{story}: {note}"
            assert 0 <= note.start_s <= note.end_s <= MAX_DURATION_S, f"{story}: {note}"
        for curve, low, high in ((track.gain, 0, 1.27**2 + 1e-9), (track.pan, -1, 1)):
            assert list(curve.times_s) == sorted(curve.times_s), story
            assert all(low <= v <= high and math.isfinite(v) for v in curve.values), story
    roll = PianoRoll(score.notes, FRAME_RATE)
    start = random.Random(len(roll)).randrange(len(roll) + 1)
    window = roll.window(start, start + 8)
    assert window.min() >= 0, story
    assert window.max() <= 1, story


def test_damaged_files_are_read_or_refused() -> None:
    outcomes = {True: 0, False: 0}
    for seed in range(CASES):
        story, data = mutant(seed)
        outcomes[read(data, story) is not None] += 1
    # The damage is neither so light nor so heavy that one branch only is tried.
    assert outcomes[True] > CASES / 10, outcomes
    assert outcomes[False] > CASES / 10, outcomes


def test_damaged_files_take_little_memory() -> None:
    tracemalloc.start()
    try:
        for seed in range(min(CASES, 300)):
            story, data = mutant(seed)
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            with contextlib.suppress(InputError):
                parse_midi(data)
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < MOST_MEMORY + 500 * len(data), f"{story}: {peak - before} bytes"
    finally:
        tracemalloc.stop()


ROUNDS = settings(
    max_examples=max(CASES // 3, 20),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


@ROUNDS
@given(data=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read(data, repr(data))


@ROUNDS
@given(
    kind=st.integers(0, 3),
    division=st.integers(0, 0xFFFF),
    tracks=st.lists(st.binary(max_size=120), max_size=4),
)
def test_any_bytes_in_tracks_are_read_or_refused(
    kind: int, division: int, tracks: list[bytes]
) -> None:
    chunks = [b"MTrk" + struct.pack(">L", len(track)) + track for track in tracks]
    data = b"MThd" + struct.pack(">LHHH", 6, kind, len(tracks), division) + b"".join(chunks)
    read(data, repr(data))


CHANNEL_MESSAGES = st.one_of(
    st.tuples(st.integers(0x80, 0x9F), st.integers(55, 65), st.integers(0, 127)),
    st.tuples(
        st.integers(0xB0, 0xB2),
        st.sampled_from([7, 10, 11, 64, 66, 120, 121, 123]),
        st.integers(0, 127),
    ),
    st.tuples(st.integers(0xC0, 0xC2), st.integers(0, 127)),
)


@ROUNDS
@given(
    tracks=st.lists(
        st.lists(st.tuples(st.integers(0, 127), CHANNEL_MESSAGES), max_size=60),
        min_size=1,
        max_size=3,
    ),
    kind=st.integers(1, 2),
)
def test_no_playing_loses_a_note(tracks: list, kind: int) -> None:
    chunks, struck = [], 0
    for events in tracks:
        data = b"".join(bytes([delta, *message]) for delta, message in events)
        chunks.append(b"MTrk" + struct.pack(">L", len(data)) + data)
        struck += sum(m[0] >> 4 == 9 and m[2] > 0 for _, m in events)
    data = b"MThd" + struct.pack(">LHHH", 6, kind, len(tracks), 480) + b"".join(chunks)
    score = read(data, repr(data))
    assert score is not None
    assert score.n_notes + score.unplayable_notes == struck
    # A key of one track sounds once at a time.
    for track in score.tracks:
        for pitch in {note.pitch for note in track.notes}:
            notes = [note for note in track.notes if note.pitch == pitch]
            assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(notes))

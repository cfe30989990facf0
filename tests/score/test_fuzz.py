"""Damaged MIDI files: each is a score or an `InputError`, soon, and in little memory.

``FUZZ_CASES`` says how many; ``make fuzz`` feeds ten thousand, and files as large as are read.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.midi_bytes import chunk, header
from support.midi_fuzz import LARGE, MOST_MEMORY, read
from timbrel.score.container import MAX_FILE_BYTES

CASES = int(os.environ.get("FUZZ_CASES", "300"))
CASES_IN_PROCESS = 500
MANY = CASES >= 10_000
LARGE_BYTES = MAX_FILE_BYTES if MANY else 2**17
TESTS = Path(__file__).parents[1]


def fuzzed(*arguments: object) -> Counter[str]:
    """What the program of `support.midi_fuzz` counts."""
    done = subprocess.run(
        [sys.executable, "-m", "support.midi_fuzz", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        # Each thread of a BLAS takes addresses of its own.
        env={**os.environ, "PYTHONPATH": str(TESTS), "OPENBLAS_NUM_THREADS": "1"},
        timeout=3600,
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-3000:]}"
    return Counter(json.loads(done.stdout))


@pytest.mark.parametrize("first", range(0, CASES, CASES_IN_PROCESS))
def test_damaged_files_are_read_or_refused(first: int) -> None:
    n = min(CASES_IN_PROCESS, CASES - first)
    outcomes = fuzzed(first, first + n)
    assert outcomes["read"] + outcomes["warned"] + outcomes["refused"] == n
    # The damage is neither so light nor so heavy that one branch only is tried.
    assert outcomes["read"] > n / 10, outcomes
    assert outcomes["warned"] > n / 10, outcomes
    assert outcomes["refused"] > n / 50, outcomes
    assert outcomes["peak_bytes"] < MOST_MEMORY


@pytest.mark.parametrize("which", LARGE if MANY else ["all"])
def test_large_files_are_read_or_refused(which: str) -> None:
    outcomes = fuzzed(which, LARGE_BYTES)
    assert outcomes["peak_bytes"] < MOST_MEMORY
    n_files = sum(outcomes.values()) - outcomes["peak_bytes"]
    assert n_files == (1 if MANY else len(LARGE))


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
    division=st.integers(-0x8000, 0x7FFF),
    tracks=st.lists(st.binary(max_size=120), max_size=4),
)
def test_any_bytes_in_tracks_are_read_or_refused(
    kind: int, division: int, tracks: list[bytes]
) -> None:
    data = header(len(tracks), kind=kind, division=division) + b"".join(map(chunk, tracks))
    read(data, repr(data))


CHANNEL_MESSAGES = st.one_of(
    st.tuples(st.integers(0x80, 0x9F), st.integers(55, 65), st.integers(0, 127)),
    st.tuples(
        st.integers(0xB0, 0xB2),
        st.sampled_from([0, 7, 10, 11, 64, 66, 120, 121, 123]),
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
    parts, struck = [], 0
    for events in tracks:
        parts.append(chunk(b"".join(bytes([delta, *message]) for delta, message in events)))
        struck += sum(m[0] >> 4 == 9 and m[2] > 0 for _, m in events)
    data = header(len(tracks), kind=kind, division=480) + b"".join(parts)
    score = read(data, repr(data))
    assert score is not None
    assert score.n_notes + score.unplayable_notes == struck
    n_drum_notes = sum(len(track.notes) for track in score.drum_tracks)
    assert n_drum_notes == score.unplayable.get("drum_notes", 0)
    # A key of one track sounds once at a time.
    for track in score.tracks:
        for pitch in {note.pitch for note in track.notes}:
            notes = [note for note in track.notes if note.pitch == pitch]
            assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(notes))

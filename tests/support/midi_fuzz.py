"""Damaged MIDI files, and a program that reads many of them in little memory.

``python -m support.midi_fuzz FIRST STOP`` reads the files of these seeds and counts, in JSON.
``python -m support.midi_fuzz NAME BYTES`` reads one large file of `LARGE`, or "all" of them.
"""

from __future__ import annotations

import json
import math
import random
import resource
import signal
import struct
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from support.midi_bytes import (
    END,
    GM_ON,
    GS_RESET,
    XG_ON,
    bend,
    chunk,
    control,
    device,
    event,
    header,
    macbinary,
    master_volume,
    meta,
    name,
    number,
    off,
    on,
    parameter,
    port,
    program,
    riff,
    roland,
    smf,
    yamaha,
)
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.score import Automation, PianoRoll, Score
from timbrel.score.midi import MAX_DURATION_S, parse_midi

EXAMPLES = Path(__file__).parents[2] / "src" / "timbrel" / "examples"
MOST_MEMORY = 600 * 2**20  # of addresses, for the whole process
LONGEST_S = 10.0  # of computing, for one small file
LONGEST_FOR_LARGE_S = 300.0


def all_kinds() -> bytes:
    """A file with every kind of message that is understood, and with others."""
    first = name("first") + meta(0x51, b"\x06\x1a\x80") + meta(0x58, b"\3\2\x18\x08")
    first += meta(0x59, b"\xfe\0") + meta(0x54, b"\1\0\0\0\0") + meta(0x7F, b"\1\2\3")
    first += GM_ON + GS_RESET + XG_ON + port(1) + device("second") + port(0)
    first += b"".join(control(kind, 100, 9) for kind in (7, 10, 11, 64, 66, 67, 91, 93, 1, 74))
    first += b"".join(control(kind, 80, 9) for kind in (66, 120, 121, 123, 126, 127))
    first += parameter(0, 12, 50) + parameter(1, 70, 3) + parameter(2, 60)
    first += (
        master_volume(0x3000, 40) + roland(0x40, 0x11, 0x15, 1) + roland(0x40, 0, 0, 0, 4, 1, 2)
    )
    first += (
        yamaha(8, 3, 7, 2) + yamaha(0, 0, 6, 0x45) + b"\0\xf7\2\xf3\1" + meta(0x51, b"\x09\0\0", 9)
    )
    second = port(1) + control(0, 127, channel=2) + program(0, channel=2)
    for pitch in range(15, 115, 5):
        second += program(pitch, 3) + on(pitch, 20, velocity=pitch) + on(pitch, channel=9)
        second += on(pitch, channel=2) + bend(pitch, 3) + event(3, 0xD0, pitch)
        second += event(3, 0xA0, pitch, pitch) + event(1, 0xF8) + off(pitch, 20)
    return smf(first, second, division=96)


SEEDS = {
    "prelude.mid": (EXAMPLES / "prelude.mid").read_bytes(),
    "duet.mid": (EXAMPLES / "duet.mid").read_bytes(),
    "all kinds": all_kinds(),
    "in RIFF": riff(b"RIFF", b"RMID" + riff(b"DISP", b"abc") + riff(b"data", all_kinds())),
    "MacBinary": macbinary(all_kinds(), rest=bytes(64)),
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
    chunks = [at for at in range(len(data) - 8) if data[at : at + 4] in (b"MThd", b"MTrk", b"data")]
    if not chunks:  # an earlier damage spoilt their names
        return
    at = rng.choice(chunks)
    (length,) = struct.unpack(">L", data[at + 4 : at + 8])
    wrong = rng.choice((0, 1, 5, length - 1, length + 1, length + 8, 2**31, 2**32 - 1))
    data[at + 4 : at + 8] = struct.pack(">L", max(wrong, 0) & 0xFFFFFFFF)


def change_header(data: bytearray, rng: random.Random) -> None:
    """Change type, number of tracks or division."""
    value = rng.choice((0, 1, 2, 3, 0x7FFF, 0x8000, 0xE728, 0xE200, 0xFFFF, rng.randrange(65536)))
    at = max(data.find(b"MThd"), 0) + rng.choice((8, 10, 12))
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
    at = max(data.find(b"MTrk"), 0) + 8
    data[at:at] = b"\x00\xff\x51\x03" + tempo.to_bytes(3, "big")


MUTATIONS = (
    *(flip, flip_bit, truncate, insert, delete, repeat),
    *(change_length, change_header, change_delta, change_tempo),
)


def mutant(seed: int) -> tuple[str, bytes]:
    """A damaged file, always the same for one seed, and how it came about."""
    rng = random.Random(seed)
    which = rng.choice(list(SEEDS))
    data = bytearray(SEEDS[which])
    steps = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if len(data) < 32:
            break
        step = rng.choice(MUTATIONS)
        step(data, rng)
        steps.append(step.__name__)
    return f"seed {seed}: {which}, {', '.join(steps)}", bytes(data)


def large_files(size: int) -> dict[str, Callable[[], bytes]]:
    """Files of some size that cost most of something, by what that is."""

    def track(block: bytes, before: bytes = b"", share: float = 1.0) -> bytes:
        return chunk(before + block * int((share * size - len(before) - 30) // len(block)))

    def held() -> bytes:
        keys = bytes(byte for pitch in range(22, 109) for byte in (0, pitch, 64))
        channels = [channel for channel in range(16) if channel != 9]
        block = b"".join(on(21, channel=channel) + keys for channel in channels)
        n = size // (len(block) + 8)
        return header() + chunk(b"".join(device(f"{i:4}") + block for i in range(n)))

    def faded() -> bytes:
        volumes = b"".join(master_volume(v << 7, 1) for v in range(100))
        channels = b"".join(
            port(p) + b"".join(program(1, channel=c) + on(60, channel=c) for c in range(9))
            for p in range(128)
        )
        return header() + track(volumes, before=channels)

    one = on(60)
    small = chunk(one)
    pedals = b"".join(control(kind, value, 1) for kind in (66, 64) for value in (127, 0))
    return {
        "notes": lambda: header() + track(bytes([1, 60, 64, 0, 62, 64]), before=one),
        "keys that are held": held,
        "notes of drums": lambda: header() + track(bytes([1, 60, 64]), before=on(36, channel=9)),
        "controllers": lambda: header() + track(bytes([1, 7, 64]), before=one + control(7, 1)),
        "bends": lambda: header() + track(bytes([1, 7, 64]), before=one + bend(5)),
        "programs": lambda: header() + track(bytes([1, 7]), before=one + program(1)),
        "tracks without events": lambda: header(1) + chunk(b"") * (size // 8 - 4),
        "tracks of one note": lambda: header(1) + small * (size // len(small) - 4),
        "sequences": lambda: header(1, kind=2) + small * (size // len(small) - 4),
        "a key that is held by many tracks": lambda: (
            header(2) + small * (size // 2 // len(small)) + track(one, share=0.45)
        ),
        "pedals while keys are held": lambda: (
            header(2) + small * (size // 2 // len(small)) + track(pedals, share=0.45)
        ),
        "resets": lambda: header() + track(GM_ON + control(7, 9, 1) + control(7, 9, channel=1)),
        "volumes of all channels": faded,
        "names": lambda: header() + track(name(b""), before=one),
        "one name": lambda: header() + chunk(name(b"\xe4" * (size - 60)) + one),
        "packets": lambda: header() + track(b"\0\xf7\1\x41", before=b"\0\xf0\1\x41"),
        "wrong lengths": lambda: header(1) + chunk(one, length=3) * (size // len(small) - 4),
        "lengths to the end": lambda: (
            header(1)
            + b"".join(chunk(one + END, length=16 * i - 8) for i in range(size // 16 - 4, 0, -1))
        ),
        "chunks that are none": lambda: header(1) + b"MTr" * (size // 3 - 10),
        "times": lambda: header() + chunk(one + number(0, length=5) * (size // 5 - 10)),
        "chunks of RIFF": lambda: b"RIFF\0\0\0\0RMID" + b"abcd\0\0\0\0" * (size // 8),
    }


LARGE = tuple(large_files(2**16))


def check(score: Score, story: str) -> None:
    """What a score promises."""
    for track in (*score.tracks, *score.drum_tracks):
        assert track.notes, story
        assert 0 <= track.program < 128, story
        assert 0 <= track.channel < 16, story
        assert list(track.notes) == sorted(track.notes, key=lambda n: (n.start_s, n.pitch)), story
        for note in track.notes:
            assert 0 <= note.pitch <= 127, f"{story}: {note}"
            assert 1 <= note.velocity <= 127, f"{story}: {note}"
            assert 0 <= note.start_s <= note.end_s <= MAX_DURATION_S, f"{story}: {note}"
        check_curve(track.gain, 0, 1.27**2 + 1e-9, story)
        if track.pan is not None:
            check_curve(track.pan, -1, 1, story)
        check_curve(track.reverb, 0, 1, story)
        check_curve(track.chorus, 0, 1, story)
        check_curve(track.bend, -129, 129, story)
        check_curve(track.tuning, -4, 4, story)
    pitches = (note.pitch for track in score.tracks for note in track.notes)
    assert all(21 <= pitch <= 108 for pitch in pitches), story
    assert all(words and words.isprintable() for words in score.warnings), story
    assert all(count > 0 for count in score.unplayable.values()), story
    assert score.left_out.isprintable(), story
    roll = PianoRoll(
        max((track.notes for track in score.tracks), key=len, default=()), MelConfig().frame_rate
    )
    start = random.Random(len(roll)).randrange(len(roll) + 1)
    window = roll.window(start, start + 8)
    assert window.min() >= 0, story
    assert window.max() <= 1, story


def check_curve(curve: Automation, low: float, high: float, story: str) -> None:
    assert list(curve.times_s) == sorted(set(curve.times_s)), story
    assert curve.times_s[0] == 0, story
    assert all(low <= v <= high and math.isfinite(v) for v in curve.values), story


def read(data: bytes, story: str) -> Score | None:
    """The score, or None for an `InputError`."""
    try:
        score = parse_midi(data, name="fuzz.mid")
    except InputError as error:
        message = str(error)
        assert message.startswith("fuzz.mid: "), f"{story}: {message!r}"
        assert message.isprintable(), f"{story}: {message!r}"
        return None
    except Exception as error:
        raise AssertionError(f"{story}: {type(error).__name__}: {error}") from error
    check(score, story)
    return score


def main() -> None:
    """Read files under a limit of memory, and each in limited time of computing."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    outcomes: Counter[str] = Counter()
    first, stop = sys.argv[1:]
    if first.isdecimal():
        files = (mutant(seed) for seed in range(int(first), int(stop)))
        longest_s = LONGEST_S
    else:
        names = LARGE if first == "all" else (first,)
        files = ((name, large_files(int(stop))[name]()) for name in names)
        longest_s = LONGEST_FOR_LARGE_S
    for story, data in files:
        # Time of this process alone: a machine that is busy with others does not end it.
        signal.setitimer(signal.ITIMER_VIRTUAL, longest_s)
        print(story, file=sys.stderr)
        score = read(data, story)
        outcomes["refused" if score is None else "warned" if score.warnings else "read"] += 1
    print(json.dumps({"peak_bytes": peak_bytes(), **outcomes}))


def peak_bytes() -> int:
    """The most memory that this process has taken.

    `resource.getrusage` would count what the process that began it had taken, too.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main()

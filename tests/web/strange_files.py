"""MIDI files as strangers' programs write them, for Python and the page to agree on."""

from __future__ import annotations

from support import midi_bytes as raw
from support.midi_bytes import END, chunk, control, header, name, note, off, on, port, program, smf


def two_ports() -> bytes:
    """FF 21 and FF 09; a track without either; XG parts and GS blocks above 16."""
    second = port(1) + raw.device("A") + program(56) + raw.tune(72, 74) + raw.tune(36, channel=9)
    third = raw.device("B") + program(19) + raw.tune(50)
    parts = raw.yamaha(8, 0x12, 7, 1) + raw.roland(0x50, 0x14, 0x15, 1) + control(7, 64)
    last = port(1) + raw.tune(38, channel=2) + raw.tune(40, channel=3)
    return smf(parts, raw.device("A") + raw.tune(), second, third, last)


def drums() -> bytes:
    """All ways to make a channel drums, and to make channel 10 something else."""
    banks = b"".join(
        control(0, bank, channel=channel) + program(channel, channel=channel)
        for channel, bank in ((0, 127), (1, 126), (2, 120), (3, 8), (9, 121))
    )
    played = b"".join(note(40 + channel, channel=channel) for channel in (0, 1, 2, 3, 9))
    back = control(0, 0) + program(5) + control(0, 120, channel=9) + program(0, channel=9)
    gs = raw.GS_RESET + raw.roland(0x40, 0x11, 0x15, 2) + raw.roland(0x40, 0x10, 0x15, 0)
    gs += control(0, 127, channel=1) + program(1, channel=1)
    xg = raw.XG_ON + raw.yamaha(8, 4, 7, 1) + control(0, 127, channel=5) + program(0, channel=5)
    more = b"".join(note(60 + channel, channel=channel) for channel in (4, 5, 9))
    return smf(raw.GM2_ON + banks + played + back + played + gs + played + xg + more)


def tunings() -> bytes:
    """Everything that tunes or shifts keys, bends with ranges, and volumes of the whole device."""
    first = raw.parameter(2, 69, 0) + note(60) + raw.parameter(1, 50, 7) + note(60)
    first += raw.exclusive(0x7F, 0x7F, 4, 4, 0, 0x43) + raw.exclusive(0x7F, 0x7F, 4, 3, 9, 0x3B)
    first += note(60) + raw.roland(0x40, 0, 5, 0x3E) + raw.roland(0x40, 0x11, 0x16, 0x45) + note(60)
    first += raw.yamaha(0, 0, 6, 0x41) + raw.yamaha(8, 0, 8, 0x42) + note(60) + note(105)
    first += raw.roland(0x40, 0, 0, 0, 4, 0xC, 5) + note(60) + raw.GM_ON + note(60)
    second = raw.parameter(0, 12, 33, channel=1) + control(7, 90, channel=1)
    for i in range(12):
        second += on(50 + i, 50, channel=1) + raw.bend(600 * i - 4000, 111, channel=1)
        second += raw.master_volume((9 * i + 20) << 7, 33) + off(50 + i, 77, channel=1)
    second += control(121, 0, channel=1) + note(70, channel=1)
    return smf(first, second)


def expressive() -> bytes:
    """Bends, vibrato, scales and tunings, two kits, and a part that nothing moves."""
    scale = [0x40 + cents for cents in (0, -12, 4, 16, -14, 2, -10, 2, 14, -16, 18, -12)]
    pairs = [part for cents in range(-30, 30, 5) for part in divmod(8192 + 82 * cents, 128)]
    glide = program(40) + raw.parameter(0, 12, 0) + on(60, velocity=96)
    glide += b"".join(raw.bend(170 * i, 23) for i in range(-8, 40)) + off(60, 90)
    glide += control(1, 64, 40) + on(67, 3, velocity=80) + control(1, 127, 333) + off(67, 400)
    glide += raw.bend(-2048, 7) + on(72, velocity=50) + control(121, 0, 450) + off(72, 150)
    glide += note(72, 3) + note(72, 80)
    pads = program(88, channel=1) + raw.parameter(1, 72, 5, channel=1)
    pads += raw.exclusive(0x7F, 0x7F, 8, 8, 0, 0, 0x02, *scale) + control(1, 90, channel=1)
    chord = (48, 55, 64, 70)
    pads += b"".join(on(key, 11, channel=1, velocity=70) for key in chord)
    pads += b"".join(off(key, 300, channel=1) for key in chord) + raw.parameter(2, 62, 0, channel=1)
    pads += raw.exclusive(0x7E, 0x7F, 8, 9, 0, 0, 0x06, *pairs) + note(58, 480, channel=1)
    pads += raw.exclusive(0x7F, 0x7F, 4, 3, 0, 0x48) + note(61, 480, channel=1)
    pads += raw.exclusive(0x7F, 0x7F, 8, 8, 0, 0, 0x02, *scale[:5]) + note(63, 300, channel=1)
    plain = program(73, channel=2) + b"".join(note(79 - i, 130, channel=2) for i in range(9))
    beat = b"".join(
        on(key, 60, channel=9, velocity=60 + 5 * i) + off(key, 25, channel=9)
        for i, key in enumerate((36, 42, 38, 46, 36, 36, 38, 49, 5, 120, 36))
    )
    kits = program(25, channel=9) + beat + program(33, channel=9) + raw.bend(900, channel=9) + beat
    return smf(glide, pads, plain, kits)


def unplayable() -> bytes:
    """All that is counted."""
    track = b"".join(raw.event(3, 0xD0, v) + raw.event(3, 0xA0, 60, v) for v in (0, 1, 127))
    for kind in range(128):
        for value in (0, 63, 64, 127):
            track += control(kind, value, 1)
    track += control(99, 1) + control(98, 8) + control(6, 3)
    track += raw.exclusive(0x7E, 0, 8, 8, 3, 0x7F, 0x7F, *range(60, 72)) + raw.tune()
    return smf(track + note(5) + raw.GM_ON + raw.tune(36, channel=9))


def note_offs() -> bytes:
    """Note-offs that are missing, late, doubled, or those of all keys at the end."""
    chain = on(60) + 3 * (on(60, 480) + off(60, 5)) + control(123, 0, 300)
    lost = on(62) + note(62, 300, rest=700) + note(62, 200, rest=100) + 6 * note(62, 80, rest=300)
    gate = on(64) + 8 * (on(64, 250) + off(64, 120)) + off(64, 500)
    panic = b"".join(off(key, 90 * (key == 0)) for key in range(128))
    held = on(66) + control(64, 127, 50) + note(68, 200) + raw.meta(6, b"", 10**7)
    return smf(chain, lost + gate + raw.event(20_000, 0xB0, 7, 90) + panic, held)


def damaged() -> bytes:
    """Garbage before the header, a wrong number of tracks, wrong lengths, bytes between, damage."""
    tracks = chunk(raw.tune() + END, length=40) + b"between" + chunk(note(50) + b"\x20\xfe" + END)
    tracks += chunk(name("cut here") + note(52) + b"\0\xf4" + note(53)) + chunk(
        note(54) + END, b"XXXX"
    )
    tracks += chunk(on(55) + raw.number(700, length=5) + bytes([0x80, 0xFA, 55, 0xF8, 1]) + END)
    return b"garbage" + header(9) + tracks + chunk(note(56, 2000), length=5000)


def in_riff() -> bytes:
    """MIDI in RIFF, after a chunk of odd length and before another."""
    return raw.riff(
        b"RIFF",
        b"RMID"
        + raw.riff(b"DISP", b"abc")
        + raw.riff(b"data", smf(raw.tune()))
        + b"LIST\4\0\0\0INFO",
    )


def in_macbinary() -> bytes:
    """MIDI after a MacBinary header, before resources."""
    return raw.macbinary(smf(raw.tune()), rest=b"\0\1resources")


NAMES = (
    b"Lead\x1b]0;renamed\x07\n\x1b[31mred",
    "信号 ピアノ".encode("shift-jis"),
    "ｷﾞﾀｰ 1".encode("cp932"),
    "① 琴".encode("cp932"),
    "\ufeffPiano 𝄞".encode("utf-16-be"),
    "\ufeffÖl".encode("utf-16-le") + b"\0",
    "Träumerei – ピアノ".encode(),
    "\ufeffTrompete".encode(),
    "Präludium".encode("latin-1"),
    "Élégie légère, CANÇÃO".encode("latin-1"),
    "It’s “Air” – œ".encode("cp1252"),
    b"caf\xe9\x81\x9d\x90",
    b"\xfe\xff\xd8\x00\x00A\xd8",
    "a\u202eb\u2028c\u200f ".encode(),
    b"\x00 \x1b",
)


def names() -> bytes:
    """Names in all encodings."""
    return smf(*(name(text) + note(40 + i) for i, text in enumerate(NAMES)))


STRANGE_FILES = {
    "two-ports": two_ports,
    "drums": drums,
    "tunings": tunings,
    "expressive": expressive,
    "unplayable": unplayable,
    "note-offs": note_offs,
    "damaged": damaged,
    "in-riff": in_riff,
    "in-macbinary": in_macbinary,
    "names": names,
}

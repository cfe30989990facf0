"""Names of tracks: in the encodings that files have, and without what steers a terminal."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.midi_bytes import name, note, smf
from timbrel.errors import InputError, printable
from timbrel.score.midi import parse_midi
from timbrel.score.text import decoded

JAPANESE = [
    *("信号 ピアノ", "ピアノ", "ストリングス", "メロディー", "ドラム", "琴", "笛1", "尺八 (ソロ)"),
    *("Aメロ", "右手", "ｷﾞﾀｰ", "ﾋﾟｱﾉ 2", "E.ｷﾞﾀｰ", "① 主旋律", "Ⅱ. ベース", "津軽三味線", "篳篥"),
    "ベース　ソロ",
]
LATIN = [
    *(
        "Präludium",
        "Träumerei",
        "Für Elise",
        "Flûte à bec",
        "Violão",
        "Élégie",
        "légère",
        "élégant",
    ),
    *("Canção", "CANÇÃO", "Coração", "Prélude en ré", "Großer Chor", "Noël", "Señorita", "Größe"),
    *("Ærø", "São Paulo", "créée", "à la", "ÉCOLE", "Málaga", "naïve"),
]
WINDOWS = ["Bach – Präludium", "It’s", "don’t stop", "“Air”", "‘n’", "Trompete… ff", "€ 5", "œuvre"]


class TestEncodings:
    @pytest.mark.parametrize("text", JAPANESE + LATIN + WINDOWS)
    def test_utf_8(self, text: str) -> None:
        assert decoded(text.encode()) == text.strip()
        assert decoded(b"\xef\xbb\xbf" + text.encode()) == text.strip()

    @pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
    @pytest.mark.parametrize("text", [*JAPANESE, *LATIN, "Piano", "𝄞 Clef"])
    def test_utf_16_with_a_byte_order_mark(self, text: str, encoding: str) -> None:
        assert decoded(("\ufeff" + text).encode(encoding)) == text

    def test_utf_16_that_is_cut(self) -> None:
        assert decoded("\ufeffPiano".encode("utf-16-be")[:-1]) == "Pian"
        assert decoded(b"\xfe\xff") == decoded(b"\xff\xfe\x41") == ""

    @pytest.mark.parametrize("text", JAPANESE)
    def test_shift_jis(self, text: str) -> None:
        assert decoded(text.encode("cp932")) == text

    @pytest.mark.parametrize("text", LATIN)
    def test_latin_1(self, text: str) -> None:
        assert decoded(text.encode("latin-1")) == text

    @pytest.mark.parametrize("text", WINDOWS)
    def test_windows_1252(self, text: str) -> None:
        assert decoded(text.encode("cp1252")) == text

    @given(data=st.binary(max_size=30))
    @settings(max_examples=500, deadline=None, derandomize=True)
    def test_any_bytes_are_some_text(self, data: bytes) -> None:
        text = decoded(data)
        assert text == text.strip()
        assert not any(unicodedata.category(character) == "Cc" for character in text)

    def test_every_pair_of_shift_jis_is_the_character_that_it_is(self) -> None:
        for first in (0x82, 0x83, 0x88, 0x93, 0x97):
            for second in range(0x40, 0xFD):
                data = bytes([first, second])
                try:
                    expected = data.decode("cp932")
                except UnicodeDecodeError:
                    continue
                assert decoded(data) == expected


class TestControlCharacters:
    # LMMS#6056, sphinx-notes/lilypond#47, llama.cpp#28969.
    def test_escape_sequences_lose_what_makes_them_so(self) -> None:
        bad = "Lead\x1b]0;renamed\x07\n\x1b[31mred"
        assert decoded(bad.encode()) == "Lead ]0;renamed [31mred"
        track = parse_midi(smf(name(bad) + note(60))).tracks[0]
        assert track.name == "Lead ]0;renamed [31mred"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp932", "latin-1"])
    def test_none_is_left(self, encoding: str) -> None:
        codes = [*range(32), 0x7F]
        if encoding.startswith("utf"):
            codes += [*range(0x80, 0xA0), 0x2028, 0x2029, 0x202A, 0x202E, 0x2066, 0x200F, 0xFEFF]
        around = "é" if encoding == "latin-1" else "ギター"
        for code in codes:
            text = f"{around}{chr(code)}{around}{chr(code)}"
            assert decoded(text.encode(encoding)) == f"{around} {around}", hex(code)

    def test_bytes_of_c1_are_never_c1(self) -> None:
        for first in range(0x80, 0xA0):
            text = decoded(b"caf\xe9 " + bytes([first]))
            assert not re.search("[\x80-\x9f]", text)

    def test_a_name_of_nothing_else_is_none(self) -> None:
        track = parse_midi(smf(name(b"\x1b\x00\n ") + note(60))).tracks[0]
        assert track.name == "Acoustic Grand Piano"

    def test_errors_are_one_line_whatever_the_file_is_called(self) -> None:
        with pytest.raises(InputError) as caught:
            parse_midi(b"", name="a\x1b[2J\nb\x9bc\u202e.mid")
        assert str(caught.value) == "a [2J b c .mid: is empty; a MIDI file was expected"

    def test_other_characters_stay(self) -> None:
        text = "Ünï – 日本 👩‍🎤 한글 עברית e\u0301"
        assert printable(text) == text

"""The text of MIDI files, whose encoding the files do not state."""

from __future__ import annotations

import codecs
import re

from timbrel.errors import printable

# One Shift-JIS character, of one byte or two.
_SHIFT_JIS = rb"[\x00-\x7f\xa1-\xdf]|[\x81-\x84\x87-\x9f\xe0-\xea][\x40-\x7e\x80-\xfc]"
_IS_SHIFT_JIS = re.compile(rb"(?:%s)+" % _SHIFT_JIS)
_CHARACTER = re.compile(_SHIFT_JIS, re.DOTALL)
# Patterns of `_kind` letters that do not occur in Latin text in another encoding.
_JAPANESE = re.compile("J[Jj]|jJ|k[kK]|Kk")
_JAPANESE_ALONE = re.compile("[Jj]|[kK]{2}")
_WINDOWS_1252_GAPS = bytes.maketrans(b"\x81\x8d\x8f\x90\x9d", bytes(5))


def decoded(data: bytes) -> str:
    """Text as a MIDI file holds it, on one line, without control characters and outer blanks.

    UTF-16 where a byte order mark says so; else UTF-8 if it is that; else Shift-JIS if it looks
    like Japanese; else Windows-1252, which holds Latin-1.
    """
    return printable(_decoded(data)).strip()


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
        return data[: len(data) // 2 * 2].decode("utf-16", errors="replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    if _looks_japanese(data):
        try:
            return data.decode("cp932")
        except UnicodeDecodeError:
            pass
    return data.translate(_WINDOWS_1252_GAPS).decode("cp1252")


def _looks_japanese(data: bytes) -> bool:
    """Whether text that is no UTF-8 is Shift-JIS rather than Latin.

    Letters with accents begin characters of Shift-JIS, too, so single such characters between
    letters ("Prélude") are no sign. Signs are two characters in a row of which one is kana, a
    symbol or a common kanji, whose first bytes are not letters in Latin-1; and text without any
    Latin letter.
    """
    if not _IS_SHIFT_JIS.fullmatch(data):
        return False
    kinds = "".join(map(_kind, _CHARACTER.findall(data)))
    return bool(_JAPANESE.search(kinds) or ("a" not in kinds and _JAPANESE_ALONE.search(kinds)))


def _kind(character: bytes) -> str:
    """J, j: of two bytes, the first not a letter of Latin-1, or one. K, k: katakana of one byte,
    a letter of Latin-1 or not. a: an ASCII letter. Else a dot.
    """
    first = character[0]
    if len(character) == 2:
        return "J" if first < 0xA0 else "j"
    if first >= 0x80:
        return "k" if first < 0xC0 else "K"
    return "a" if character.isalpha() else "."

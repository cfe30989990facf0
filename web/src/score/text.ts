// The text of MIDI files, which do not say how theirs is encoded. Reads as src/timbrel/score/text.py.

// What breaks a line or turns the direction of text, and what a terminal would obey.
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+/gu;

// Of the kinds of characters of `kinds`: what Latin text in another encoding does not look like.
const JAPANESE = /J[Jj]|jJ|k[kK]|Kk/;
const JAPANESE_ALONE = /[Jj]|[kK]{2}/;

// Windows-1252 from 0x80 to 0x9F; not every TextDecoder knows it.
const WINDOWS_1252 = "€\0‚ƒ„…†‡ˆ‰Š‹Œ\0Ž\0\0‘’“”•–—˜™š›œ\0žŸ";

/** Text as a MIDI file holds it, on one line, without control characters and outer blanks. */
export function decoded(data: Uint8Array): string {
  return anyEncoding(data).replace(UNPRINTABLE, " ").trim();
}

/** UTF-16 with a byte order mark; else UTF-8; else what looks like Shift-JIS; else Windows-1252. */
function anyEncoding(data: Uint8Array): string {
  const mark = data.length >= 2 ? (data[0] << 8) | data[1] : 0;
  if (mark === 0xfeff || mark === 0xfffe) {
    const even = data.subarray(0, data.length & ~1);
    return new TextDecoder(mark === 0xfeff ? "utf-16be" : "utf-16le").decode(even);
  }
  return (
    strictly("utf-8", data) ??
    (looksJapanese(data) ? strictly("shift_jis", data) : undefined) ??
    Array.from(data, (byte) => WINDOWS_1252[byte - 0x80] ?? String.fromCharCode(byte)).join("")
  );
}

function strictly(encoding: string, data: Uint8Array): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(data);
  } catch {
    return undefined;
  }
}

/**
 * Whether text that is no UTF-8 is Shift-JIS rather than Latin: two of its characters in a row of
 * which one is kana, a symbol or a common kanji, or no Latin letter at all. Letters with accents
 * begin characters of Shift-JIS, too, so single ones between letters ("Prélude") are no sign.
 */
function looksJapanese(data: Uint8Array): boolean {
  const found = kinds(data);
  return JAPANESE.test(found) || (!found.includes("a") && JAPANESE_ALONE.test(found));
}

/**
 * J, j: a character of two bytes, the first not a letter of Latin-1, or one. K, k: katakana of one
 * byte, a letter of Latin-1 or not. a: an ASCII letter. Else a dot. Empty where it is no Shift-JIS.
 */
function kinds(data: Uint8Array): string {
  const found: string[] = [];
  for (let i = 0; i < data.length; i++) {
    const first = data[i];
    if (first < 0x80) found.push((first | 0x20) >= 0x61 && (first | 0x20) <= 0x7a ? "a" : ".");
    else if (first >= 0xa1 && first <= 0xdf) found.push(first < 0xc0 ? "k" : "K");
    else {
      const second = data[++i] ?? 0;
      const begins = first <= 0x84 ? first >= 0x81 : first >= 0x87 && first <= 0xea;
      if (!begins || first === 0xa0 || second < 0x40 || second === 0x7f || second > 0xfc) return "";
      found.push(first < 0xa0 ? "J" : "j");
    }
  }
  return found.join("");
}

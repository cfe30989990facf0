// The sample rate that a file states, so that the browser decodes it as it is. Browsers resample to the
// rate that is asked for and do not tell the file's own.

const [LOWEST_HZ, HIGHEST_HZ] = [8000, 96_000]; // that all browsers decode to

/** The rate of a WAV, FLAC or OGG Vorbis file; null where it is not known or browsers do not take it. */
export function sampleRateOf(file: Uint8Array): number | null {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const rate = rateIn(view);
  return rate !== null && rate >= LOWEST_HZ && rate <= HIGHEST_HZ ? rate : null;
}

function rateIn(view: DataView): number | null {
  if (textAt(view, 0, "RIFF") && textAt(view, 8, "WAVE")) {
    let at = 12;
    while (at + 16 <= view.byteLength) {
      if (textAt(view, at, "fmt ")) return view.getUint32(at + 12, true);
      const size = view.getUint32(at + 4, true);
      at += 8 + size + (size % 2);
    }
    return null;
  }
  // 20 bits of the stream's description, which comes first.
  if (textAt(view, 0, "fLaC") && view.byteLength >= 22) return view.getUint32(18) >>> 12;
  if (textAt(view, 0, "OggS") && textAt(view, 29, "vorbis") && view.byteLength >= 44) {
    return view.getUint32(40, true);
  }
  return null;
}

function textAt(view: DataView, at: number, text: string): boolean {
  if (at + text.length > view.byteLength) return false;
  return [...text].every((letter, i) => view.getUint8(at + i) === letter.charCodeAt(0));
}

// Files that hold a Standard MIDI File, and what it is wrapped in, as src/timbrel/score/container.py.

import constants from "../constants.json";
import { countOf, MidiError } from "./smf";

const { maxFileBytes, maxRiffChunks } = constants;
const MACBINARY_BYTES = 128;

/** The bytes of a Standard MIDI File from those of a file that holds one, and warnings. */
export function midiInside(file: Uint8Array): { data: Uint8Array; warnings: string[] } {
  const data = inRiff(file) ?? file;
  if (!data.length) throw new MidiError("is empty; a MIDI file was expected");
  if (data.length > maxFileBytes) {
    const most = `${maxFileBytes / 2 ** 20} MiB`;
    throw new MidiError(`is larger than ${most}, up to which MIDI files are read`);
  }
  if (isText(data, 0, "MThd")) return { data, warnings: [] };
  const start = findHeader(data);
  if (start < 0) throw new MidiError("is not a MIDI file (it does not start with 'MThd')");
  const isMacBinary = data[0] === 0 && data[1] > 0 && data[1] < 64 && !data[74] && !data[82];
  if (start === MACBINARY_BYTES && isMacBinary) {
    const length = view(data).getUint32(83); // of the file proper; 0 where it is not said
    const end = length >= 14 ? start + length : data.length;
    return { data: data.subarray(start, end), warnings: [] };
  }
  const warning = `${countOf(start, "byte")} before the MIDI header were passed over`;
  return { data: data.subarray(start), warnings: [warning] };
}

/** The MIDI of a RIFF file of the form RMID. */
function inRiff(file: Uint8Array): Uint8Array | undefined {
  if (!isText(file, 0, "RIFF") || !isText(file, 8, "RMID")) return undefined;
  let at = 12;
  for (let i = 0; i < maxRiffChunks && at + 8 <= file.length; i++) {
    const length = view(file).getUint32(at + 4, true);
    if (isText(file, at, "data")) {
      const content = file.subarray(at + 8, at + 8 + maxFileBytes + 1);
      if (!isText(content, 0, "MThd")) return undefined;
      // Programs that write while they play may leave the length empty.
      return length >= 14 ? content.subarray(0, length) : content;
    }
    at += 8 + length + (length % 2);
  }
  return undefined;
}

/** Where a file of type 0, 1 or 2 seems to begin; −1 if nowhere. */
function findHeader(data: Uint8Array): number {
  for (let at = 0; at + 10 <= data.length; at++) {
    if (!isText(data, at, "MThd")) continue;
    const [a, b, c, length, kindHigh, kind] = data.subarray(at + 4, at + 10);
    if (!(a | b | c | kindHigh) && length >= 6 && length <= 15 && kind <= 2) return at;
  }
  return -1;
}

function isText(data: Uint8Array, at: number, text: string): boolean {
  return [...text].every((letter, i) => data[at + i] === letter.charCodeAt(0));
}

function view(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

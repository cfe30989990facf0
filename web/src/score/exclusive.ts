// System-exclusive messages that change what is played: General MIDI, Roland GS, Yamaha XG, as
// src/timbrel/score/exclusive.py.

export type Kind =
  | "reset" // everything, to its default; 1 for a GS device, else 0
  | "master volume" // 0 to 1
  | "master fine tuning" // semitones
  | "master coarse tuning" // semitones
  | "master key shift" // semitones
  | "scale tuning" // of single keys
  | "drums" // 1 for a channel of drums, 0 for one that is not
  | "key shift"; // semitones

/** One thing that a message sets. */
export interface Setting {
  kind: Kind;
  value: number;
  /** 0–15 are the channels of the message's port, 16–31 of the next one. */
  part: number;
  /** Of a scale tuning: semitones for each key of an octave, from C; none where it says nothing. */
  scale: readonly number[];
}

const CENTRE = 0x40; // of a value that goes up and down from the middle
// Where the settings of a device and of a part lie, from the beginning of their blocks.
const TUNE = 0x00;
const VOLUME = 0x04;
const ROLAND_SHIFT = 0x05;
const YAMAHA_SHIFT = 0x06;
const ROLAND_DRUMS = 0x15;
const YAMAHA_DRUMS = 0x07; // the next one is the part's key shift

/** What a message, without its first byte and its last, sets; nothing if it is not understood. */
export function settingsOf(data: Uint8Array): Setting[] {
  const maker = data[0];
  if (maker === 0x7e || maker === 0x7f) return universal(maker === 0x7f, data.subarray(2));
  if (maker === 0x41 && data[2] === 0x42 && data[3] === 0x12 && data.length > 8) {
    return roland(data.subarray(4, 7), data.subarray(7, -1)); // the last byte is a checksum
  }
  if (maker === 0x43 && data[1] >> 4 === 1 && data[2] === 0x4c && data.length > 6) {
    return yamaha(data.subarray(3, 6), data.subarray(6));
  }
  return [];
}

/** Whether a message sets everything to its default, which silences what sounds. */
export function resets(data: Uint8Array): boolean {
  return settingsOf(data).some(({ kind }) => kind === "reset");
}

function setting(kind: Kind, value: number, part = 0, scale: readonly number[] = []): Setting {
  return { kind, value, part, scale };
}

function universal(isRealTime: boolean, data: Uint8Array): Setting[] {
  const [area, what] = data;
  if (!isRealTime && data.length === 2 && area === 9 && (what === 1 || what === 3)) {
    return [setting("reset", 0)];
  }
  if (area === 8 && (what === 8 || what === 9)) return scaleTuning(data.subarray(2), what - 7);
  if (!isRealTime || area !== 4 || data.length < 4) return [];
  const high = data[3] & 0x7f;
  const value = (data[2] & 0x7f) | (high << 7);
  // Full is 0x3FFF, but many write 0x3F80 for it, with a low byte of 0.
  if (what === 1) return [setting("master volume", Math.min(value / 0x3f80, 1))];
  if (what === 3) return [setting("master fine tuning", (value - 0x2000) / 0x2000)];
  if (what === 4) return [setting("master coarse tuning", high - CENTRE)];
  return [];
}

/**
 * The scale of each channel that a message of the MIDI Tuning Standard names. What is too short to
 * be one counts as a tuning, and changes nothing.
 */
function scaleTuning(data: Uint8Array, nBytes: number): Setting[] {
  const cents = data.subarray(3, 3 + 12 * nBytes);
  if (cents.length < 12 * nBytes) return [setting("scale tuning", 0)];
  const scale = Array.from({ length: 12 }, (_, key) =>
    nBytes === 1
      ? (cents[key] - CENTRE) / 100
      : (((cents[2 * key] << 7) | cents[2 * key + 1]) - 0x2000) / 0x2000,
  );
  // Seven channels to a byte, the last ones first.
  const channels = ((data[0] & 0x03) << 14) | ((data[1] & 0x7f) << 7) | (data[2] & 0x7f);
  const named: Setting[] = [];
  for (let part = 0; part < 16; part++) {
    if ((channels >> part) & 1) named.push(setting("scale tuning", 0, part, scale));
  }
  return named.length ? named : [setting("scale tuning", 0)];
}

function roland([high, middle, low]: Uint8Array, values: Uint8Array): Setting[] {
  if ((high === 0 || high === 0x40) && middle === 0 && low === 0x7f) return [setting("reset", 1)];
  if (high === 0x40 && middle === 0) return master(low, values, ROLAND_SHIFT);
  if ((high === 0x40 || high === 0x50) && middle >> 4 === 1) {
    // Blocks 1 to 9 are the parts of these numbers, block 0 is part 10, and A to F go on.
    const block = middle & 0x0f;
    const part = block === 0 ? 9 : block - (block <= 9 ? 1 : 0);
    return ofPart(part + (high === 0x50 ? 16 : 0), low, values, ROLAND_DRUMS);
  }
  return [];
}

function yamaha([high, middle, low]: Uint8Array, values: Uint8Array): Setting[] {
  if (high === 0 && middle === 0) {
    return low === 0x7e || low === 0x7f ? [setting("reset", 0)] : master(low, values, YAMAHA_SHIFT);
  }
  return high === 8 && middle < 32 ? ofPart(middle, low, values, YAMAHA_DRUMS) : [];
}

/** Settings of the whole device, from an address on. */
function master(low: number, values: Uint8Array, shift: number): Setting[] {
  const found: Setting[] = [];
  if (low === TUNE && values.length >= 4) {
    // four digits of four bits, in tenths of a cent
    let tune = 0;
    for (const value of values.subarray(0, 4)) tune = (tune << 4) | (value & 0x0f);
    found.push(setting("master fine tuning", (Math.min(tune, 0x7ff) - 0x400) / 1000));
  }
  values.forEach((value, i) => {
    if (low + i === VOLUME) found.push(setting("master volume", (value & 0x7f) / 127));
    else if (low + i === shift) found.push(setting("master key shift", (value & 0x7f) - CENTRE));
  });
  return found;
}

/** Settings of one part, from an address on. */
function ofPart(part: number, low: number, values: Uint8Array, drums: number): Setting[] {
  const found: Setting[] = [];
  values.forEach((value, i) => {
    if (low + i === drums) found.push(setting("drums", value > 0 ? 1 : 0, part));
    else if (low + i === drums + 1) {
      found.push(setting("key shift", (value & 0x7f) - CENTRE, part));
    }
  });
  return found;
}

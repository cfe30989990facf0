// The bytes of Standard MIDI Files → messages. Reads as src/timbrel/score/smf.py does: as far as
// files can be read, and what cannot be becomes a warning.

import constants from "../constants.json";

export const NOTE_OFF = 0x80;
export const NOTE_ON = 0x90;
export const KEY_PRESSURE = 0xa0;
export const CONTROL = 0xb0;
export const PROGRAM = 0xc0;
export const CHANNEL_PRESSURE = 0xd0;
export const PITCH_BEND = 0xe0;
export const SYSEX = 0xf0;
const ESCAPE = 0xf7;
export const META = 0xff;
export const TRACK_NAME = 0x03;
export const DEVICE_NAME = 0x09;
export const PORT = 0x21;
const END_OF_TRACK = 0x2f;
export const SET_TEMPO = 0x51;

// Bytes of data that follow a status byte of the system, where a cable carries it.
const SYSTEM_COMMON = new Map([
  [0xf1, 1],
  [0xf2, 2],
  [0xf3, 1],
  [0xf6, 0],
]);
// Makers of exclusive messages that are understood (exclusive.ts), none of which is long.
const EXCLUSIVE_IDS = [0x7e, 0x7f, 0x41, 0x43];
const MAX_NUMBER_BYTES = 5;
const PADDING = [0x00, 0x1a, 0x0d, 0x0a, 0x20];
const CUT_OFF = "is cut off; copy or export the MIDI file again";
const TRACK = 0x4d54726b; // "MTrk"

export interface Message {
  /** From the start of its track. */
  tick: number;
  /** Counted from 0. */
  track: number;
  /** The status byte of a channel's message, or `SYSEX` or `META`. */
  status: number;
  /** The data bytes of a channel's message; `first` is the kind of a meta event. */
  first: number;
  second: number;
  /** What exclusive and meta events hold. */
  data: Uint8Array;
}

export interface MidiFile {
  /** 0, 1 or 2. */
  kind: number;
  division: number;
  messages: Message[];
  warnings: string[];
  /** The first damage that may have cost notes, in words; empty without. */
  failure: string;
}

export class MidiError extends Error {}

/** Read a file whose first four bytes have been checked. */
export function parseSmf(data: Uint8Array): MidiFile {
  return new Reader(data).read();
}

/** Words for a number of things: "1 byte", "2 bytes". */
export function countOf(n: number, what: string): string {
  return n === 1 ? `${n} ${what}` : `${n} ${what}s`;
}

const NOTHING: Uint8Array = new Uint8Array(0);

/** Finds the chunks of a file, also where their number and lengths are wrong. */
class Reader {
  private readonly view: DataView;
  private readonly messages: Message[] = [];
  private readonly warnings: string[] = [];
  private nTracks = 0;
  private nUnsaid = 0;
  private failure = "";

  constructor(private readonly data: Uint8Array) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  read(): MidiFile {
    const { data, view } = this;
    if (data.length < 14) throw new MidiError(CUT_OFF);
    const headerLength = view.getUint32(4);
    const kind = view.getUint16(8);
    const nAnnounced = view.getUint16(10);
    const division = view.getInt16(12);
    if (division === 0) throw new MidiError("is a damaged MIDI file (its time division is zero)");
    if (kind > 2) this.warn(`type ${kind} is unknown; its tracks are played together`);
    let position = 8 + headerLength;
    const leadsOn = position === data.length || this.isChunk(position);
    if (headerLength < 6 || (headerLength > 6 && !leadsOn)) {
      this.warn("the length of its header is wrong");
      position = this.nextTrack(14);
    }
    while (position < data.length) position = this.chunk(position);
    if (this.nTracks !== nAnnounced) {
      const said = countOf(nAnnounced, "track");
      this.warn(`the header says ${said}, the file holds ${this.nTracks}`);
      if (this.nTracks < nAnnounced) this.failure ||= CUT_OFF;
    }
    if (this.nUnsaid) this.warnings.push(`${countOf(this.nUnsaid, "more fault")} of this kind`);
    const { messages, warnings, failure } = this;
    return { kind, division, messages, warnings, failure };
  }

  /** Read what begins at a position; gives the position after it. */
  private chunk(start: number): number {
    if (!this.isChunk(start)) {
      const found = this.nextTrack(start);
      const isBefore = found < this.data.length;
      const number = this.nTracks + (isBefore ? 1 : 0);
      if (this.data.subarray(start, found).some((byte) => !PADDING.includes(byte))) {
        const gap = countOf(found - start, "byte");
        this.warn(`${gap} ${isBefore ? "before" : "after"} track ${number} were passed over`);
      }
      return found;
    }
    const end = start + 8 + this.view.getUint32(start + 4);
    return this.isTrack(start) ? this.track(start + 8, end) : end;
  }

  /** Read the track that says that it goes from `start` to `end`. */
  private track(start: number, end: number): number {
    const { length } = this.data;
    this.nTracks += 1;
    const number = this.nTracks;
    // A length is believed where it leads to another chunk or to the end of the file.
    const believed = end === length || this.isChunk(end);
    const limit = believed ? end : this.nextTrack(start);
    const track = new TrackReader(this.data, start, limit, number - 1, this.messages);
    const problem = track.read();
    let stop = limit;
    if (track.ended) {
      stop = track.position;
      // What follows the end of a track within its chunk does not count.
      if (believed && !(stop < end && this.isTrack(stop))) return end;
    } else if (limit === length && length < end) {
      this.warn(`track ${number} is cut off`, CUT_OFF);
      return limit;
    } else if (problem) {
      this.warn(
        `track ${number} is damaged (${problem}); what follows in it is left out`,
        `is a damaged MIDI file (${problem})`,
      );
      return limit;
    }
    if (stop !== end) {
      const which = stop < end ? "shorter" : "longer";
      const wrong = countOf(Math.abs(end - stop), "byte");
      this.warn(`track ${number} is ${wrong} ${which} than it says`);
    }
    return stop;
  }

  private isTrack(position: number): boolean {
    return position + 4 <= this.data.length && this.view.getUint32(position) === TRACK;
  }

  /** Whether a chunk seems to begin there: a track, or another that ends within the file. */
  private isChunk(position: number): boolean {
    if (position + 8 > this.data.length) return false;
    if (this.isTrack(position)) return true;
    const name = this.data.subarray(position, position + 4);
    const end = position + 8 + this.view.getUint32(position + 4);
    return name.every((byte) => byte >= 0x20 && byte < 0x7f) && end <= this.data.length;
  }

  /** Where the next track begins, or the end of the file. */
  private nextTrack(position: number): number {
    let at = this.data.indexOf(TRACK >> 24, position);
    while (at >= 0 && at + 8 <= this.data.length) {
      if (this.isTrack(at)) return at;
      at = this.data.indexOf(TRACK >> 24, at + 1);
    }
    return this.data.length;
  }

  private warn(words: string, failure = ""): void {
    this.failure ||= failure;
    if (this.warnings.length < constants.maxWarnings) this.warnings.push(words);
    else this.nUnsaid += 1;
  }
}

/** What keeps the rest of a track from being read. */
class Damage extends Error {}

/** Reads the messages of one track, up to its end, to `limit` or to the first damage. */
class TrackReader {
  /** By an event that says so. */
  ended = false;
  private tick = 0;
  private status = 0;
  private exclusive: Uint8Array = NOTHING; // a message that may go on in another event

  constructor(
    private readonly data: Uint8Array,
    public position: number,
    private readonly limit: number,
    private readonly number: number,
    private readonly messages: Message[],
  ) {}

  /** Append the messages; gives the damage in words, or nothing. */
  read(): string {
    let problem = "";
    try {
      while (this.position < this.limit && !this.ended) this.event();
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      problem = error.message;
    }
    // Many files lack the end of a track; its chunk's end is as good.
    this.add(this.tick, META, END_OF_TRACK);
    return problem;
  }

  private add(
    tick: number,
    status: number,
    first = 0,
    second = 0,
    data: Uint8Array = NOTHING,
  ): void {
    this.messages.push({ tick, track: this.number, status, first, second, data });
  }

  private event(): void {
    const tick = this.tick + this.variableNumber();
    const first = this.byte();
    const common = SYSTEM_COMMON.get(first);
    if (first === META) this.meta(tick);
    else if (first === SYSEX || first === ESCAPE) {
      this.systemExclusive(tick, first, this.take(this.variableNumber()));
    } else if (common !== undefined) this.take(common);
    else if (!isRealTime(first)) this.channelMessage(tick, first);
    this.tick = tick;
  }

  private meta(tick: number): void {
    const kind = this.byte();
    const data = this.take(this.variableNumber());
    if (kind === END_OF_TRACK) this.ended = true;
    else if (
      kind === TRACK_NAME ||
      kind === DEVICE_NAME ||
      (kind === SET_TEMPO && data.length >= 3) ||
      (kind === PORT && data.length)
    ) {
      this.add(tick, META, kind, 0, data);
    }
  }

  /** Keep an exclusive message that may be understood, put together from its packets. */
  private systemExclusive(tick: number, status: number, data: Uint8Array): void {
    if (status === ESCAPE && data[0] === SYSEX) {
      status = SYSEX; // a whole message, in the escaped form
      data = data.subarray(1);
    }
    const before = status === ESCAPE ? this.exclusive : NOTHING;
    const length = before.length + data.length;
    const isKept =
      EXCLUSIVE_IDS.includes(before[0] ?? data[0]) && length <= constants.maxExclusiveBytes;
    const message = isKept ? Uint8Array.of(...before, ...data) : NOTHING;
    const isWhole = message[message.length - 1] === 0xf7;
    this.exclusive = isWhole ? NOTHING : message;
    if (!message.length) return; // some programs leave out the last byte
    let end = message.length;
    while (message[end - 1] === 0xf7) end -= 1;
    this.add(tick, SYSEX, 0, 0, message.subarray(0, end));
  }

  private channelMessage(tick: number, first: number): void {
    if (first >= 0x80) this.status = first;
    else this.position -= 1; // running status: the message starts like the last one
    const { status } = this;
    if (status < 0x80 || status >= 0xf0) {
      throw new Damage(`the status byte 0x${first.toString(16).padStart(2, "0")} is undefined`);
    }
    // Program changes and channel pressure have one data byte, all others two.
    const one = this.dataByte();
    const two = status >= PROGRAM && status < PITCH_BEND ? 0 : this.dataByte();
    this.add(tick, status, one, two);
  }

  /** A byte of a message; real-time messages may come between any two. */
  private dataByte(): number {
    let byte = this.byte();
    while (isRealTime(byte)) byte = this.byte();
    return Math.min(byte, 127); // some programs write velocities above; they mean the loudest
  }

  private byte(): number {
    if (this.position >= this.limit) {
      throw new Damage("a message runs past the end of its track");
    }
    return this.data[this.position++];
  }

  private take(length: number): Uint8Array {
    const start = this.position;
    if (start + length > this.limit) throw new Damage("a message runs past the end of its track");
    this.position = start + length;
    return this.data.subarray(start, this.position);
  }

  /** A number of variable length; the standard allows four bytes, some programs write five. */
  private variableNumber(): number {
    let number = 0;
    for (let i = 0; i < MAX_NUMBER_BYTES; i++) {
      const byte = this.byte();
      number = number * 128 + (byte & 0x7f);
      if (byte < 0x80) return number;
    }
    throw new Damage(`a number has more than ${MAX_NUMBER_BYTES} bytes`);
  }
}

function isRealTime(byte: number): boolean {
  return byte >= 0xf8 && byte < META;
}

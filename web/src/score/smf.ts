// The bytes of Standard MIDI Files → messages. Reads as src/timbrel/score/smf.py does.

export interface Message {
  /** Ticks since the last message. */
  ticks: number;
  kind: "note_on" | "note_off" | "control" | "program" | "pitch_bend" | "tempo" | "name" | "other";
  channel: number;
  /** Pitch, controller, program, tempo in microseconds per beat, or bend. */
  a: number;
  /** Velocity or the controller's value. */
  b: number;
  text: string;
}

export interface MidiFile {
  type: number;
  division: number;
  tracks: Message[][];
}

const META = 0xff;
const SYSEX = 0xf0;
const ESCAPE = 0xf7;
const TRACK_NAME = 0x03;
const END_OF_TRACK = 0x2f;
const SET_TEMPO = 0x51;

export class MidiError extends Error {}

/** Read a file whose first four bytes have been checked. */
export function parseSmf(data: Uint8Array): MidiFile {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 14) throw cutOff();
  const headerLength = view.getUint32(4);
  const type = view.getUint16(8);
  const nTracks = view.getUint16(10);
  const division = view.getInt16(12);
  if (headerLength < 6) throw damaged("its header is too short");
  if (type > 2) throw damaged(`type ${type} is unknown`);
  if (division === 0) throw damaged("its time division is zero");
  const tracks: Message[][] = [];
  let position = 8 + headerLength;
  while (tracks.length < nTracks) {
    if (position + 8 > data.length) throw cutOff();
    const isTrack = view.getUint32(position) === 0x4d54726b; // "MTrk"
    const length = view.getUint32(position + 4);
    position += 8;
    if (position + length > data.length) throw cutOff();
    if (isTrack)
      tracks.push(new TrackReader(data.subarray(position, position + length)).messages());
    position += length;
  }
  return { type, division, tracks };
}

function cutOff(): MidiError {
  return new MidiError("is cut off; copy or export the MIDI file again");
}

function damaged(why: string): MidiError {
  return new MidiError(`is a damaged MIDI file (${why})`);
}

class TrackReader {
  private position = 0;

  constructor(private readonly data: Uint8Array) {}

  messages(): Message[] {
    const messages: Message[] = [];
    let ticks = 0; // since the last message that was kept
    let status = 0;
    const keep = (kind: Message["kind"], channel = 0, a = 0, b = 0, text = "") => {
      messages.push({ ticks, kind, channel, a, b, text });
      ticks = 0;
    };
    // Many files lack the end of a track; its chunk's end is as good.
    while (this.position < this.data.length) {
      ticks += this.number();
      const first = this.take(1)[0];
      if (first === META) {
        const type = this.take(1)[0];
        const content = this.take(this.number());
        if (type === END_OF_TRACK) break;
        if (type === SET_TEMPO && content.length >= 3) {
          keep("tempo", 0, (content[0] << 16) | (content[1] << 8) | content[2]);
        } else if (type === TRACK_NAME) keep("name", 0, 0, 0, decoded(content));
      } else if (first === SYSEX || first === ESCAPE) {
        this.take(this.number());
      } else {
        if (first >= 0x80) status = first;
        else this.position -= 1; // running status: the message starts like the last one
        if (status < 0x80 || status >= 0xf0) {
          throw damaged(`the status byte 0x${status.toString(16).padStart(2, "0")} is undefined`);
        }
        // Program changes and channel pressure have one data byte, all others two. Some programs
        // write velocities above 127; they mean the loudest.
        const bytes = this.take(status >= 0xc0 && status < 0xe0 ? 1 : 2);
        const a = Math.min(bytes[0], 127);
        const b = Math.min(bytes[1] ?? 0, 127);
        const channel = status & 0x0f;
        const type = status & 0xf0;
        if (type === 0x80) keep("note_off", channel, a, b);
        else if (type === 0x90) keep("note_on", channel, a, b);
        else if (type === 0xb0) keep("control", channel, a, b);
        else if (type === 0xc0) keep("program", channel, a);
        else if (type === 0xe0) keep("pitch_bend", channel, (a | (b << 7)) - 8192);
        else keep("other", channel);
      }
    }
    keep("other"); // the end of the track
    return messages;
  }

  private take(length: number): Uint8Array {
    const start = this.position;
    this.position += length;
    if (this.position > this.data.length) throw damaged("a message runs past the end of its track");
    return this.data.subarray(start, this.position);
  }

  /** A number of variable length: seven bits a byte, and no more than four bytes. */
  private number(): number {
    let number = 0;
    for (let i = 0; i < 4; i++) {
      const byte = this.take(1)[0];
      number = (number << 7) | (byte & 0x7f);
      if (byte < 0x80) return number;
    }
    throw damaged("a number has more than four bytes");
  }
}

/** Text of a time before Unicode, or after. */
function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return String.fromCharCode(...bytes);
  }
}

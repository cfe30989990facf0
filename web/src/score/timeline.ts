// The messages of all tracks of a MIDI file in one row, in seconds, as src/timbrel/score/timeline.py.

import constants from "../constants.json";
import { DEVICE_NAME, META, PORT, SET_TEMPO, SYSEX, type Message, type MidiFile } from "./smf";

/** An event of one track. */
export interface Event {
  time: number;
  track: number;
  /** The number of a port, and which of the devices that the file names. */
  port: readonly [number, number];
  /** Of a message without its channel, or `SYSEX` or `META`. */
  status: number;
  channel: number;
  first: number;
  second: number;
  data: Uint8Array;
}

const FIRST_PORT: Event["port"] = [0, 0];

/**
 * Gives the events of a file, as often as wanted. Tracks play together, at one tick in their order.
 * The sequences of a type 2 file are pieces of their own, of one track each.
 */
export class Timeline {
  /** The messages of each piece; the pieces are played one after the other. */
  private readonly sequences: Message[][];

  constructor(private readonly midi: MidiFile) {
    const { messages } = midi;
    if (midi.kind === 2) {
      const tracks = new Map<number, Message[]>();
      for (const message of messages) {
        const track = tracks.get(message.track);
        if (track) track.push(message);
        else tracks.set(message.track, [message]);
      }
      this.sequences = [...tracks.values()];
    } else this.sequences = [[...messages].sort((a, b) => a.tick - b.tick)]; // stable
  }

  get length(): number {
    return this.sequences.length;
  }

  /** The events of one piece, which starts at a time. */
  *sequence(index: number, start = 0): Generator<Event> {
    const { division } = this.midi;
    let tempo = constants.defaultTempo;
    const ports = new Map<number, Event["port"]>();
    const devices = new Map<string, number>();
    let base = start;
    let last = 0;
    for (const { tick, track, status, first, second, data } of this.sequences[index]) {
      let secondsPerTick: number;
      if (division < 0) {
        // SMPTE: frames per second, negated, and ticks per frame
        const rate = -(division >> 8);
        secondsPerTick = 1 / ((rate === 29 ? 30 / 1.001 : rate) * Math.max(division & 0xff, 1));
      } else secondsPerTick = (tempo * 1e-6) / division;
      const time = base + (tick - last) * secondsPerTick;
      const port = ports.get(track) ?? FIRST_PORT;
      if (status === META && first === SET_TEMPO) {
        tempo = (data[0] << 16) | (data[1] << 8) | data[2] || tempo;
      }
      if (status === META && first === PORT) ports.set(track, [data[0], port[1]]);
      else if (status === META && first === DEVICE_NAME) {
        // What names no device plays on the first one.
        const name = data.join();
        if (!devices.has(name)) devices.set(name, devices.size);
        ports.set(track, [port[0], devices.get(name)!]);
      } else if (status === SYSEX) {
        yield { time, track, port, status, channel: 0, first, second, data };
      } else {
        base = time;
        last = tick;
        const kind = status === META ? META : status & 0xf0;
        const channel = status === META ? 0 : status & 0x0f;
        yield { time, track, port, status: kind, channel, first, second, data };
      }
    }
  }
}

// Notes that were heard → a Standard MIDI File, byte for byte as src/timbrel/transcription/midi.py
// writes it. Notes that are not bent share the first channel; a bent note has one for itself.

import constants from "../constants.json";
import { roundHalfEven } from "../engine/rounding";
import type { HeardNote } from "./decoding";
import type { Transcription } from "./transcriber";

const { trackName, ticksPerBeat, bendChannels, defaultRange, largestRange, stepCents } =
  constants.transcription;
const [NOTE_ON, CONTROL, PITCH_BEND] = [0x90, 0xb0, 0xe0];
const BEND_CENTRE = 8192;
const SEMITONE_CENTS = 100;

interface Event {
  tick: number;
  order: number; // among those of one time: releases, bends, notes
  message: number[];
}

export function midiFile(transcription: Transcription): Uint8Array {
  const { notes } = transcription;
  const ticksPerS = (ticksPerBeat * 1_000_000) / constants.defaultTempo;
  const bends = notes.flatMap((note) => curveOf(note, transcription).map(Math.abs));
  const largest = bends.reduce((a, b) => Math.max(a, b), 0);
  const reach = clipped(Math.ceil(largest / SEMITONE_CENTS), defaultRange, largestRange);
  const events: Event[] = [];
  const put = (timeS: number, order: number, message: number[]) =>
    events.push({ tick: roundHalfEven(timeS * ticksPerS), order, message });
  const freeS = new Map(bendChannels.map((channel) => [channel, -1]));
  const used = new Set<number>();
  for (const note of notes) {
    const { pitch, startS, endS, velocity } = note;
    const free = bendChannels.find((one) => freeS.get(one)! <= startS);
    const channel = note.bendCents.length ? (free ?? 0) : 0;
    if (channel) {
      freeS.set(channel, endS);
      used.add(channel);
      for (const { timeS, value } of bendsOf(note, transcription, reach)) {
        put(timeS, 1, [PITCH_BEND | channel, value & 127, value >> 7]);
      }
    }
    put(startS, 2, [NOTE_ON | channel, pitch, velocity]);
    put(endS, 0, [NOTE_ON | channel, pitch, 0]);
  }
  const tempo = constants.defaultTempo;
  const track = [0, 0xff, 0x51, 3, tempo >> 16, (tempo >> 8) & 255, tempo & 255];
  const name = [...new TextEncoder().encode(trackName)];
  track.push(0, 0xff, 0x03, name.length, ...name);
  events.sort((a, b) => a.tick - b.tick || a.order - b.order);
  const ranges = [...used].sort((a, b) => a - b).flatMap((channel) => rangeOf(channel, reach));
  let [now, running] = [0, 0];
  for (const { tick, message } of [...ranges, ...events]) {
    track.push(...variableLength(tick - now));
    // A status byte that is that of the message before is left out.
    for (const byte of message[0] === running ? message.slice(1) : message) track.push(byte);
    [now, running] = [tick, message[0]];
  }
  track.push(0, 0xff, 0x2f, 0);
  const header = [...ascii("MThd"), ...bigEndian(6, 4), ...bigEndian(0, 2), ...bigEndian(1, 2)];
  const chunk = [...ascii("MTrk"), ...bigEndian(track.length, 4)];
  return Uint8Array.from([...header, ...bigEndian(ticksPerBeat, 2), ...chunk].concat(track));
}

/** A note's bend against the recording's tuning, in cents. */
function curveOf({ bendCents }: HeardNote, { tuningCents }: Transcription): number[] {
  return bendCents.map((cents) => cents - tuningCents);
}

/** The bends of a note: one at its onset, and one wherever the pitch has moved. */
function bendsOf(note: HeardNote, transcription: Transcription, reach: number) {
  const found: { timeS: number; value: number }[] = [];
  let last: number | null = null;
  curveOf(note, transcription).forEach((cents, i) => {
    const timeS = note.startS + i / transcription.frameRate;
    if (timeS >= note.endS || (last !== null && Math.abs(cents - last) < stepCents)) return;
    last = cents;
    const bend = roundHalfEven((BEND_CENTRE * cents) / (SEMITONE_CENTS * reach));
    found.push({ timeS, value: clipped(bend, -BEND_CENTRE, BEND_CENTRE - 1) + BEND_CENTRE });
  });
  return found;
}

/** The registered parameter of the range of bends. */
function rangeOf(channel: number, reach: number): Event[] {
  const controls = [[101, 0], [100, 0], [6, reach], [38, 0]]; // prettier-ignore
  return controls.map((control) => ({
    tick: 0,
    order: 0,
    message: [CONTROL | channel, ...control],
  }));
}

function clipped(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

function variableLength(value: number): number[] {
  const bytes = [value & 127];
  for (let rest = value >> 7; rest; rest >>= 7) bytes.unshift((rest & 127) | 128);
  return bytes;
}

function bigEndian(value: number, size: number): number[] {
  return Array.from({ length: size }, (_, i) => (value >> (8 * (size - 1 - i))) & 255);
}

function ascii(text: string): number[] {
  return Array.from(text, (letter) => letter.charCodeAt(0));
}

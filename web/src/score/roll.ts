// Score → piano roll, as src/timbrel/score/piano_roll.py makes it, bit for bit.

import constants from "../constants.json";
import type { Note } from "./score";

const { lowestPitch, nPitches } = constants;
export const N_CHANNELS = 2 * nPitches;

/** The frame that a time falls into; halves go up. */
export function toFrame(time: number, frameRate: number): number {
  return Math.floor(time * frameRate + 0.5);
}

/** The roll of some notes, made window by window so that its length costs no memory. */
export class PianoRoll {
  /** Sorted by start, end, pitch, velocity. */
  readonly notes: Note[];
  readonly nFrames: number;
  private readonly starts: Int32Array;
  private readonly stops: Int32Array;

  constructor(
    notes: Note[],
    readonly frameRate: number,
  ) {
    this.notes = [...notes].sort(
      (a, b) => a.start - b.start || a.end - b.end || a.pitch - b.pitch || a.velocity - b.velocity,
    );
    this.starts = Int32Array.from(this.notes, (note) => toFrame(note.start, frameRate));
    // A key that is still held on a keyboard has no end yet.
    this.stops = Int32Array.from(this.notes, (note, i) =>
      Math.max(Math.min(toFrame(note.end, frameRate), 2 ** 30), this.starts[i] + 1),
    );
    this.nFrames = this.stops.reduce((a, b) => Math.max(a, b), 0);
  }

  /** Frames `start` to `stop` written into `out`, (stop − start) × 176; `out` must be zero. */
  window(start: number, stop: number, out: Float32Array): void {
    const first = Math.max(start, 0);
    const last = Math.max(Math.min(stop, this.nFrames), first);
    for (let i = 0; i < this.notes.length && this.starts[i] < last; i++) {
      if (this.stops[i] <= first) continue;
      const key = this.notes[i].pitch - lowestPitch;
      const value = Math.fround(this.notes[i].velocity / 127);
      const end = Math.min(this.stops[i], last) - start;
      for (let k = Math.max(this.starts[i], first) - start; k < end; k++) {
        const at = k * N_CHANNELS + key;
        if (out[at] < value) out[at] = value;
      }
      if (this.starts[i] >= first) {
        const at = (this.starts[i] - start) * N_CHANNELS + key + nPitches;
        if (out[at] < value) out[at] = value;
      }
    }
  }
}

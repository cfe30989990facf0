// Score → piano roll, as src/timbrel/score/piano_roll.py makes it, bit for bit.

import constants from "../constants.json";
import { inOrder, pitchOf, type Note } from "./score";

/** The frame that a time falls into; halves go up. */
export function toFrame(time: number, frameRate: number): number {
  return Math.floor(time * frameRate + 0.5);
}

/**
 * Notes of which no two strike one key in one frame: one remains, as loud as the loudest, as long as
 * the longest.
 */
export function struckOnce(notes: readonly Note[], frameRate: number): Note[] {
  const kept = new Map<string, Note>();
  for (const note of inOrder(notes)) {
    const key = `${pitchOf(note)} ${toFrame(note.start, frameRate)}`;
    const { velocity, end } = kept.get(key) ?? note;
    kept.set(key, {
      ...(kept.get(key) ?? note),
      velocity: Math.max(velocity, note.velocity),
      end: Math.max(end, note.end),
    });
  }
  return [...kept.values()];
}

/** The roll of some notes, made window by window so that its length costs no memory. */
export class PianoRoll {
  /** Sorted by start, end, pitch, velocity. */
  readonly notes: readonly Note[];
  readonly nFrames: number;
  protected readonly starts: Int32Array;
  protected readonly stops: Int32Array;
  protected readonly values: Float32Array;
  private readonly latestStops: Int32Array;

  constructor(
    notes: readonly Note[],
    readonly frameRate: number,
    private readonly lowestKey = constants.lowestPitch,
    protected readonly nKeys = constants.nPitches,
  ) {
    this.notes = inOrder(notes);
    this.starts = Int32Array.from(this.notes, (note) => toFrame(note.start, frameRate));
    // A key that is still held on a keyboard has no end yet.
    this.stops = Int32Array.from(this.notes, (note, i) =>
      Math.max(Math.min(toFrame(note.end, frameRate), 2 ** 30), this.starts[i] + 1),
    );
    this.values = Float32Array.from(this.notes, ({ velocity }) => velocity / 127);
    let latest = 0;
    this.latestStops = this.stops.map((stop) => (latest = Math.max(latest, stop)));
    this.nFrames = latest;
  }

  /** Width of the roll. */
  get nChannels(): number {
    return 2 * this.nKeys;
  }

  /** Frames `start` to `stop` written into `out`, (stop − start) × nChannels; `out` must be zero. */
  window(start: number, stop: number, out: Float32Array): void {
    const { nChannels } = this;
    const first = Math.max(start, 0);
    const last = Math.max(Math.min(stop, this.nFrames), first);
    for (let i = 0; i < this.notes.length && this.starts[i] < last; i++) {
      if (this.stops[i] <= first) continue;
      const key = Math.floor(pitchOf(this.notes[i]) + 0.5) - this.lowestKey;
      const value = this.values[i];
      const end = Math.min(this.stops[i], last) - start;
      for (let k = Math.max(this.starts[i], first) - start; k < end; k++) {
        raise(out, k * nChannels + key, value);
      }
      if (this.starts[i] >= first) {
        raise(out, (this.starts[i] - start) * nChannels + key + this.nKeys, value);
      }
    }
  }

  /** The first frame from `frame` on in which a note sounds; null if there is none. */
  firstSounding(frame: number): number | null {
    const last = this.lastStop(frame);
    if (last !== null && last > frame) return frame;
    const index = this.nBegun(frame);
    return index < this.starts.length ? this.starts[index] : null;
  }

  /** Where the last-ending note ends that begins before `frame`; null if there is none. */
  lastStop(frame: number): number | null {
    const index = this.nBegun(frame);
    return index ? this.latestStops[index - 1] : null;
  }

  /** How many notes begin before a frame. */
  protected nBegun(frame: number): number {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle] < frame) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Make a value of an array at least so high. */
export function raise(array: Float32Array, at: number, value: number): void {
  if (array[at] < value) array[at] = value;
}

// Score → piano roll of all 128 keys, with bends, as src/timbrel/score/performance_roll.py makes it.

import constants from "../constants.json";
import { AS_WRITTEN, Pitches } from "./pitch";
import { PianoRoll, raise } from "./roll";
import { pitchOf, type Note, type Track } from "./score";

export const N_KEYS = 128;

/** The roll of some notes of a track, of the kind that a model reads. */
export function rollOf(
  kind: string,
  track: Track,
  notes: readonly Note[],
  frameRate: number,
): PianoRoll {
  if (kind !== constants.performance) return new PianoRoll(notes, frameRate);
  return new PerformanceRoll(notes, frameRate, track.isKit, Pitches.of(track));
}

/** The width of a kind of roll. */
export function rollSize(kind: string): number {
  return (
    2 * (kind === constants.performance ? N_KEYS : constants.nPitches) +
    Number(kind === constants.performance)
  );
}

/**
 * A note appears at the key nearest to its sounding pitch; the last channel holds the deviation of
 * the newest note from its key, doubled: from −1 to 1. The keys of a kit are not bent.
 */
export class PerformanceRoll extends PianoRoll {
  readonly pitches: Pitches;
  private readonly betweenKeys: boolean;

  constructor(
    notes: readonly Note[],
    frameRate: number,
    readonly isKit = false,
    pitches = AS_WRITTEN,
  ) {
    super(notes, frameRate, 0, N_KEYS);
    this.pitches = isKit ? AS_WRITTEN : pitches;
    const offKeys = this.notes.some((note) => pitchOf(note) % 1 !== 0);
    this.betweenKeys = this.pitches.isBent || this.pitches.hasVibrato || offKeys;
  }

  override get nChannels(): number {
    return 2 * N_KEYS + 1;
  }

  override window(start: number, stop: number, out: Float32Array): void {
    if (!this.betweenKeys) return super.window(start, stop, out);
    const { nChannels } = this;
    const first = Math.max(start, 0);
    const last = Math.max(Math.min(stop, this.nFrames), first);
    const begun = this.nBegun(last);
    for (let i = 0; i < begun; i++) {
      if (this.stops[i] <= first) continue;
      const begin = Math.max(this.starts[i], first);
      const end = Math.min(this.stops[i], last);
      for (let frame = begin; frame < end; frame++) {
        const [key] = this.nearest(i, frame);
        const at = (frame - start) * nChannels + key;
        raise(out, at, this.values[i]);
        if (frame === this.starts[i]) raise(out, at + N_KEYS, this.values[i]);
      }
    }
    // Of the newest note, also when it is over: what rings on is bent as well.
    for (let frame = first; frame < last; frame++) {
      const newest = this.nBegun(frame + 1) - 1;
      if (newest < 0) continue;
      const [, rest] = this.nearest(newest, frame);
      out[(frame - start + 1) * nChannels - 1] = 2 * rest;
    }
  }

  /** Notes that begin before frame `last`, and are heard, so long before and after, in some frames. */
  heardBetween(start: number, stop: number, last: number, beforeS: number, afterS: number): Note[] {
    const [from, to] = [start / this.frameRate, stop / this.frameRate];
    return this.notes
      .slice(0, this.nBegun(last))
      .filter((note) => note.start - beforeS < to && note.end + afterS > from);
  }

  /** The key nearest to where a note sounds in a frame, and how far it is above it. */
  private nearest(index: number, frame: number): [number, number] {
    const note = this.notes[index];
    const pitch = pitchOf(note) + this.pitches.shift(frame / this.frameRate, note.start);
    const key = Math.min(Math.max(Math.floor(pitch + 0.5), 0), N_KEYS - 1);
    return [key, Math.min(Math.max(pitch - key, -0.5), 0.5)];
  }
}

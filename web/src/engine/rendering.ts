// A piece that is computed beforehand, for a computer that is too slow to compute it while it plays. It
// may be played while it grows.

import { Parts, type PartPlace } from "../audio/parts";
import type { Point } from "../timbre/timbre";
import type { Place, Playing, Source, Step } from "./source";

/** A step of which the sound and the mel lie in a part. */
interface Entry extends PartPlace {
  at: number;
  nSamples: number;
  nMel: number;
  points: readonly Point[];
  nTracks: number;
}

export class Rendering implements Source {
  readonly computes = false;
  readonly hop: number;
  readonly nFrames: number;
  readonly nSamples: number;
  readonly sampleRate: number;
  readonly hopLength: number;
  /** Whether no step is missing any more. */
  complete = false;
  private readonly entries: Entry[] = [];
  private readonly parts = new Parts();

  /** Nothing yet, of a piece that a source would give from a frame on. */
  constructor(
    { hop, nFrames, nSamples, sampleRate, hopLength }: Source,
    readonly first = 0,
  ) {
    this.hop = hop;
    this.nFrames = nFrames;
    this.nSamples = nSamples;
    this.sampleRate = sampleRate;
    this.hopLength = hopLength;
  }

  /** Take the next step; the first one is that of frame `first`. */
  add({ at, mix: [left, right], mel, points, nTracks }: Step): void {
    const values = new Float32Array(2 * left.length + mel.length);
    values.set(left);
    values.set(right, left.length);
    values.set(mel, 2 * left.length);
    const place = this.parts.add(values.buffer);
    const sizes = { nSamples: left.length, nMel: mel.length };
    this.entries.push({ ...place, ...sizes, at, points, nTracks });
  }

  /** Whether a step is there already. */
  has({ frame }: Place): boolean {
    const index = (frame - this.first) / this.hop;
    return index >= 0 && index < this.entries.length;
  }

  async start(frame: number): Promise<Place> {
    return { frame };
  }

  async regrouped(before: Place): Promise<Place> {
    return before;
  }

  async step(place: Place, _playing: Playing, from: number): Promise<Step> {
    const { frame } = place;
    const entry = this.entries[(frame - this.first) / this.hop];
    const { at, nSamples, nMel, points, nTracks } = entry;
    const length = 2 * nSamples + nMel;
    const bytes = await this.parts.read(entry, length * Float32Array.BYTES_PER_ELEMENT);
    const values = new Float32Array(bytes);
    const cut = Math.min(Math.max(from * this.hopLength - at, 0), nSamples);
    return {
      at: at + cut,
      mix: [values.slice(cut, nSamples), values.slice(nSamples + cut, 2 * nSamples)],
      mel: values.slice(2 * nSamples),
      frame,
      nTracks,
      nAsleep: 0,
      points,
      next: { frame: frame + this.hop },
    };
  }
}

// A piece that was computed beforehand, for a computer that is too slow to compute it while it plays.

import { Parts } from "../audio/parts";
import type { Place, Playing, Source, Step } from "./source";

/** A step of which the sound and the mel lie in a part. */
interface Entry {
  part: number;
  offset: number;
  at: number;
  nSamples: number;
  nMel: number;
  timbre: Float32Array;
  nTracks: number;
}

export class Rendering implements Source {
  readonly computes = false;
  readonly hop: number;
  readonly nFrames: number;
  readonly nSamples: number;
  private readonly entries: Entry[] = [];
  private readonly parts = new Parts();
  private blobs: Blob[] = [];
  private open: { part: number; bytes: ArrayBuffer } | null = null;

  /** Nothing yet, of a piece that a source would give. */
  constructor({ hop, nFrames, nSamples }: Source) {
    this.hop = hop;
    this.nFrames = nFrames;
    this.nSamples = nSamples;
  }

  /** Take the next step; the first one is that of frame 0. */
  add({ at, mix: [left, right], mel, timbre, nTracks }: Step): void {
    const values = new Float32Array(2 * left.length + mel.length);
    values.set(left);
    values.set(right, left.length);
    values.set(mel, 2 * left.length);
    const place = this.parts.add(values.buffer);
    const sizes = { nSamples: left.length, nMel: mel.length };
    this.entries.push({ ...place, ...sizes, at, timbre, nTracks });
  }

  /** No step is missing any more. */
  finish(): void {
    this.blobs = this.parts.finish();
  }

  async start(frame: number): Promise<Place> {
    return { frame };
  }

  async regrouped(before: Place): Promise<Place> {
    return before;
  }

  async step({ frame }: Place, _playing: Playing, from: number): Promise<Step> {
    const { part, offset, at, nSamples, nMel, timbre, nTracks } = this.entries[frame / this.hop];
    const values = new Float32Array(await this.bytesOf(part), offset, 2 * nSamples + nMel);
    const first = Math.round((from * this.nSamples) / this.nFrames);
    const cut = Math.min(Math.max(first - at, 0), nSamples);
    return {
      at: at + cut,
      mix: [values.slice(cut, nSamples), values.slice(nSamples + cut, 2 * nSamples)],
      mel: values.slice(2 * nSamples),
      frame,
      nTracks,
      timbre,
      next: { frame: frame + this.hop },
    };
  }

  private async bytesOf(part: number): Promise<ArrayBuffer> {
    if (this.open?.part !== part) {
      this.open = { part, bytes: await this.blobs[part].arrayBuffer() };
    }
    return this.open.bytes;
  }
}

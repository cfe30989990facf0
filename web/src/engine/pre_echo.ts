// Nothing of a stroke is heard before it, as src/timbrel/vocoder/pre_echo.py holds it back.

import constants from "../constants.json";

const { reachS, referenceS, blocksPerHop } = constants.preEcho;

/** For the tracks of one vocoder; what is remembered of a track are the levels of its last blocks. */
export class PreEchoControl {
  /** How many levels are remembered. */
  readonly nBlocks: number;
  private readonly block: number;
  private readonly reach: number;
  private readonly reference: number;

  constructor(sampleRate: number, hopLength: number) {
    this.block = Math.floor(hopLength / blocksPerHop);
    this.reach = Math.round(reachS * sampleRate);
    this.reference = Math.round(referenceS * sampleRate);
    this.nBlocks = Math.ceil((this.reach + this.reference) / this.block) + 1;
  }

  /**
   * Hold back whole hops of a track's audio, in place, and give the levels to remember.
   *
   * @param levels remembered from before
   * @param onsets the samples in which strokes begin, rising
   * @param begin the sample in which the audio begins
   */
  process(
    audio: Float32Array,
    levels: Float32Array,
    onsets: ArrayLike<number>,
    begin: number,
  ): Float32Array {
    const all = this.levelsOf(audio, levels);
    const { gains, early } = this.held(all, onsets, begin, audio.length);
    for (let sample = 0; sample < audio.length; sample++) {
      if (!early[sample]) continue;
      const at = this.nBlocks + Math.floor(sample / this.block);
      const share = ((sample % this.block) + 1) / this.block;
      audio[sample] *= gains[at - 1] + (gains[at] - gains[at - 1]) * share;
    }
    return all.slice(-this.nBlocks);
  }

  /** The mean squares of the blocks, behind those of before. */
  private levelsOf(audio: Float32Array, before: Float32Array): Float32Array {
    const n = audio.length / this.block;
    const all = new Float32Array(this.nBlocks + n);
    all.set(before);
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let at = i * this.block; at < (i + 1) * this.block; at++) sum += audio[at] ** 2;
      all[this.nBlocks + i] = sum / this.block;
    }
    return all;
  }

  /** The gain that each block comes to, and which samples lie shortly before a stroke. */
  private held(
    levels: Float32Array,
    onsets: ArrayLike<number>,
    begin: number,
    nSamples: number,
  ): { gains: Float32Array; early: Uint8Array } {
    const { block, nBlocks, reach, reference } = this;
    const gains = new Float32Array(levels.length).fill(1);
    const early = new Uint8Array(nSamples);
    const first = Math.floor(begin / block) - nBlocks; // the block that the first level is of
    let previous: number | null = null;
    for (let i = 0; i < onsets.length && onsets[i] < begin + nSamples + reach; i++) {
      const onset = onsets[i];
      if (onset === previous) continue;
      // The stroke before is not held back.
      const from =
        previous === null ? onset - reach : Math.max(onset - reach, previous + reference);
      previous = onset;
      if (onset <= begin) continue;
      const start = Math.ceil(from / block);
      const stop = Math.min(Math.ceil(onset / block) - first, levels.length);
      if (start - first >= stop) continue;
      const before = levels.subarray(
        Math.max(start - first - Math.floor(reference / block), 0),
        start - first,
      );
      const level = before.reduce((a, b) => a + b, 0) / before.length;
      for (let at = start - first; at < stop; at++) {
        const above = Math.max(levels[at], level);
        gains[at] = above ? Math.sqrt(level / above) : 0;
      }
      early.fill(1, Math.max(start * block - begin, 0), Math.max(onset - begin, 0));
    }
    return { gains, early };
  }
}

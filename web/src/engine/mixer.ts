// Tracks → one stereo mix, their sum, as src/timbrel/mixer.py makes it.

import constants from "../constants.json";
import { valueAt, type Track } from "../score/score";

const { smoothingBlockS } = constants;

export class Mixer {
  private readonly step: number;

  constructor(
    private readonly tracks: Track[],
    private readonly sampleRate: number,
  ) {
    this.step = Math.round(smoothingBlockS * sampleRate);
  }

  /** Mix n samples of some tracks, (tracks, n), that begin at a sample of the score. */
  process(
    audio: Float32Array,
    tracks: readonly number[],
    n: number,
    position: number,
  ): [Float32Array, Float32Array] {
    const sums: [Float32Array, Float32Array] = [new Float32Array(n), new Float32Array(n)];
    tracks.forEach((track, i) => {
      this.add(this.tracks[track], audio.subarray(i * n, (i + 1) * n), position, sums);
    });
    return sums;
  }

  private add(
    track: Track,
    sound: Float32Array,
    position: number,
    sums: [Float32Array, Float32Array],
  ): void {
    const still = track.gain.times.length === 1 && track.pan.times.length === 1;
    let point = -1;
    let from = [0, 0];
    let to = still ? this.sides(track, 0) : from;
    for (let i = 0; i < sound.length; i++) {
      let left = to[0];
      let right = to[1];
      if (!still) {
        // Volume and pan move in straight lines between points that do not depend on the blocks.
        const current = Math.floor((position + i) / this.step);
        if (current !== point) {
          point = current;
          from = this.sides(track, (point * this.step) / this.sampleRate);
          to = this.sides(track, ((point + 1) * this.step) / this.sampleRate);
        }
        const share = (position + i - point * this.step) / this.step;
        left = from[0] + share * (to[0] - from[0]);
        right = from[1] + share * (to[1] - from[1]);
      }
      sums[0][i] += sound[i] * left;
      sums[1][i] += sound[i] * right;
    }
  }

  private sides(track: Track, time: number): [number, number] {
    const gain = valueAt(track.gain, time);
    const angle = ((valueAt(track.pan, time) + 1) * Math.PI) / 4;
    return [gain * Math.SQRT2 * Math.cos(angle), gain * Math.SQRT2 * Math.sin(angle)];
  }
}

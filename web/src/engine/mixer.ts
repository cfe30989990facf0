// Tracks → one stereo mix, their sum, as src/timbrel/mixer.py makes it. The limiter's state is a value that is
// never altered, so that the engine can go back to an earlier one.

import constants from "../constants.json";
import { valueAt, type Track } from "../score/score";

const { ceiling, limiterLookaheadS, limiterReleaseS, limiterNegligible, smoothingBlockS } =
  constants;

export interface MixerState {
  /** Samples kept back, left and right. */
  held: [Float32Array, Float32Array];
  /** Reductions of the last samples that went out. */
  reductions: Float64Array;
  begun: boolean;
}

export class Mixer {
  readonly lookahead: number;
  private readonly logRelease: number;
  private readonly step: number;

  constructor(
    private readonly tracks: Track[],
    private readonly sampleRate: number,
  ) {
    this.lookahead = Math.round(limiterLookaheadS * sampleRate);
    this.logRelease = -1 / (limiterReleaseS * sampleRate);
    this.step = Math.round(smoothingBlockS * sampleRate);
  }

  start(): MixerState {
    return {
      held: [new Float32Array(0), new Float32Array(0)],
      reductions: new Float64Array(this.lookahead),
      begun: false,
    };
  }

  /**
   * Mix n samples of some tracks, (tracks, n), that begin at a sample of the score; the newest 5 ms
   * stay behind.
   */
  process(
    audio: Float32Array,
    tracks: readonly number[],
    n: number,
    position: number,
    state: MixerState,
  ): { mix: [Float32Array, Float32Array]; state: MixerState } {
    const nHeld = state.held[0].length;
    const sums = state.held.map((held) => {
      const sum = new Float32Array(nHeld + n);
      sum.set(held);
      return sum;
    }) as [Float32Array, Float32Array];
    tracks.forEach((track, i) => {
      this.add(this.tracks[track], audio.subarray(i * n, (i + 1) * n), position, sums, nHeld);
    });
    return this.limited(sums, state);
  }

  private add(
    track: Track,
    sound: Float32Array,
    position: number,
    sums: [Float32Array, Float32Array],
    offset: number,
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
      sums[0][offset + i] += sound[i] * left;
      sums[1][offset + i] += sound[i] * right;
    }
  }

  private sides(track: Track, time: number): [number, number] {
    const gain = valueAt(track.gain, time);
    const angle = ((valueAt(track.pan, time) + 1) * Math.PI) / 4;
    return [gain * Math.SQRT2 * Math.cos(angle), gain * Math.SQRT2 * Math.sin(angle)];
  }

  private limited(
    samples: [Float32Array, Float32Array],
    state: MixerState,
  ): { mix: [Float32Array, Float32Array]; state: MixerState } {
    const n = this.lookahead;
    const nOut = Math.max(samples[0].length - n, 0);
    const held = samples.map((side) => side.slice(nOut)) as [Float32Array, Float32Array];
    if (nOut === 0)
      return { mix: [new Float32Array(0), new Float32Array(0)], state: { ...state, held } };
    const wanted = new Float64Array(nOut + n);
    let any = false;
    for (let i = 0; i < samples[0].length; i++) {
      const peak = Math.max(Math.abs(samples[0][i]), Math.abs(samples[1][i]));
      if (peak > ceiling) {
        wanted[i] = 1 - ceiling / peak;
        any = true;
      }
    }
    let { reductions } = state;
    if (!state.begun) {
      // What is loud in the first samples was held before them.
      const most = wanted.subarray(0, n + 1).reduce((a, b) => Math.max(a, b), 0);
      reductions = new Float64Array(n).fill(most);
    }
    const mix = samples.map((side) => side.slice(0, nOut)) as [Float32Array, Float32Array];
    if (!any && !reductions.some((value) => value !== 0)) {
      return { mix, state: { held, reductions, begun: true } };
    }
    // The largest reduction that the next samples want, released exponentially, then averaged over
    // the look-ahead: it has come down in full when the peak arrives.
    const history = new Float64Array(n + nOut);
    history.set(reductions);
    const decay = Math.exp(this.logRelease);
    let released = reductions[n - 1];
    let sum = reductions.reduce((a, b) => a + b, 0);
    for (let i = 0; i < nOut; i++) {
      let ahead = 0;
      for (let k = i; k <= i + n; k++) if (wanted[k] > ahead) ahead = wanted[k];
      released = Math.max(ahead, released * decay);
      history[n + i] = released < limiterNegligible ? 0 : released;
      sum += history[n + i];
      const gain = 1 - sum / (n + 1);
      sum -= history[i];
      mix[0][i] *= gain;
      mix[1][i] *= gain;
    }
    return { mix, state: { held, reductions: history.slice(-n), begun: true } };
  }
}

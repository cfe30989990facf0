// The look-ahead limiter of src/timbrel/limiter.py. Its state is a value that is never altered, so
// that the engine can go back to an earlier one.

import { joined } from "../audio/joined";
import constants from "../constants.json";
import { factorOf, REACH, truePeaks, type Sides } from "./loudness";

const { ceilingDbtp, marginDb, lookaheadS, releaseS, negligible } = constants.limiter;

/** The loudest true peak that it lets through. */
export const CEILING_DB = ceilingDbtp - marginDb;

export interface LimiterState {
  /** Samples kept back, left and right. */
  readonly held: Sides;
  /** The samples before those whose peaks are not known yet. */
  readonly past: Sides;
  /** Reductions that the first of the samples that are held want. */
  readonly wanted: Float64Array;
  /** Reductions of the last samples that went out. */
  readonly reductions: Float64Array;
  readonly begun: boolean;
}

export class Limiter {
  readonly lookahead: number;
  private readonly factor: number;
  private readonly ceiling = factorOf(CEILING_DB);
  private readonly decay: number;

  /** @param gainDb before the limiter */
  constructor(sampleRate: number, gainDb: number) {
    this.lookahead = Math.round(lookaheadS * sampleRate);
    this.factor = factorOf(gainDb);
    this.decay = Math.exp(-1 / (releaseS * sampleRate));
  }

  start(): LimiterState {
    return {
      held: [new Float32Array(0), new Float32Array(0)],
      past: [new Float32Array(REACH - 1), new Float32Array(REACH - 1)],
      wanted: new Float64Array(0),
      reductions: new Float64Array(this.lookahead),
      begun: false,
    };
  }

  /** Samples that are kept back once it runs. */
  get delay(): number {
    return this.lookahead + REACH;
  }

  process(sides: Sides, state: LimiterState): { mix: Sides; state: LimiterState } {
    const loud = sides.map((side) => side.map((value) => this.factor * value)) as Sides;
    const samples = loud.map((side, i) => joined(state.held[i], side)) as Sides;
    const near = loud.map((side, i) => joined(state.past[i], side)) as Sides;
    const peaks = truePeaks(near);
    const past = near.map((side) => side.slice(peaks.length)) as Sides;
    const all = new Float64Array(state.wanted.length + peaks.length);
    all.set(state.wanted);
    peaks.forEach((peak, i) => {
      if (peak > this.ceiling) all[state.wanted.length + i] = 1 - this.ceiling / peak;
    });
    const nOut = Math.max(all.length - this.lookahead, 0);
    const mix = samples.map((side) => side.slice(0, nOut)) as Sides;
    const held = samples.map((side) => side.slice(nOut)) as Sides;
    const after = { held, past, wanted: all.slice(nOut) };
    if (!nOut) return { mix, state: { ...state, ...after } };
    const reductions = this.reduce(mix, all, state);
    return { mix, state: { ...after, reductions, begun: true } };
  }

  /** Turn samples down; gives the last reductions. */
  private reduce(mix: Sides, wanted: Float64Array, state: LimiterState): Float64Array {
    const n = this.lookahead;
    const nOut = mix[0].length;
    let { reductions } = state;
    if (!state.begun) {
      // What is loud in the first samples was held before them.
      const most = wanted.subarray(0, n + 1).reduce((a, b) => Math.max(a, b), 0);
      reductions = new Float64Array(n).fill(most);
    }
    if (!wanted.some((value) => value > 0) && !reductions.some((value) => value > 0)) {
      return reductions;
    }
    // The largest reduction that the next samples want, released exponentially, then averaged over
    // the look-ahead: it has come down in full when the peak arrives.
    const history = new Float64Array(n + nOut);
    history.set(reductions);
    let released = reductions[n - 1];
    let sum = reductions.reduce((a, b) => a + b, 0);
    for (let i = 0; i < nOut; i++) {
      let ahead = 0;
      const end = Math.min(i + n, wanted.length - 1);
      for (let k = i; k <= end; k++) if (wanted[k] > ahead) ahead = wanted[k];
      released = Math.max(ahead, released * this.decay);
      history[n + i] = released < negligible ? 0 : released;
      sum += history[n + i];
      const gain = 1 - sum / (n + 1);
      sum -= history[i];
      mix[0][i] *= gain;
      mix[1][i] *= gain;
    }
    return history.slice(-n);
  }
}

// Loudness and true peak, as src/timbrel/loudness.py measures them.

import { joined } from "../audio/joined";
import constants from "../constants.json";

const { stepS, stepsPerBlock, absoluteGateLufs, relativeGateLu, offsetLu, shelf, highPass } =
  constants.loudness;
const KERNELS = constants.loudness.interpolation;
/** Samples on both sides that a value between two samples is made of. */
export const REACH = KERNELS[0].length / 2;

export type Sides = [Float32Array, Float32Array];

export interface Loudness {
  /** −Infinity where all of it lies below the absolute gate. */
  lufs: number;
  peakDb: number;
}

export const decibels = (factor: number): number => 20 * Math.log10(factor);
export const factorOf = (db: number): number => 10 ** (db / 20);

/** The loudness of a K-weighted power, a mean square summed over channels. */
export function lufs(power: number): number {
  return power > 0 ? offsetLu + 10 * Math.log10(power) : -Infinity;
}

/** The mean power of those of some blocks that the gates let through; 0 where none is. */
export function gatedPower(blocks: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const floor = 10 ** ((absoluteGateLufs - offsetLu) / 10);
  const heard = blocks.filter((power) => power > floor);
  if (!heard.length) return 0;
  const gate = mean(heard) * 10 ** (relativeGateLu / 10);
  return mean(heard.filter((power) => power > gate));
}

/** Powers of steps of 100 ms → those of the overlapping blocks. */
export function blockPowers(steps: ArrayLike<number>): number[] {
  const n = Math.max(steps.length, stepsPerBlock);
  const blocks: number[] = [];
  for (let first = 0; first + stepsPerBlock <= n; first++) {
    let sum = 0;
    for (let i = first; i < first + stepsPerBlock; i++) sum += steps[i] ?? 0;
    blocks.push(sum / stepsPerBlock);
  }
  return blocks;
}

/**
 * The loudest value from each sample up to the next one, of both sides; the first REACH − 1 samples
 * and the last REACH are there for their neighbours' sake.
 */
export function truePeaks(sides: Sides): Float32Array {
  const n = Math.max(sides[0].length - 2 * REACH + 1, 0);
  const peaks = new Float32Array(n);
  for (const side of sides) {
    for (let i = 0; i < n; i++) {
      let peak = Math.max(peaks[i], Math.abs(side[REACH - 1 + i]));
      for (const kernel of KERNELS) {
        let value = 0;
        for (let k = 0; k < 2 * REACH; k++) value += kernel[k] * side[i + k];
        peak = Math.max(peak, Math.abs(value));
      }
      peaks[i] = peak;
    }
  }
  return peaks;
}

/** Measures sound that comes in blocks. */
export class LoudnessMeter {
  private readonly step: number;
  private readonly filters: Biquad[][];
  private readonly steps: number[] = [];
  private sum = 0; // of the squares of a step that is not complete
  private n = 0;
  private near: Sides = [new Float32Array(2 * REACH), new Float32Array(2 * REACH)];
  private peak = 0;

  constructor(sampleRate: number) {
    this.step = Math.round(stepS * sampleRate);
    this.filters = [0, 1].map(() => weighting(sampleRate));
  }

  add(sides: Sides): void {
    for (let i = 0; i < sides[0].length; i++) {
      sides.forEach((side, channel) => {
        let value = side[i];
        for (const filter of this.filters[channel]) value = filter.next(value);
        this.sum += value * value;
      });
      if (++this.n < this.step) continue;
      this.steps.push(this.sum / this.step);
      this.sum = this.n = 0;
    }
    this.near = this.near.map((before, i) => joined(before, sides[i])) as Sides;
    this.peak = truePeaks(this.near).reduce((a, b) => Math.max(a, b), this.peak);
    this.near = this.near.map((side) => side.slice(-2 * REACH)) as Sides;
  }

  get measured(): Loudness {
    const rest = this.near.map((side) => joined(side, new Float32Array(REACH))) as Sides;
    const peak = truePeaks(rest).reduce((a, b) => Math.max(a, b), this.peak);
    const isShort = this.steps.length < stepsPerBlock;
    const steps = isShort ? [...this.steps, this.sum / this.step] : this.steps;
    return { lufs: lufs(gatedPower(blockPowers(steps))), peakDb: decibels(peak) };
  }
}

/** A filter of second order; `above` and `below` begin with the newest sample's coefficient. */
class Biquad {
  private first = 0;
  private second = 0;

  constructor(
    private readonly above: number[],
    private readonly below: number[],
  ) {}

  next(value: number): number {
    const { above, below } = this;
    const out = above[0] * value + this.first;
    this.first = above[1] * value - below[1] * out + this.second;
    this.second = above[2] * value - below[2] * out;
    return out;
  }
}

function weighting(sampleRate: number): Biquad[] {
  const tangent = (hz: number) => Math.tan((Math.PI * hz) / sampleRate);
  const poles = (k: number, q: number) => [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k];
  const biquad = (above: number[], below: number[]) =>
    new Biquad(
      above.map((value) => value / below[0]),
      below.map((value) => value / below[0]),
    );
  const k = tangent(shelf.hz);
  const high = factorOf(shelf.db);
  const band = (high ** shelf.bandExponent * k) / shelf.q;
  const below = poles(tangent(highPass.hz), highPass.q);
  return [
    biquad([high + band + k * k, 2 * (k * k - high), high - band + k * k], poles(k, shelf.q)),
    biquad(
      [1, -2, 1].map((value) => value * below[0]),
      below,
    ),
  ];
}

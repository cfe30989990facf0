// Sound at another sample rate, by windowed sinc: steeper than what the worklet plays with, so that
// what the networks hear is what they hear in Python.

import { sinc } from "../audio/resampler";
import { joined } from "../audio/joined";

const CROSSINGS = 48; // of the sinc, to either side
const PASSED = 0.96; // of what the lower rate can hold
const KAISER_BETA = 11;

/** A whole sound at another rate. */
export function resampled(audio: Float32Array, from: number, to: number): Float32Array {
  const stream = new Resampling(from, to);
  return joined(stream.push(audio), stream.finish());
}

/** Resamples a stream, in blocks of any length. */
export class Resampling {
  /** How long after a sample its surroundings are known, in seconds. */
  readonly latencyS: number;
  private readonly up: number;
  private readonly down: number;
  private readonly cutoff: number; // of half of the old rate
  private readonly reach: number; // samples to either side
  private readonly kernels = new Map<number, Float64Array>();
  private heard: Float32Array = new Float32Array(0);
  private first = 0; // the sample that `heard` begins with
  private given = 0;

  constructor(from: number, to: number) {
    const shared = divisor(from, to);
    [this.up, this.down] = [to / shared, from / shared];
    this.cutoff = PASSED * Math.min(1, to / from);
    this.reach = Math.ceil(CROSSINGS / this.cutoff);
    this.latencyS = from === to ? 0 : (this.reach + 1) / from;
  }

  /** Take more samples; gives those of the new rate whose surroundings are known. */
  push(audio: Float32Array): Float32Array {
    const { up, down, reach } = this;
    if (up === down) return audio;
    this.heard = joined(this.heard, audio);
    const end = this.first + this.heard.length;
    // The last one of which the kernel ends before `end`.
    const found = this.until(Math.ceil(((end - reach) * up) / down));
    const next = Math.floor((this.given * down) / up) - reach + 1;
    const done = Math.min(Math.max(next - this.first, 0), this.heard.length);
    this.heard = this.heard.slice(done);
    this.first += done;
    return found;
  }

  /** The samples that are left, with silence after the last one. */
  finish(): Float32Array {
    const { up, down } = this;
    if (up === down) return new Float32Array(0);
    return this.until(Math.round(((this.first + this.heard.length) * up) / down));
  }

  private until(stop: number): Float32Array {
    const { up, down, reach, heard, given } = this;
    const out = new Float32Array(Math.max(stop - given, 0));
    for (let i = 0; i < out.length; i++) {
      const position = (given + i) * down;
      const phase = position % up;
      const kernel = this.kernelOf(phase);
      const first = (position - phase) / up - reach + 1 - this.first;
      const begin = Math.max(-first, 0);
      const end = Math.min(kernel.length, heard.length - first);
      let value = 0;
      for (let tap = begin; tap < end; tap++) value += kernel[tap] * heard[first + tap];
      out[i] = value;
    }
    this.given += out.length;
    return out;
  }

  private kernelOf(phase: number): Float64Array {
    let kernel = this.kernels.get(phase);
    if (!kernel) {
      kernel = kernelAt(phase / this.up, this.reach, this.cutoff);
      this.kernels.set(phase, kernel);
    }
    return kernel;
  }
}

/** Weights of the samples around a position that lies so far behind one of them. */
function kernelAt(fraction: number, reach: number, cutoff: number): Float64Array {
  return Float64Array.from({ length: 2 * reach }, (_, tap) => {
    const x = tap - reach + 1 - fraction;
    const window = bessel(KAISER_BETA * Math.sqrt(Math.max(1 - (x / reach) ** 2, 0)));
    return (cutoff * sinc(cutoff * x) * window) / bessel(KAISER_BETA);
  });
}

/** The modified Bessel function of order 0, by its series. */
function bessel(x: number): number {
  let [term, sum] = [1, 1];
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function divisor(a: number, b: number): number {
  return b ? divisor(b, a % b) : a;
}

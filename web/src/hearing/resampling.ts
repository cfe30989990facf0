// A whole sound at another sample rate, by windowed sinc: steeper than what the worklet plays with, so
// that what the networks hear is what they hear in Python.

import { sinc } from "../audio/resampler";

const CROSSINGS = 48; // of the sinc, to either side
const PASSED = 0.96; // of what the lower rate can hold
const KAISER_BETA = 11;

export function resampled(audio: Float32Array, from: number, to: number): Float32Array {
  if (from === to) return audio;
  const shared = divisor(from, to);
  const [up, down] = [to / shared, from / shared];
  const cutoff = PASSED * Math.min(1, to / from); // of half of the old rate
  const reach = Math.ceil(CROSSINGS / cutoff);
  const out = new Float32Array(Math.round((audio.length * to) / from));
  const kernels = new Map<number, Float64Array>();
  for (let i = 0; i < out.length; i++) {
    const position = i * down;
    const phase = position % up;
    let kernel = kernels.get(phase);
    if (!kernel) kernels.set(phase, (kernel = kernelAt(phase / up, reach, cutoff)));
    const first = (position - phase) / up - reach + 1;
    const begin = Math.max(-first, 0);
    const end = Math.min(kernel.length, audio.length - first);
    let value = 0;
    for (let tap = begin; tap < end; tap++) value += kernel[tap] * audio[first + tap];
    out[i] = value;
  }
  return out;
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

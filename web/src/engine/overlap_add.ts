// Short-time spectra and back, as src/timbrel/vocoder/overlap_add.py does it.

import { Fft, hannWindow } from "./fft";

const LEAST_WEIGHT = 1e-3; // where hardly any window reaches, nothing is made louder

/** Of one track, frame by frame: (frames, nFft / 2 + 1). */
export interface Spectra {
  n: number; // frames
  re: Float64Array;
  im: Float64Array;
}

/** What is left of windows that later ones will touch. */
export interface Overlap {
  sound: Float64Array;
  weight: Float64Array;
}

export class OverlapAdd {
  readonly nBins: number;
  /** Windows that overlap one. */
  readonly past: number;
  private readonly window: Float64Array;
  private readonly fft: Fft;

  constructor(
    readonly nFft: number,
    readonly hop: number,
  ) {
    this.nBins = nFft / 2 + 1;
    this.past = nFft / hop;
    this.window = hannWindow(nFft);
    this.fft = new Fft(nFft);
  }

  silence(n: number): Spectra {
    return { n, re: new Float64Array(n * this.nBins), im: new Float64Array(n * this.nBins) };
  }

  part({ re, im }: Spectra, start: number, stop: number): Spectra {
    const { nBins } = this;
    return {
      n: stop - start,
      re: re.slice(start * nBins, stop * nBins),
      im: im.slice(start * nBins, stop * nBins),
    };
  }

  begin(): Overlap {
    const rest = this.nFft - this.hop;
    return { sound: new Float64Array(rest), weight: new Float64Array(rest) };
  }

  /** The samples that no later spectrum touches, and what is left. */
  add(spectra: Spectra, left: Overlap): { sound: Float32Array; left: Overlap } {
    const sound = this.sums(spectra);
    const weight = this.weight(spectra.n);
    left.sound.forEach((value, i) => (sound[i] += value));
    left.weight.forEach((value, i) => (weight[i] += value));
    const nSamples = spectra.n * this.hop;
    return {
      sound: Float32Array.from(
        sound.subarray(0, nSamples),
        (value, i) => value / Math.max(weight[i], LEAST_WEIGHT),
      ),
      left: { sound: sound.slice(nSamples), weight: weight.slice(nSamples) },
    };
  }

  /** The spectra of the sound that has, as nearly as possible, these spectra. */
  consistent(spectra: Spectra): Spectra {
    const sound = this.sums(spectra);
    this.weight(spectra.n).forEach((weight, i) => (sound[i] /= Math.max(weight, LEAST_WEIGHT)));
    return this.transformed(sound, spectra.n);
  }

  /** The spectra of the first `n` windows of a sound. */
  transformed(sound: Float64Array | Float32Array, n: number): Spectra {
    const { nFft, hop, nBins } = this;
    const out = this.silence(n);
    const re = new Float64Array(nFft);
    const im = new Float64Array(nFft);
    // Two real frames make one complex transform.
    for (let frame = 0; frame < n; frame += 2) {
      const at = frame * hop;
      for (let i = 0; i < nFft; i++) {
        re[i] = sound[at + i] * this.window[i];
        im[i] = (sound[at + hop + i] ?? 0) * this.window[i];
      }
      this.fft.forward(re, im);
      for (let bin = 0; bin < nBins; bin++) {
        const mirror = (nFft - bin) % nFft;
        const here = frame * nBins + bin;
        out.re[here] = (re[bin] + re[mirror]) / 2;
        out.im[here] = (im[bin] - im[mirror]) / 2;
        if (frame + 1 === n) continue;
        out.re[here + nBins] = (im[bin] + im[mirror]) / 2;
        out.im[here + nBins] = (re[mirror] - re[bin]) / 2;
      }
    }
    return out;
  }

  /** Windowed inverse transforms, added where they overlap. */
  private sums(spectra: Spectra): Float64Array {
    const { nFft, hop, nBins } = this;
    const sound = new Float64Array((spectra.n + this.past - 1) * hop);
    const re = new Float64Array(nFft);
    const im = new Float64Array(nFft);
    for (let frame = 0; frame < spectra.n; frame += 2) {
      const second = frame + 1 < spectra.n;
      for (let bin = 0; bin < nBins; bin++) {
        const here = frame * nBins + bin;
        // The first and the last bin of a real signal's spectrum are real.
        const real = bin === 0 || bin === nBins - 1;
        const a = spectra.re[here];
        const b = real ? 0 : spectra.im[here];
        const c = second ? spectra.re[here + nBins] : 0;
        const d = second && !real ? spectra.im[here + nBins] : 0;
        re[bin] = a - d;
        im[bin] = b + c;
        if (real) continue;
        re[nFft - bin] = a + d;
        im[nFft - bin] = c - b;
      }
      this.fft.inverse(re, im);
      const at = frame * hop;
      for (let i = 0; i < nFft; i++) {
        const weight = this.window[i] / nFft;
        sound[at + i] += re[i] * weight;
        if (second) sound[at + hop + i] += im[i] * weight;
      }
    }
    return sound;
  }

  private weight(n: number): Float64Array {
    const weight = new Float64Array((n + this.past - 1) * this.hop);
    for (let frame = 0; frame < n; frame++) {
      for (let i = 0; i < this.nFft; i++) weight[frame * this.hop + i] += this.window[i] ** 2;
    }
    return weight;
  }
}

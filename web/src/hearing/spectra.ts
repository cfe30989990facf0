// Power spectra of real signals whose length is a small odd number times a power of two.

import { Fft } from "../engine/fft";

export class Spectra {
  readonly nBins: number;
  /** The odd factor: the signal is taken apart into so many that are transformed by themselves. */
  private readonly odd: number;
  private readonly fft: Fft;
  private readonly re: Float64Array[];
  private readonly im: Float64Array[];
  private readonly cosines: Float64Array;
  private readonly sines: Float64Array;
  private readonly wholeRe: Float64Array;
  private readonly wholeIm: Float64Array;

  constructor(readonly size: number) {
    let power = 1;
    while (size % (2 * power) === 0) power *= 2;
    this.odd = size / power;
    this.nBins = size / 2 + 1;
    this.fft = new Fft(power);
    this.re = Array.from({ length: this.odd }, () => new Float64Array(power));
    this.im = Array.from({ length: this.odd }, () => new Float64Array(power));
    const turn = (2 * Math.PI) / size;
    this.cosines = Float64Array.from({ length: size }, (_, k) => Math.cos(turn * k));
    this.sines = Float64Array.from({ length: size }, (_, k) => -Math.sin(turn * k));
    this.wholeRe = new Float64Array(size);
    this.wholeIm = new Float64Array(size);
  }

  /** The powers of two signals at once, each (size,), into (nBins,) each. */
  powers(signals: [Float64Array, Float64Array], into: [Float64Array, Float64Array]): void {
    const { size, nBins, wholeRe: re, wholeIm: im } = this;
    // Two real signals make one complex one.
    this.transform(signals[0], signals[1]);
    for (let bin = 0; bin < nBins; bin++) {
      const mirror = (size - bin) % size;
      const a = (re[bin] + re[mirror]) / 2;
      const b = (im[bin] - im[mirror]) / 2;
      const c = (im[bin] + im[mirror]) / 2;
      const d = (re[mirror] - re[bin]) / 2;
      into[0][bin] = a * a + b * b;
      into[1][bin] = c * c + d * d;
    }
  }

  private transform(realPart: Float64Array, imaginaryPart: Float64Array): void {
    const { size, odd, fft, re, im, cosines, sines, wholeRe, wholeIm } = this;
    for (let part = 0; part < odd; part++) {
      for (let i = 0, at = part; at < size; i++, at += odd) {
        re[part][i] = realPart[at];
        im[part][i] = imaginaryPart[at];
      }
      fft.forward(re[part], im[part]);
    }
    for (let bin = 0; bin < size; bin++) {
      const at = bin % fft.size;
      let [sumRe, sumIm] = [re[0][at], im[0][at]];
      for (let part = 1; part < odd; part++) {
        const angle = (part * bin) % size;
        const [c, s] = [cosines[angle], sines[angle]];
        sumRe += re[part][at] * c - im[part][at] * s;
        sumIm += re[part][at] * s + im[part][at] * c;
      }
      wholeRe[bin] = sumRe;
      wholeIm[bin] = sumIm;
    }
  }
}

/** Cuts a window around every hop of a sound, silent beyond it, and gives the powers of what is in it. */
export class Frames {
  private readonly spectra: Spectra;
  private readonly cut: [Float64Array, Float64Array];
  private readonly found: [Float64Array, Float64Array];

  /**
   * @param window by which the samples are multiplied
   * @param origin the sample on which frame 0 is centred
   */
  constructor(
    private readonly window: Float64Array,
    private readonly hop: number,
    private readonly origin = 0,
  ) {
    const size = window.length;
    this.spectra = new Spectra(size);
    this.cut = [new Float64Array(size), new Float64Array(size)];
    this.found = [new Float64Array(this.spectra.nBins), new Float64Array(this.spectra.nBins)];
  }

  /** The powers of the frames from `first` to before `last`; frame k is centred on origin + k · hop. */
  each(
    audio: Float32Array,
    first: number,
    last: number,
    use: (frame: number, powers: Float64Array) => void,
  ): void {
    for (let frame = first; frame < last; frame += 2) {
      for (const i of [0, 1] as const) this.windowed(audio, frame + i, this.cut[i]);
      this.spectra.powers(this.cut, this.found);
      use(frame, this.found[0]);
      if (frame + 1 < last) use(frame + 1, this.found[1]);
    }
  }

  private windowed(audio: Float32Array, frame: number, into: Float64Array): void {
    const { window } = this;
    const start = this.origin + frame * this.hop - window.length / 2;
    for (let i = 0; i < window.length; i++) into[i] = (audio[start + i] ?? 0) * window[i];
  }
}

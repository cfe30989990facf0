// Griffin-Lim, as src/timbrel/vocoder/griffin_lim.py does it chunk by chunk; the random phases that it
// begins with are others than Python's, so its sound is of the same kind, not the same.

import { joined } from "../audio/joined";
import type { MelGeometry } from "./bundle";
import type { Ensemble } from "./ensemble";
import { Fft, hannWindow } from "./fft";
import { melBands } from "./mel_bands";
import { scattered } from "./chance";
import type { Vocoder } from "./vocoder";

export const GRIFFIN_LIM = "griffin-lim";
const CHUNK = 32; // frames settled at a time
const AHEAD = 8; // frames tried along
const ITERATIONS = 16;
const MOMENTUM = 0.99;
const SPREAD_ITERATIONS = 24;
const SILENCE = 1e-5;
const LATENCY = 48; // frames, after which every hop has its sound

interface Spectra {
  n: number; // frames
  re: Float64Array; // (frames, bins)
  im: Float64Array;
}

interface Voice {
  chunk: number; // that is settled next
  waiting: Float32Array; // mel
  settled: Spectra;
  tried: Spectra;
  overlap: Float64Array;
  weight: Float64Array;
  ready: Float32Array;
}

export class GriffinLim implements Vocoder<Voice[]> {
  readonly latencyFrames = LATENCY;
  private readonly nBins: number;
  private readonly past: number; // settled frames that overlap a chunk
  private readonly window: Float64Array;
  private readonly fft: Fft;
  private readonly bands: { first: number; weights: Float64Array }[];

  constructor(readonly mel: MelGeometry) {
    this.nBins = mel.n_fft / 2 + 1;
    this.past = mel.n_fft / mel.hop_length;
    this.window = hannWindow(mel.n_fft);
    this.fft = new Fft(mel.n_fft);
    this.bands = melBands(mel);
  }

  async start({ tracks }: Ensemble): Promise<Voice[]> {
    const { n_fft, hop_length } = this.mel;
    return tracks.map(() => ({
      chunk: 0,
      waiting: new Float32Array(0),
      settled: this.silence(this.past),
      tried: this.silence(0),
      overlap: new Float64Array(n_fft),
      weight: new Float64Array(n_fft),
      // What comes before the first frame, and half a window that the first chunk gives too much.
      ready: new Float32Array(LATENCY * hop_length - n_fft / 2),
    }));
  }

  async step(
    { tracks }: Ensemble,
    mel: Float32Array,
    _frame: number,
    before: Voice[],
  ): Promise<{ audio: Float32Array; state: Voice[] }> {
    const size = mel.length / tracks.length;
    const nSamples = (size / this.mel.n_mels) * this.mel.hop_length;
    const audio = new Float32Array(tracks.length * nSamples);
    const state = before.map((voice, i) => {
      const next = {
        ...voice,
        waiting: joined(voice.waiting, mel.subarray(i * size, (i + 1) * size)),
      };
      while (next.waiting.length >= (CHUNK + AHEAD) * this.mel.n_mels) {
        this.settle(next, tracks[i]);
      }
      audio.set(next.ready.subarray(0, nSamples), i * nSamples);
      next.ready = next.ready.slice(nSamples);
      return next;
    });
    return { audio, state };
  }

  regrouped(states: Voice[][], rows: readonly number[]): Voice[] {
    const all = states.flat();
    return rows.map((row) => all[row]);
  }

  /** Find phases for a chunk, and make its sound. */
  private settle(voice: Voice, track: number): void {
    const { n_mels, hop_length, n_fft } = this.mel;
    const { nBins, past } = this;
    const n = CHUNK + AHEAD;
    const magnitude = this.magnitudes(voice.waiting.subarray(0, n * n_mels), n);
    const spectra = this.silence(past + n);
    spectra.re.set(voice.settled.re);
    spectra.im.set(voice.settled.im);
    const base = past * nBins;
    const nTried = voice.tried.n * nBins;
    spectra.re.set(voice.tried.re, base);
    spectra.im.set(voice.tried.im, base);
    const key = scattered(scattered(track) ^ voice.chunk++);
    for (let i = nTried; i < n * nBins; i++) {
      const angle = scattered(key + i) * ((2 * Math.PI) / 2 ** 32);
      spectra.re[base + i] = magnitude[i] * Math.cos(angle);
      spectra.im[base + i] = magnitude[i] * Math.sin(angle);
    }
    const previous = this.silence(n);
    for (let iteration = 0; iteration < ITERATIONS; iteration++) {
      const consistent = this.consistent(spectra);
      for (let i = 0; i < n * nBins; i++) {
        const re = consistent.re[base + i];
        const im = consistent.im[base + i];
        const x = re + MOMENTUM * (re - previous.re[i]);
        const y = im + MOMENTUM * (im - previous.im[i]);
        previous.re[i] = re;
        previous.im[i] = im;
        const scale = magnitude[i] / (Math.sqrt(x * x + y * y) + 1e-12);
        spectra.re[base + i] = scale * x;
        spectra.im[base + i] = scale * y;
      }
    }
    voice.tried = this.part(spectra, past + CHUNK, past + n);
    voice.settled = this.part(spectra, CHUNK, past + CHUNK);
    voice.waiting = voice.waiting.slice(CHUNK * n_mels);
    const fresh = this.part(spectra, past, past + CHUNK);
    const sound = this.overlapAdd(fresh);
    const weight = this.overlapWeight(CHUNK);
    const rest = n_fft - hop_length;
    for (let i = 0; i < rest; i++) {
      sound[i] += voice.overlap[i];
      weight[i] += voice.weight[i];
    }
    const nSamples = CHUNK * hop_length;
    voice.overlap = sound.slice(nSamples);
    voice.weight = weight.slice(nSamples);
    const finished = Float32Array.from(
      { length: nSamples },
      (_, i) => sound[i] / Math.max(weight[i], 1e-3),
    );
    voice.ready = joined(voice.ready, finished);
  }

  /** Spread mels to non-negative magnitudes by multiplicative updates (Lee and Seung 2001). */
  private magnitudes(mel: Float32Array, n: number): Float64Array {
    const { nBins, bands } = this;
    const { n_mels } = this.mel;
    const out = new Float64Array(n * nBins);
    const numerator = new Float64Array(nBins);
    const denominator = new Float64Array(nBins);
    const silence = (SILENCE * this.mel.n_fft) / 4;
    const addBands = (target: Float64Array, value: (band: number) => number) => {
      target.fill(0);
      bands.forEach(({ first, weights }, band) => {
        const level = value(band);
        for (let i = 0; i < weights.length; i++) target[first + i] += weights[i] * level;
      });
    };
    for (let k = 0; k < n; k++) {
      const spread = out.subarray(k * nBins, (k + 1) * nBins);
      addBands(numerator, (band) => Math.exp(mel[k * n_mels + band]));
      spread.set(numerator);
      for (let iteration = 0; iteration < SPREAD_ITERATIONS; iteration++) {
        addBands(denominator, (band) => {
          const { first, weights } = bands[band];
          let sum = 0;
          for (let i = 0; i < weights.length; i++) sum += weights[i] * spread[first + i];
          return sum;
        });
        for (let bin = 0; bin < nBins; bin++)
          spread[bin] *= numerator[bin] / (denominator[bin] + 1e-8);
      }
      for (let bin = 0; bin < nBins; bin++) if (spread[bin] <= silence) spread[bin] = 0;
    }
    return out;
  }

  /** The spectra of the sound that has, as nearly as possible, these spectra. */
  private consistent(spectra: Spectra): Spectra {
    const sound = this.overlapAdd(spectra);
    const weight = this.overlapWeight(spectra.n);
    for (let i = 0; i < sound.length; i++) sound[i] /= Math.max(weight[i], 1e-3);
    const { n_fft, hop_length } = this.mel;
    const { nBins } = this;
    const out = this.silence(spectra.n);
    const re = new Float64Array(n_fft);
    const im = new Float64Array(n_fft);
    // Two real frames make one complex transform.
    for (let frame = 0; frame < spectra.n; frame += 2) {
      const at = frame * hop_length;
      for (let i = 0; i < n_fft; i++) {
        re[i] = sound[at + i] * this.window[i];
        im[i] = (sound[at + hop_length + i] ?? 0) * this.window[i];
      }
      this.fft.forward(re, im);
      for (let bin = 0; bin < nBins; bin++) {
        const mirror = (n_fft - bin) % n_fft;
        const here = frame * nBins + bin;
        out.re[here] = (re[bin] + re[mirror]) / 2;
        out.im[here] = (im[bin] - im[mirror]) / 2;
        if (frame + 1 === spectra.n) continue;
        out.re[here + nBins] = (im[bin] + im[mirror]) / 2;
        out.im[here + nBins] = (re[mirror] - re[bin]) / 2;
      }
    }
    return out;
  }

  /** Windowed inverse transforms, added where they overlap. */
  private overlapAdd(spectra: Spectra): Float64Array {
    const { n_fft, hop_length } = this.mel;
    const { nBins } = this;
    const sound = new Float64Array((spectra.n + this.past - 1) * hop_length);
    const re = new Float64Array(n_fft);
    const im = new Float64Array(n_fft);
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
        re[n_fft - bin] = a + d;
        im[n_fft - bin] = c - b;
      }
      this.fft.inverse(re, im);
      const at = frame * hop_length;
      for (let i = 0; i < n_fft; i++) {
        const weight = this.window[i] / n_fft;
        sound[at + i] += re[i] * weight;
        if (second) sound[at + hop_length + i] += im[i] * weight;
      }
    }
    return sound;
  }

  private overlapWeight(n: number): Float64Array {
    const { n_fft, hop_length } = this.mel;
    const weight = new Float64Array((n + this.past - 1) * hop_length);
    for (let frame = 0; frame < n; frame++) {
      for (let i = 0; i < n_fft; i++) weight[frame * hop_length + i] += this.window[i] ** 2;
    }
    return weight;
  }

  private silence(n: number): Spectra {
    return { n, re: new Float64Array(n * this.nBins), im: new Float64Array(n * this.nBins) };
  }

  private part({ re, im }: Spectra, start: number, stop: number): Spectra {
    const { nBins } = this;
    return {
      n: stop - start,
      re: re.slice(start * nBins, stop * nBins),
      im: im.slice(start * nBins, stop * nBins),
    };
  }
}

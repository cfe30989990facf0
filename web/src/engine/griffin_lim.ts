// Griffin-Lim, as src/timbrel/vocoder/griffin_lim.py does it chunk by chunk; the random phases that it
// begins with are others than Python's, so its sound is of the same kind, not the same.

import { joined } from "../audio/joined";
import type { MelGeometry } from "./bundle";
import type { Ensemble } from "./ensemble";
import { scattered } from "./chance";
import { melBands, type Band } from "./mel_bands";
import { OverlapAdd, type Overlap, type Spectra } from "./overlap_add";
import type { Vocoder } from "./vocoder";

export const GRIFFIN_LIM = "griffin-lim";
const CHUNK = 32; // frames settled at a time
const AHEAD = 8; // frames tried along
const ITERATIONS = 16;
const MOMENTUM = 0.99;
const SPREAD_ITERATIONS = 24;
const SILENCE = 1e-5;
const LATENCY = 48; // frames, after which every hop has its sound

interface Voice {
  chunk: number; // that is settled next
  waiting: Float32Array; // mel
  settled: Spectra;
  tried: Spectra;
  overlap: Overlap;
  ready: Float32Array;
}

export class GriffinLim implements Vocoder<Voice[]> {
  readonly latencyFrames = LATENCY;
  private readonly transform: OverlapAdd;
  private readonly bands: Band[];

  constructor(readonly mel: MelGeometry) {
    this.transform = new OverlapAdd(mel.n_fft, mel.hop_length);
    this.bands = melBands(mel);
  }

  async start({ tracks }: Ensemble): Promise<Voice[]> {
    const { n_fft, hop_length } = this.mel;
    return tracks.map(() => ({
      chunk: 0,
      waiting: new Float32Array(0),
      settled: this.transform.silence(this.transform.past),
      tried: this.transform.silence(0),
      overlap: this.transform.begin(),
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
    const { n_mels } = this.mel;
    const { transform } = this;
    const { nBins, past } = transform;
    const n = CHUNK + AHEAD;
    const magnitude = this.magnitudes(voice.waiting.subarray(0, n * n_mels), n);
    const spectra = transform.silence(past + n);
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
    const previous = transform.silence(n);
    for (let iteration = 0; iteration < ITERATIONS; iteration++) {
      const consistent = transform.consistent(spectra);
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
    voice.tried = transform.part(spectra, past + CHUNK, past + n);
    voice.settled = transform.part(spectra, CHUNK, past + CHUNK);
    voice.waiting = voice.waiting.slice(CHUNK * n_mels);
    const fresh = transform.part(spectra, past, past + CHUNK);
    const { sound, left } = transform.add(fresh, voice.overlap);
    voice.overlap = left;
    voice.ready = joined(voice.ready, sound);
  }

  /** Spread mels to non-negative magnitudes by multiplicative updates (Lee and Seung 2001). */
  private magnitudes(mel: Float32Array, n: number): Float64Array {
    const { bands } = this;
    const { nBins } = this.transform;
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
}

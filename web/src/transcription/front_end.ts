// Audio → spectra on a logarithmic frequency axis, as src/timbrel/transcription/front_end.py makes
// them: what the network hears.

import constants from "../constants.json";
import { hannWindow } from "../engine/fft";
import type { Band } from "../engine/mel_bands";
import { joined } from "../audio/joined";
import { Frames } from "../hearing/spectra";
import { bandPitches, type Sizes } from "./sizes";

const { a4Pitch, tinyPower } = constants.transcription;

/** Makes spectra of a stream of sound; before the first sample there is silence. */
export class FrontEnd {
  readonly nBands: number;
  private readonly margin: number;
  private heard: Float32Array;
  private readonly transforms: { frames: Frames; bands: Band[] }[];

  constructor(private readonly sizes: Sizes) {
    const pitches = bandPitches(sizes);
    this.nBands = pitches.length;
    this.margin = Math.max(...sizes.windows) / 2;
    this.heard = new Float32Array(this.margin);
    this.transforms = sizes.windows.map((size) => ({
      frames: new Frames(scaledWindow(size), sizes.hop_length, this.margin),
      bands: bandFilters(sizes, pitches, size),
    }));
  }

  /** Take more samples; gives the frames that are whole now, (windows, frames, bands). */
  push(audio: Float32Array): Float32Array {
    const heard = joined(this.heard, audio);
    const { hop_length: hop } = this.sizes;
    const nFrames = Math.max(Math.floor((heard.length - 2 * this.margin) / hop) + 1, 0);
    const found = new Float32Array(this.transforms.length * nFrames * this.nBands);
    this.transforms.forEach(({ frames, bands }, i) => {
      frames.each(heard, 0, nFrames, (frame, powers) => {
        const row = (i * nFrames + frame) * this.nBands;
        bands.forEach(({ first: from, weights }, band) => {
          let power = tinyPower;
          for (let k = 0; k < weights.length; k++) power += weights[k] * powers[from + k];
          found[row + band] = Math.log1p(this.sizes.scale * Math.sqrt(power));
        });
      });
    });
    this.heard = heard.slice(nFrames * hop);
    return found;
  }
}

/** A Hann window with which a sine of amplitude 1 has a magnitude of 1. */
function scaledWindow(size: number): Float64Array {
  const window = hannWindow(size);
  const sum = window.reduce((a, b) => a + b, 0);
  return window.map((value) => (2 * value) / sum);
}

/**
 * Triangles for the powers of a transform: as wide as the bands, or as its bins where these are wider.
 * Bands beyond half of the sample rate are empty.
 */
function bandFilters(sizes: Sizes, pitches: number[], size: number): Band[] {
  const binHz = sizes.sample_rate / size;
  return pitches.map((pitch) => {
    const centreHz = constants.a4Hz * 2 ** ((pitch - a4Pitch) / 12);
    const ownHz = centreHz * (2 ** (1 / (12 * sizes.bands_per_semitone)) - 1);
    const widthHz = Math.max(ownHz, binHz);
    if (centreHz >= sizes.sample_rate / 2) return { first: 0, weights: new Float64Array(0) };
    const first = Math.max(Math.ceil((centreHz - widthHz) / binHz), 0);
    const last = Math.min(Math.floor((centreHz + widthHz) / binHz), size / 2);
    const weight = (bin: number) => Math.max(1 - Math.abs(bin * binHz - centreHz) / widthHz, 0);
    return {
      first,
      weights: Float64Array.from({ length: last - first + 1 }, (_, i) => weight(first + i)),
    };
  });
}
